// refused: no matching function for call to 'lock_all_until'
#include <heddle/sync/lock_all.hpp>
#include <heddle/sync/mutex.hpp>

#include <mutex>

void f(heddle::mutex& a, std::mutex& untimed, std::timed_mutex& timed) {
  (void)heddle::lock_all_until({}, {}, a, untimed);  // misuse
  (void)heddle::lock_all_until({}, {}, a, timed);
  const heddle::lock_all held{a, untimed};
}
