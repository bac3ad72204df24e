#include <heddle/sys/restartable.hpp>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace heddle::sys {
namespace {

class restartable_sequence : public testing::Test {
 protected:
  restartable_sequence() { allow_restarts(); }
  std::atomic<std::uint32_t> word{7};
};

TEST_F(restartable_sequence, stores_0_if_it_finds_what_is_expected) {
  while (!clear_if_equal(word, 7)) {  // an interruption is possible, if not likely
  }
  EXPECT_EQ(word.load(), 0U);
}

TEST_F(restartable_sequence, stores_nothing_if_it_finds_something_else) {
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(clear_if_equal(word, 6));
  EXPECT_EQ(word.load(), 7U);
}

TEST_F(restartable_sequence, gives_up_where_the_system_has_none) {
  if constexpr (restartable) {
    const std::int64_t area = restart_area;
    restart_area = 0;
    EXPECT_FALSE(clear_if_equal(word, 7));
    restart_others();  // needs no permission
    restart_area = area;
  }
  EXPECT_EQ(word.load(), 7U);
}

// Another thread takes and gives all the time. A mark is lost only before restart_others() returns.
TEST_F(restartable_sequence, loses_no_change_once_the_others_have_been_restarted) {
  constexpr std::uint32_t mark = 8;
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> given{0};
  const std::jthread other{[&] {
    while (!over) {
      std::uint32_t free = 0;
      word.compare_exchange_strong(free, 7);
      if (clear_if_equal(word, 7)) given.fetch_add(1, std::memory_order_relaxed);
    }
  }};
  while (given == 0) spin_pause();
  int kept_while_taken = 0;
  for (int i = 0; i < 20'000 || kept_while_taken < 10; ++i) {
    word.fetch_or(mark);
    restart_others();
    const std::uint32_t marked = word.load();
    if ((marked & mark) == 0) continue;
    if (marked != mark) ++kept_while_taken;
    for (int k = 0; k < 50; ++k) EXPECT_NE(word.load() & mark, 0U);
    word.fetch_and(~mark);
  }
  over = true;
}

// With a guard: 1 is open.
bool clear_open(const std::atomic<std::uint64_t>& guard, std::atomic<std::uint64_t>& where) {
  return clear_if_guarded<3, 1>(guard, where, 7);
}

TEST_F(restartable_sequence, stores_0_while_the_guard_says_so) {
  if (restart_area == 0) return;
  std::atomic<std::uint64_t> where{7};
  std::atomic<std::uint64_t> guard{~std::uint64_t{2}};
  while (!clear_open(guard, where)) {
  }
  EXPECT_EQ(where, 0U);
  where = 7;
  guard = 3;
  EXPECT_FALSE(clear_open(guard, where));
  guard = 1;
  where = 8;
  EXPECT_FALSE(clear_open(guard, where));
  EXPECT_EQ(where, 8U);
}

TEST_F(restartable_sequence, stores_nothing_once_the_guard_has_been_closed_and_the_others_restarted) {
  if (restart_area == 0) return;
  std::atomic<std::uint64_t> where{0};
  std::atomic<std::uint64_t> guard{1};
  std::atomic<bool> over{false};
  std::jthread other{[&] {
    while (!over) {
      where = 7;
      if (clear_open(guard, where)) continue;
      while (where != 0 && !over) std::this_thread::yield();
    }
  }};
  int found = 0;
  for (int i = 0; i < 1'000 || found == 0; ++i) {
    guard = 0;
    restart_others();
    if (where == 7) {
      ++found;
      std::uint64_t mine = 7;
      EXPECT_TRUE(where.compare_exchange_strong(mine, 0)) << "it has been cleared meanwhile";
    }
    guard = 1;
  }
  over = true;
}

#if defined(__x86_64__)
// Keeps the calling thread on the first or on the last of the processors that the process may use: two threads that share
// one would interrupt each other's sequences anyway.
void stay_on(bool first) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(getpid(), sizeof allowed, &allowed), 0);
  int chosen = -1;
  for (int cpu = 0; cpu < CPU_SETSIZE && (chosen < 0 || !first); ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) chosen = cpu;
  }
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(chosen, &only);
  ASSERT_EQ(sched_setaffinity(0, sizeof only, &only), 0);
}

// clear_if_equal(word, 7), but between its look and its store it waits until `go` is not 0.
bool clear_slowly(std::atomic<std::uint32_t>& word, const std::atomic<std::uint32_t>& go) {
  asm goto volatile(
      ".pushsection __rseq_cs, \"aw\"\n"
      ".balign 32\n"
      "3: .long 0, 0\n"
      ".quad 1f, 2f - 1f, 4f\n"
      ".popsection\n"
      "leaq 3b(%%rip), %%rax\n"
      "movq %%rax, %%fs:8(%[area])\n"
      "1: cmpl $7, %[word]\n"
      "jne %l[not_stored]\n"
      "5: cmpl $0, %[go]\n"
      "je 5b\n"
      "movl $0, %[word]\n"
      "2:\n"
      ".pushsection __rseq_failure, \"ax\"\n"
      ".byte 0x0f, 0xb9, 0x3d\n"
      ".long 0x53053053\n"
      "4: jmp %l[not_stored]\n"
      ".popsection\n"
      :
      : [word] "m"(word), [go] "m"(go), [area] "r"(restart_area)
      : "rax", "memory", "cc"
      : not_stored);
  return true;
not_stored:
  return false;
}

TEST_F(restartable_sequence, begins_anew_when_others_ask_for_it_between_look_and_store) {
  if (restart_area == 0) return;  // then clear_if_equal() is a compare-and-swap, or gives up
  std::jthread{[&] {
    stay_on(true);
    for (int i = 0; i < 200; ++i) {
      word = 7;
      std::atomic<std::uint32_t> go{0};
      std::atomic<bool> begun{false};
      bool stored = false;
      std::jthread other{[&] {
        stay_on(false);
        begun = true;
        stored = clear_slowly(word, go);
      }};
      while (!begun) std::this_thread::yield();
      for (int k = 0; k < 1'000; ++k) spin_pause();  // by now it most likely waits between the two
      word.fetch_or(8);
      restart_others();
      go = 1;
      other.join();
      ASSERT_EQ(word.load(), 15U);
      ASSERT_FALSE(stored);
    }
  }};
}
#endif

}  // namespace
}  // namespace heddle::sys
