#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/pi_mutex.hpp>
#include <tests/support/kernel.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Real-time threads on one CPU: what priority inheritance is for. The kernel must allow SCHED_FIFO (as root, or with
// CAP_SYS_NICE); where it does not, these tests fail and say so, because nothing is shown then.
namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using clock = std::chrono::steady_clock;

// The last CPU that this process may use.
int one_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  int last = -1;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) throw std::runtime_error{"sched_getaffinity fails"};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) last = cpu;
  }
  return last;
}

void stay_on(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  if (sched_setaffinity(0, sizeof only, &only) != 0) throw std::runtime_error{"sched_setaffinity fails"};
}

// The test itself keeps away, where it can: a real-time thread that computes lets nothing else run there.
void keep_off(int cpu) {
  cpu_set_t others;
  CPU_ZERO(&others);
  if (sched_getaffinity(0, sizeof others, &others) != 0) throw std::runtime_error{"sched_getaffinity fails"};
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) != 0 && sched_setaffinity(0, sizeof others, &others) != 0) {
    throw std::runtime_error{"sched_setaffinity fails"};
  }
}

bool become_real_time(int priority) {
  sched_param wanted{};
  wanted.sched_priority = priority;
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted) == 0;
}

bool kernel_allows_real_time() {
  bool allowed = false;
  std::thread{[&] { allowed = become_real_time(10); }}.join();
  return allowed;
}

/// Real-time threads of two tests on one CPU would keep each other from running: one test at a time, whatever runs them.
class alone {
 public:
  alone() : file_{::open((testing::TempDir() + "heddle-real-time").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)} {
    if (file_ < 0 || ::flock(file_, LOCK_EX) != 0) throw std::runtime_error{"cannot lock a file"};
  }
  ~alone() { ::close(file_); }
  alone(const alone&) = delete;
  alone& operator=(const alone&) = delete;

 private:
  int file_;
};

constexpr const char* refused = "the kernel refuses SCHED_FIFO (needs root or CAP_SYS_NICE), so nothing can be shown";

std::chrono::nanoseconds cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

// Computes for so long.
void compute(std::chrono::nanoseconds how_long) {
  const auto until = cpu_time() + how_long;
  while (cpu_time() < until) {
  }
}

struct story {
  bool middle_ran_in_the_section = false;
  clock::duration section{};  // from the low thread's lock to its unlock
  clock::duration high_waited{};
};

// On one CPU: the low thread is in its critical section, the high one comes to wait for it, then one of middle priority
// wants the CPU for long.
template <class Mutex>
story tell() {
  Mutex m;
  story told;
  const int cpu = one_cpu();
  keep_off(cpu);
  std::atomic<bool> low_may_end{false};
  std::atomic<bool> low_is_in_it{false};
  std::atomic<bool> middle_is_coming{false};
  std::thread low{[&] {
    become_real_time(10);
    stay_on(cpu);
    std::unique_lock held{m};
    const auto began = clock::now();
    low_is_in_it = true;
    while (!low_may_end) {
    }
    compute(20ms);
    low_is_in_it = false;
    told.section = clock::now() - began;
    held.unlock();
  }};
  EXPECT_TRUE(eventually([&] { return low_is_in_it.load(); }));
  std::thread high{[&] {
    become_real_time(30);
    stay_on(cpu);
    const auto began = clock::now();
    const std::lock_guard held{m};
    told.high_waited = clock::now() - began;
  }};
  EXPECT_TRUE(eventually([&] {
    const auto waits = test::waits_for(&m);
    return waits.size() == 1 && test::sleeps_in_the_kernel(waits.front().thread);
  }));
  std::thread middle{[&] {
    become_real_time(20);
    middle_is_coming = true;
    stay_on(cpu);  // returns once it runs there
    told.middle_ran_in_the_section = low_is_in_it;
    compute(200ms);
  }};
  EXPECT_TRUE(eventually([&] { return middle_is_coming.load(); }));
  low_may_end = true;
  low.join();
  high.join();
  middle.join();
  return told;
}

TEST(pi_mutex_inheritance, the_high_waits_no_longer_than_the_low_ones_section) {
  const alone here;
  ASSERT_TRUE(kernel_allows_real_time()) << refused;
  const story told = tell<pi_mutex>();
  EXPECT_FALSE(told.middle_ran_in_the_section);
  EXPECT_LE(told.high_waited, told.section + 100ms)
      << "the wake-up, and the 50 ms of each second that the kernel keeps for others";
}

// The same story without inheritance goes wrong: so the test above can fail.
TEST(pi_mutex_inheritance, without_it_the_high_waits_for_the_middle) {
  const alone here;
  ASSERT_TRUE(kernel_allows_real_time()) << refused;
  const story told = tell<mutex>();
  EXPECT_TRUE(told.middle_ran_in_the_section);
  EXPECT_GE(told.high_waited, 200ms);
}

TEST(pi_mutex_inheritance, the_highest_waiter_comes_first) {
  const alone here;
  ASSERT_TRUE(kernel_allows_real_time()) << refused;
  pi_mutex m;
  std::vector<int> order;
  std::unique_lock mine{m};
  std::vector<std::jthread> waiters;
  for (const int priority : {10, 30, 20}) {
    waiters.emplace_back([&m, &order, priority] {
      become_real_time(priority);
      const std::lock_guard held{m};
      order.push_back(priority);
    });
    ASSERT_TRUE(eventually([&] {
      const auto waits = test::waits_for(&m);
      return waits.size() == waiters.size() &&
             std::ranges::all_of(waits, [](const auto& wait) { return test::sleeps_in_the_kernel(wait.thread); });
    }));
  }
  mine.unlock();
  waiters.clear();
  EXPECT_EQ(order, (std::vector{30, 20, 10}));
}

}  // namespace
}  // namespace heddle
