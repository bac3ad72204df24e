// refused: acquiring shared_mutex 'lock' that is already held
#include <heddle/sync/shared_mutex.hpp>

void f(heddle::shared_mutex& lock) {
  lock.lock_shared();
  lock.lock();    // misuse
  lock.unlock();  // misuse
  lock.unlock_shared();
}
