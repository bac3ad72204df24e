// refused: ignoring return value of function declared with 'nodiscard' attribute
#include <heddle/sync/mutex.hpp>

void f(heddle::mutex& mutex) {
  mutex.try_lock();  // misuse
  static_cast<void>(mutex);
}
