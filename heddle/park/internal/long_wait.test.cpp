#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/park/internal/long_wait.hpp>
#include <heddle/park/internal/picture.hpp>

#include <gtest/gtest.h>
#include <unistd.h>
#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <limits>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using park::stack_of;
using test::eventually;
using test::passed;

constexpr std::uint64_t any_generation = std::numeric_limits<std::uint64_t>::max();
constexpr std::chrono::milliseconds several_long_waits{40};

// For a test: whether waits are diagnosed.
class diagnosed {
 public:
  explicit diagnosed(bool on) : before_{park::diagnosis.exchange(on ? &hooks : nullptr)} {}
  ~diagnosed() { park::diagnosis.store(before_); }
  diagnosed(const diagnosed&) = delete;
  diagnosed& operator=(const diagnosed&) = delete;

 private:
  static constexpr park::diagnosis_hooks hooks{[]() noexcept {}, [](agent&) noexcept { return false; },
                                               []() noexcept {}};
  const park::diagnosis_hooks* before_;
};

std::vector<const void*> stack_of_who_waits_for(const void* resource) {
  for (const park::agent_view& view : park::picture::take().agents) {
    if (view.waits && view.wait.resource == resource) return stack_of(view.wait.agent, view.generation);
  }
  return {};
}

// A thread that waits for a permit that nobody gives, and what becomes of it.
class waiter {
 public:
  explicit waiter(deadline until = deadline::never())
      : thread_{[this, until] {
          thread_id_ = gettid();
          agent_ = current_agent().id();
          const auto got = none_.acquire_until(until, stop_.get_token());
          if (!got) result_ = got.error();
          ended_ = true;
        }} {}
  ~waiter() { stop_.request_stop(); }
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  [[nodiscard]] std::vector<const void*> stack() const { return stack_of_who_waits_for(&none_); }
  [[nodiscard]] bool keeps_its_stack() const {
    return eventually([&] { return !stack().empty(); });
  }
  [[nodiscard]] bool is_parked() const { return test::waited_for(none_); }
  // For how long and how often it has run in all its life, as the kernel tells; not while it is running.
  [[nodiscard]] std::string runs() const {
    std::ifstream counts{"/proc/self/task/" + std::to_string(thread_id_) + "/schedstat"};
    std::string line;
    EXPECT_TRUE(std::getline(counts, line)) << "the kernel does not count how often a thread runs";
    return line;
  }
  // Once it has come to rest.
  [[nodiscard]] std::string runs_at_rest() const {
    std::string before;
    EXPECT_TRUE(eventually([&] {
      const std::string now = runs();
      return passed(deadline::after(5ms)) && std::exchange(before, now) == now;
    }));
    return before;
  }

  void give() { none_.release(); }
  void stop() { stop_.request_stop(); }
  [[nodiscard]] bool ends() const {
    return eventually([&] { return ended_.load(); });
  }
  [[nodiscard]] std::optional<wait_error> result() const { return result_; }
  [[nodiscard]] std::uint32_t agent() const { return agent_; }

 private:
  semaphore none_{0};
  std::stop_source stop_;
  std::atomic<pid_t> thread_id_{0};
  std::atomic<std::uint32_t> agent_{0};
  std::atomic<bool> ended_{false};
  std::optional<wait_error> result_;
  std::jthread thread_;
};

TEST(long_wait, keeps_its_stack_and_ends_as_any_other) {
  const diagnosed on{true};
  {
    waiter woken;
    EXPECT_TRUE(woken.keeps_its_stack());
    woken.give();
    EXPECT_TRUE(woken.ends());
    EXPECT_EQ(woken.result(), std::nullopt);
  }
  {
    waiter stopped;
    EXPECT_TRUE(stopped.keeps_its_stack());
    stopped.stop();
    EXPECT_TRUE(stopped.ends());
    EXPECT_EQ(stopped.result(), wait_error::stopped);
  }
  {
    const deadline until = deadline::after(50ms);
    const waiter late{until};
    EXPECT_TRUE(late.ends());
    EXPECT_TRUE(until.has_passed());
    EXPECT_EQ(late.result(), wait_error::timeout);
  }
}

