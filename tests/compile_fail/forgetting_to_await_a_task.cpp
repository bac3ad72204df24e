// refused: ignoring .*'nodiscard'
#include <heddle/task/task.hpp>

heddle::task<int> one() { co_return 1; }

heddle::task<int> f() {
  one();  // misuse
  co_return co_await one();
}
