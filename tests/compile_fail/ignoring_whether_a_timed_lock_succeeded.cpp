// refused: ignoring return value of function declared with 'nodiscard' attribute
#include <heddle/sync/mutex.hpp>

void f(heddle::mutex& mutex) {
  mutex.lock_until(heddle::deadline::after(std::chrono::seconds(1)));  // misuse
  static_cast<void>(mutex);
}
