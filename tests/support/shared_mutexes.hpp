#pragma once

#include <heddle/sync/shared_mutex.hpp>

#include <gtest/gtest.h>
#include <heddle/task/task.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <expected>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <thread>
#include <utility>

/// What the tests of shared_mutex share: who tries it from another thread, who holds it, and tasks that take it once.
namespace heddle::test {

inline bool another_thread_writes(shared_mutex& m) {
  bool got = false;
  std::thread{[&] { got = std::unique_lock(m, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

inline bool another_thread_reads(shared_mutex& m) {
  bool got = false;
  std::thread{[&] { got = std::shared_lock(m, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

inline void expect_free(shared_mutex& m) {
  EXPECT_EQ(m.holder(), 0U);
  EXPECT_TRUE(waits_for(&m).empty());
  EXPECT_TRUE(another_thread_writes(m));
}

inline task<void> read_once(shared_mutex& m) { const std::shared_lock held = co_await m.async_lock_shared(); }
inline task<void> write_once(shared_mutex& m) { const std::unique_lock held = co_await m.async_lock(); }

inline task<std::expected<void, wait_error>> read_until_once(shared_mutex& m, deadline until,
                                                             std::stop_token stop = {}) {
  const auto held = co_await m.async_lock_shared_until(until, std::move(stop));
  if (!held) co_return std::unexpected{held.error()};
  co_return std::expected<void, wait_error>{};
}

inline task<std::expected<void, wait_error>> write_until_once(shared_mutex& m, deadline until,
                                                              std::stop_token stop = {}) {
  const auto held = co_await m.async_lock_until(until, std::move(stop));
  if (!held) co_return std::unexpected{held.error()};
  co_return std::expected<void, wait_error>{};
}

/// A thread that takes the lock, says so, and keeps it until it is told to let go.
template <template <class> class Lock>
class holder {
 public:
  explicit holder(shared_mutex& m)
      : thread_{[this, &m] {
          const Lock<shared_mutex> held{m};
          in_ = true;
          while (!enough_) std::this_thread::yield();
        }} {}
  ~holder() { enough_ = true; }
  holder(const holder&) = delete;
  holder& operator=(const holder&) = delete;

  [[nodiscard]] bool is_in() const { return in_; }
  [[nodiscard]] bool gets_in() const {
    return eventually([this] { return in_.load(); });
  }
  void leave() {
    enough_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> in_{false};
  std::atomic<bool> enough_{false};
  std::jthread thread_;
};
using reader = holder<std::shared_lock>;
using writer = holder<std::unique_lock>;

}  // namespace heddle::test
