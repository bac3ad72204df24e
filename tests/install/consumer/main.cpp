#include <cstdio>
#include <heddle/sync/mutex.hpp>
#include <mutex>
#include <thread>

int main() {
  heddle::mutex mutex;
  int count = 0;
  const auto add = [&] {
    for (int i = 0; i < 10'000; ++i) {
      const std::lock_guard held(mutex);
      ++count;
    }
  };
  std::thread other(add);
  add();
  other.join();
  std::printf("%d\n", count);
  return count == 20'000 ? 0 : 1;
}
