#include <heddle/sys/thread.hpp>

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

namespace heddle::sys {
namespace {

TEST(service_thread, has_nothing_of_its_starters_priority_and_processors) {
  cpu_set_t expected;
  ASSERT_EQ(sched_getaffinity(getpid(), sizeof expected, &expected), 0);
  struct {
    std::atomic<bool> done{false};
    cpu_set_t allowed{};
    bool real_time = true;
    std::string name;
  } found;
  bool started = false;
  std::thread{[&] {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &expected)) continue;
      cpu_set_t only;
      CPU_ZERO(&only);
      CPU_SET(cpu, &only);
      EXPECT_EQ(sched_setaffinity(0, sizeof only, &only), 0);
      break;
    }
    sched_param wanted{};
    wanted.sched_priority = 1;
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted);  // if the kernel allows it
    started = start_service_thread(
        "serves-all",
        [](void* given) {
          auto& to = *static_cast<decltype(found)*>(given);
          sched_getaffinity(0, sizeof to.allowed, &to.allowed);
          to.real_time = has_real_time_policy();
          char name[16];
          thread_name(name, sizeof name);
          to.name = name;
          to.done.store(true);
          to.done.notify_one();
        },
        &found);
  }}.join();
  ASSERT_TRUE(started);
  found.done.wait(false);
  EXPECT_TRUE(CPU_EQUAL(&found.allowed, &expected));
  EXPECT_FALSE(found.real_time);
  EXPECT_EQ(found.name, "serves-all");
}

}  // namespace
}  // namespace heddle::sys
