// refused: no viable constructor or deduction guide for deduction of template arguments of 'async_lock_all'
#include <heddle/sync/async_lock_all.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/pi_mutex.hpp>

void f(heddle::mutex& a, heddle::mutex& b, heddle::pi_mutex& foreign) {
  (void)heddle::async_lock_all(a, foreign);  // misuse
  (void)heddle::async_lock_all(a, b);
  const heddle::lock_all held{a, foreign};
}
