// refused: releasing mutex 'mutex' that was not held
#include <heddle/sync/mutex.hpp>

void f(heddle::mutex& mutex) {
  mutex.lock();
  mutex.unlock();
  mutex.unlock();  // misuse
}
