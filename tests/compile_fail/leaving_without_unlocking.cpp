// refused: mutex 'mutex' is not held on every path through here
#include <heddle/sync/mutex.hpp>

void f(heddle::mutex& mutex, bool early) {
  mutex.lock();
  if (early) return;  // misuse
  mutex.unlock();
  static_cast<void>(early);
}
