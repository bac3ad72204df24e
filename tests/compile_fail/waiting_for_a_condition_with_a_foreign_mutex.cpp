// refused: no matching member function for call to 'wait'
#include <heddle/sync/condition_variable.hpp>

#include <mutex>

void f(heddle::condition_variable& changed, std::mutex& foreign, heddle::mutex& own) {
  std::unique_lock foreign_lock{foreign};
  changed.wait(foreign_lock);  // misuse
  std::unique_lock lock{own};
  changed.wait(lock);
}
