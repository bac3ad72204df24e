#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::dist::testing {

using namespace std::chrono_literals;

/// A folder of the test's own, removed at the end.
class scratch {
 public:
  scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch();
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + '/' + std::string{name}; }

 private:
  std::string path_;
};

/// Looks again and again, for at most 30 s, until `holds()`.
template <class Condition>
[[nodiscard]] bool eventually(Condition holds) {
  const deadline limit = deadline::after(30s);
  while (!holds()) {
    if (limit.has_passed()) return false;
    std::this_thread::yield();
  }
  return true;
}

/// This test program once more, as a process that plays one of the roles in roles.test.cpp until it is killed or its
/// standard input ends.
class child {
 public:
  explicit child(const std::vector<std::string>& role);
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child();

  /// The next line that it writes; empty at the end of its output.
  [[nodiscard]] std::string line();
  /// What is left of its output, up to its end.
  [[nodiscard]] std::vector<std::string> rest();
  void send_signal(int number) const;
  /// kill -9; returns when it is gone.
  void kill();
  /// Waits for its end; its exit code, or -1.
  int wait();

 private:
  int process_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string read_;
};

/// A pool and a store on it.
struct store_fixture {
  explicit store_fixture(store_options options) { open(std::move(options)); }
  void open(store_options options) {
    auto opened = sqlite_store::open(std::move(options), pool);
    if (!opened) {
      ADD_FAILURE() << opened.error().text;
      std::abort();
    }
    store = *std::move(opened);
  }
  thread_pool pool{{.threads = 3, .name = "test"}};
  std::unique_ptr<sqlite_store> store;
};

/// The number that a query gives, read by the calling thread.
template <class... Args>
std::int64_t number(sqlite_store& store, std::string_view sql, const Args&... args) {
  auto read = store.read_blocking([&](sql_view& view) -> store_result<std::int64_t> {
    auto row = view.one<std::int64_t>(sql, args...);
    if (!row) return std::unexpected{row.error()};
    return *row ? std::get<0>(**row) : -1;
  });
  EXPECT_TRUE(read) << read.error().text;
  return read.value_or(-2);
}

}  // namespace heddle::dist::testing
