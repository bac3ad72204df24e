// refused: no member named 'async_lock' in 'heddle::pi_mutex'
#include <heddle/sync/pi_mutex.hpp>

void f(heddle::pi_mutex& m) {
  (void)m.async_lock();  // misuse
  m.lock();
  m.unlock();
}
