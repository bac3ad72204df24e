// The README's first program: a thread and a task share one value.

// [first_program]
#include <heddle/sync/guarded.hpp>
#include <heddle/task/sync_wait.hpp>

#include <iostream>
#include <thread>

heddle::guarded<int> sum;

heddle::task<void> add(int number) { *co_await sum.async_lock() += number; }  // a task suspends

int main() {
  std::thread thread{[] { sum.with([](int& value) { value += 2; }); }};  // a thread blocks, on the same lock
  heddle::sync_wait(add(40));
  thread.join();
  std::cout << *sum.lock() << '\n';  // 42
}
// [/first_program]
