#include <heddle/park/agent.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/snapshot.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using test::eventually;
using test::loop_thread;
using test::started;

TEST(agent, a_thread_takes_a_slot_at_its_first_use) {
  std::jthread{[] {
    EXPECT_EQ(&current_agent(), &thread_agent());
    EXPECT_EQ(current_agent().what(), agent::kind::thread);
    EXPECT_EQ(current_agent().id_if_any(), 0U);
    mutex m;
    m.lock();
    EXPECT_NE(current_agent().id_if_any(), 0U);
    EXPECT_EQ(m.holder(), current_agent().id());
    EXPECT_EQ(current_agent().held(), 1U);
    m.unlock();
    EXPECT_EQ(current_agent().held(), 0U);
  }}.join();
}

TEST(agent, a_further_node_shows_no_agent) {
  park::slot& node = park::take_node();
  park::slot& other = park::take_node();
  EXPECT_NE(node.index, other.index);
  EXPECT_NE(node.index, current_agent().id());
  EXPECT_EQ(park::record_at(node.index).info.load(), 0U);
  EXPECT_FALSE(node.queued);
  EXPECT_EQ(node.item, nullptr);
  park::free_node(other);
  park::free_node(node);
  park::slot& again = park::take_node();
  EXPECT_EQ(again.index, node.index) << "it serves others afterwards";
  park::free_node(again);
}

TEST(agent, ids_are_not_shared) {
  constexpr std::size_t count = 16;
  std::mutex lock;
  std::set<std::uint32_t> ids;
  std::atomic<bool> enough{false};
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < count; ++t) {
    threads.emplace_back([&] {
      {
        const std::lock_guard guard{lock};
        ids.insert(current_agent().id());
      }
      while (!enough) std::this_thread::yield();
    });
  }
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard guard{lock};
    return ids.size() == count;
  }));
  enough = true;
}

TEST(agent, an_ended_one_gives_its_slot_back) {
  const std::uint32_t before = park::slots_in_use_end();
  (void)current_agent().id();
  for (int i = 0; i < 50; ++i) {
    std::jthread{[] { (void)current_agent().id(); }}.join();
    mutex m;
    const auto lock_once = [](mutex& lock) -> task<void> { const auto held = co_await lock.async_lock(); };
    sync_wait(lock_once(m));
  }
  EXPECT_LE(park::slots_in_use_end(), before + 8);
}

TEST(agent, the_current_one_is_the_running_task) {
  loop_thread loop;
  const auto look = [](executor& back) -> task<bool> {
    agent& self = current_agent();
    bool right = self.what() == agent::kind::task && self.runs_on() == &back && &self != &thread_agent();
    co_await this_task::yield();
    co_return right && &current_agent() == &self;
  };
  started first{loop.where(), look(loop.where())};
  started second{loop.where(), look(loop.where())};
  ASSERT_TRUE(first.ends());
  ASSERT_TRUE(second.ends());
  EXPECT_TRUE(first.value());
  EXPECT_TRUE(second.value());
}

TEST(agent, a_scope_puts_back_the_one_before) {
  agent& before = current_agent();
  agent other{agent::kind::task, "other", nullptr};
  {
    const agent_scope scope{other};
    EXPECT_EQ(&current_agent(), &other);
    EXPECT_NE(&thread_agent(), &other);
  }
  EXPECT_EQ(&current_agent(), &before);
}

TEST(agent, a_slot_shows_the_name_of_its_agent) {
  mutex m{"the door"};
  std::unique_lock mine{m};
  loop_thread loop;
  const auto lock_once = [](mutex& lock) -> task<void> { const auto held = co_await lock.async_lock(); };
  started<void> waiter{loop.where(), lock_once(m), "a name that is longer than forty-seven characters, which is cut"};
  ASSERT_TRUE(test::waited_for(m));
  EXPECT_EQ(test::waits_for(&m).front().name, "a name that is longer than forty-seven characte");
  mine.unlock();
  EXPECT_TRUE(waiter.ends());
}

// --- fork ---

ino_t record_inode() {
  struct stat status{};
  return fstat(park::record_file(), &status) == 0 ? status.st_ino : 0;
}

// Ends the process with what the forked child says: 0 when all is well.
template <class Child>
[[noreturn]] void fork_and(Child child) {
  const pid_t pid = fork();
  if (pid == 0) std::_Exit(child() ? 0 : 1);
  int status = 0;
  waitpid(pid, &status, 0);
  std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

[[noreturn]] void fork_a_child_that_locks() {
  static mutex m;
  m.lock();
  m.unlock();
  const ino_t parents = record_inode();
  const std::uint32_t id = current_agent().id();
  fork_and([=] {
    if (parents == 0 || record_inode() == 0 || record_inode() == parents) return false;
    if (current_agent().id() != id || park::snapshot::take().agents != 1) return false;
    int count = 0;
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&] {
          for (int i = 0; i < 1'000; ++i) {
            const std::lock_guard held{m};
            ++count;
          }
        });
      }
      for (int i = 0; i < 1'000; ++i) {
        const std::lock_guard held{m};
        ++count;
      }
    }
    const auto time_out = [](mutex& lock) -> task<bool> {
      const auto held = co_await lock.async_lock_until(deadline::after(std::chrono::milliseconds{2}));
      co_return !held;
    };
    const std::lock_guard mine{m};
    return count == 3'000 && sync_wait(time_out(m));
  });
}

[[noreturn]] void fork_while_another_holds_a_lock() {
  watch::configure(watch::settings::off());  // ThreadSanitizer allows no new thread in the child, and watch has one
  static mutex m;
  static std::atomic<bool> held{false};
  std::thread{[] {
    const std::lock_guard mine{m};
    held = true;
    while (true) std::this_thread::yield();
  }}.detach();
  while (!held) std::this_thread::yield();
  fork_and([] {
    return !m.lock_until(deadline::after(std::chrono::milliseconds{1})) && m.holder() != 0 &&
           m.holder() != current_agent().id();
  });
}

using agent_fork = test::misuse;

TEST_F(agent_fork, the_child_has_its_own_record_file_and_goes_on_locking) {
  EXPECT_EXIT(fork_a_child_that_locks(), testing::ExitedWithCode(0), "");
}

TEST_F(agent_fork, what_another_thread_held_stays_held_in_the_child) {
  EXPECT_EXIT(fork_while_another_holds_a_lock(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace heddle
