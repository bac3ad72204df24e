// refused: writing variable 'balance' requires holding mutex 'mutex' exclusively
#include <heddle/sync/mutex.hpp>

class account {
 public:
  void pay(int amount) {
    balance += amount;  // misuse
    mutex.lock();
    balance += amount;
    mutex.unlock();
  }

 private:
  heddle::mutex mutex;
  int balance HEDDLE_THREAD_SAFETY(guarded_by(mutex)) = 0;
};
