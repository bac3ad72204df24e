// refused: non-const lvalue reference to type .* cannot bind
#include <heddle/sync/condition_variable.hpp>

#include <mutex>

void f(heddle::condition_variable& changed, std::mutex& foreign, heddle::mutex& own) {
  std::unique_lock foreign_lock{foreign};
  (void)changed.async_wait(foreign_lock);  // misuse
  std::unique_lock lock{own};
  (void)changed.async_wait(lock);
  changed.wait(foreign_lock);
}
