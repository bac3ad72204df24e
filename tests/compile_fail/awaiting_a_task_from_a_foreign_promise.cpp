// refused: no matching member function for call to .await_suspend.
#include <heddle/task/task.hpp>

#include <coroutine>

/// A coroutine that heddle knows nothing about: a task could not say whose wait it is.
struct stranger {
  struct promise_type {
    stranger get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

heddle::task<int> one() { co_return 1; }

stranger f() {
  co_await one();  // misuse
  co_return;
}
