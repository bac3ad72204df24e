// refused: does not satisfy 'agent_promise'
#include <heddle/sync/mutex.hpp>

#include <coroutine>

/// A coroutine that heddle knows nothing about: it has no agent that could wait.
struct stranger {
  struct promise_type {
    stranger get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

stranger f(heddle::mutex& mutex) {
  auto lock = co_await mutex.async_lock();  // misuse
  static_cast<void>(mutex);
  co_return;
}
