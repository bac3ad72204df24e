#include "mutex_contended/workload.hpp"

#include <pthread.h>

namespace {

/// glibc's mutex with priority inheritance.
class pthread_pi_mutex {
 public:
  pthread_pi_mutex() {
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_setprotocol(&how, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&mutex_, &how);
    pthread_mutexattr_destroy(&how);
  }
  ~pthread_pi_mutex() { pthread_mutex_destroy(&mutex_); }
  pthread_pi_mutex(const pthread_pi_mutex&) = delete;
  pthread_pi_mutex& operator=(const pthread_pi_mutex&) = delete;
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

}  // namespace

int main(int argc, char** argv) { return peers::mutex_contended<pthread_pi_mutex>(argc, argv); }
