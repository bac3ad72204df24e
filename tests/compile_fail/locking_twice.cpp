// refused: acquiring mutex 'mutex' that is already held
#include <heddle/sync/mutex.hpp>

void f(heddle::mutex& mutex) {
  mutex.lock();
  mutex.lock();  // misuse
  mutex.unlock();
}