TEST(long_wait, wakes_no_more_once_its_stack_is_kept) {
  const diagnosed on{true};
  const waiter sleeper;
  ASSERT_TRUE(sleeper.keeps_its_stack());
  const std::string before = sleeper.runs_at_rest();
  ASSERT_TRUE(passed(deadline::after(4 * several_long_waits)));
  EXPECT_EQ(sleeper.runs(), before);
}

TEST(long_wait, keeps_nothing_while_nothing_is_diagnosed) {
  const diagnosed off{false};
  const waiter sleeper;
  ASSERT_TRUE(sleeper.is_parked());
  ASSERT_TRUE(passed(deadline::after(several_long_waits)));
  EXPECT_TRUE(sleeper.stack().empty());
}

TEST(long_wait, one_with_an_earlier_deadline_keeps_none) {
  const diagnosed on{true};
  std::atomic<std::uint32_t> agent{0};
  std::atomic<bool> done{false};
  const std::jthread patient{[&] {
    semaphore none{0};
    agent = current_agent().id();
    for (int i = 0; i < 50; ++i) EXPECT_FALSE(none.acquire_until(deadline::after(1ms), {}).has_value());
    done = true;
  }};
  ASSERT_TRUE(eventually([&] { return agent != 0; }));
  bool kept = false;
  while (!done) kept = kept || !stack_of(agent, any_generation).empty();
  EXPECT_FALSE(kept);
}

TEST(long_wait, its_stack_goes_with_it) {
  const diagnosed on{true};
  std::uint32_t agent = 0;
  {
    waiter first;
    ASSERT_TRUE(first.keeps_its_stack());
    agent = first.agent();
    EXPECT_FALSE(stack_of(agent, any_generation).empty());
    EXPECT_TRUE(stack_of(agent, 0).empty());  // of no wait before it
    first.give();
    ASSERT_TRUE(first.ends());
  }
  EXPECT_TRUE(stack_of(agent, any_generation).empty());
}

TEST(long_wait, stacks_may_be_read_while_waits_come_and_go) {
  const diagnosed on{true};
  semaphore none{0};
  std::atomic<bool> enough{false};
  std::size_t seen = 0;
  {
    std::vector<std::jthread> patient;
    for (int t = 0; t < 3; ++t) {
      patient.emplace_back([&] {
        while (!enough) EXPECT_FALSE(none.acquire_until(deadline::after(6ms), {}).has_value());
      });
    }
    EXPECT_TRUE(eventually([&] {
      for (const park::agent_view& view : park::picture::take().agents) {
        if (!view.waits || view.wait.resource != &none) continue;
        const std::vector<const void*> stack = stack_of(view.wait.agent, view.generation);
        if (!stack.empty()) ++seen;
        EXPECT_TRUE(std::ranges::all_of(stack, [](const void* pc) { return pc != nullptr; }));
      }
      return seen >= 1'000;
    }));
    enough = true;
  }
}

TEST(long_wait, its_stack_stays_when_it_becomes_a_wait_for_something_else) {
  const diagnosed on{true};
  mutex m;
  condition_variable changed;
  const std::jthread sleeper{[&] {
    std::unique_lock lock{m};
    changed.wait(lock);
  }};
  ASSERT_TRUE(eventually([&] { return !stack_of_who_waits_for(&changed).empty(); }));
  const std::lock_guard held{m};
  changed.notify_one();  // and now it waits for the mutex
  ASSERT_TRUE(eventually([&] { return test::waits_for(&m).size() == 1; }));
  EXPECT_FALSE(stack_of_who_waits_for(&m).empty());
}

}  // namespace
}  // namespace heddle
