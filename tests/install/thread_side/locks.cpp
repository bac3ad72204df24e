// uses: heddle-sync
#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/guarded.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr int threads = 4;
constexpr int rounds = 2'000;

template <class Function>
void in_threads(Function function) {
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(function);
  for (std::thread& each : running) each.join();
}

bool mutex_excludes() {
  heddle::mutex mutex;
  int count = 0;
  in_threads([&] {
    for (int i = 0; i < rounds; ++i) {
      const std::scoped_lock held{mutex};
      ++count;
    }
  });
  mutex.lock();
  bool refused = false;
  std::thread{[&] {
    refused = !mutex.try_lock() && mutex.lock_until(heddle::deadline::after(std::chrono::milliseconds(1))) ==
                                       std::unexpected{heddle::wait_error::timeout};
  }}.join();
  mutex.unlock();
  return count == threads * rounds && refused;
}

bool guarded_counts() {
  heddle::guarded<int> count{0};
  in_threads([&] {
    for (int i = 0; i < rounds; ++i) count.with([](int& value) { ++value; });
  });
  return *count.lock() == threads * rounds;
}

bool semaphore_admits_two() {
  heddle::semaphore places{2};
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  in_threads([&] {
    for (int i = 0; i < rounds; ++i) {
      const heddle::semaphore_permit permit = places.acquire();
      const int now = ++inside;
      int seen = most;
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
      --inside;
    }
  });
  return most >= 1 && most <= 2 && places.available() == 2;
}

bool condition_wakes() {
  heddle::mutex mutex;
  heddle::condition_variable changed;
  int turn = 0;
  std::thread other{[&] {
    for (int i = 0; i < rounds; ++i) {
      std::unique_lock lock{mutex};
      changed.wait(lock, [&] { return turn % 2 == 1; });
      ++turn;
      changed.notify_one();
    }
  }};
  for (int i = 0; i < rounds; ++i) {
    std::unique_lock lock{mutex};
    ++turn;
    changed.notify_one();
    changed.wait(lock, [&] { return turn % 2 == 0; });
  }
  other.join();
  return turn == 2 * rounds;
}

bool say(const char* what, bool held) {
  std::printf("%s: %s\n", what, held ? "yes" : "NO");
  return held;
}

}  // namespace

int main() {
  const bool all = say("a mutex excludes and times out", mutex_excludes()) & say("guarded counts", guarded_counts()) &
                   say("a semaphore of two admits two", semaphore_admits_two()) &
                   say("a condition wakes", condition_wakes());
  return all ? 0 : 1;
}
