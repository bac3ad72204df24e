// A whole process that stands still. Not under a sanitizer that has a thread of its own, which wakes by itself.

#include <heddle/sync/semaphore.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace heddle::watch {
namespace {

void wait_for_each_others_signal() {
  settings wanted;
  wanted.log = false;
  configure(wanted);
  const subscription told = on_report([](const report& r) {
    std::fprintf(stderr, "%s\n", r.sentence.c_str());
    if (r.how_sure == confidence::possible) std::_Exit(0);
  });
  semaphore ping{0, "ping"};
  semaphore pong{0, "pong"};
  std::thread one{[&] {
    ping.acquire().use_up();
    pong.release();
  }};
  std::thread two{[&] {
    pong.acquire().use_up();
    ping.release();
  }};
  one.join();  // this thread sleeps until they end
  two.join();
}

// In a process of its own, which ends when it is told.
TEST(standstill_of_a_process, is_told) {
  EXPECT_EXIT(wait_for_each_others_signal(), testing::ExitedWithCode(0),
              "Possible deadlock: nobody is left who could wake anybody: thread .* waits for semaphore 'p.ng', "
              "thread .* waits for semaphore 'p.ng'");
}

}  // namespace
}  // namespace heddle::watch
