// refused: acquiring mutex 'mutex' that is already held
#include <heddle/sync/recursive_mutex.hpp>

void f(heddle::recursive_mutex& mutex) {
  mutex.lock();
  mutex.lock();  // misuse
  mutex.unlock();
}
