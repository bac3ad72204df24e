// refused: ignoring .*'nodiscard'
#include <heddle/sync/mutex.hpp>

void f(heddle::mutex& mutex) {
  mutex.async_lock();  // misuse
  static_cast<void>(mutex);
}
