// refused: no member named .await_ready. in
#include <heddle/task/task.hpp>

#include <utility>

heddle::task<int> one() { co_return 1; }

heddle::task<int> f() {
  heddle::task<int> kept = one();
  co_await kept;  // misuse
  co_return co_await std::move(kept);
}
