#include <heddle/task/scope.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task_local.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

/// Counts how many of its kind are alive.
class living {
 public:
  explicit living(std::atomic<int>& count) : count_{count} { ++count_; }
  living(const living&) = delete;
  living& operator=(const living&) = delete;
  ~living() { --count_; }

 private:
  std::atomic<int>& count_;
};

task<void> wait_for(semaphore& s, std::atomic<int>& alive) {
  const living self{alive};
  const semaphore_permit permit = co_await s.async_acquire();
}

task<void> fail(std::string why) {
  co_await this_task::yield();
  throw std::runtime_error{why};
}

task<void> succeed() { co_await this_task::yield(); }

task<void> end_as_stopped() { co_await this_task::end_as_stopped(); }

TEST(scope, children_run_concurrently) {
  manual_executor ready;
  semaphore go{0};
  std::atomic<int> alive{0};
  const auto open = [](semaphore& s, std::atomic<int>& count) -> task<void> {
    co_await with_scope([&](scope& children) -> task<void> {
      for (int i = 0; i < 3; ++i) children.spawn(wait_for(s, count), "child");
      EXPECT_EQ(children.running(), 3U);
      co_return;
    });
  };
  started whole{ready, open(go, alive)};
  ready.run_all();
  ASSERT_TRUE(waited_for(go, 3));
  EXPECT_EQ(alive, 3);
  EXPECT_EQ(test::waits_for(&go).front().name, "child");
  EXPECT_EQ(test::waits_named("scope").size(), 1U) << "the opener waits for its children";
  go.release(3);
  ready.run_all();
  EXPECT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.how().has_value());
}

TEST(scope, children_never_outlive_it) {
  enum class body_ends : std::uint8_t { returns, throws, stops };
  for (const body_ends how : {body_ends::returns, body_ends::throws, body_ends::stops}) {
    manual_executor ready;
    semaphore never{0};
    std::atomic<int> alive{0};
    int alive_at_end = -1;
    const auto open = [](semaphore& s, std::atomic<int>& count, body_ends end, int& at_end) -> task<void> {
      struct observer {
        std::atomic<int>& count;
        int& at_end;
        ~observer() { at_end = count; }
      };
      const observer last{count, at_end};
      co_await with_scope([&](scope& children) -> task<void> {
        children.spawn(wait_for(s, count));
        children.spawn(wait_for(s, count));
        co_await this_task::yield();
        if (end == body_ends::throws) throw std::runtime_error{"body"};
        if (end == body_ends::stops) co_await this_task::end_as_stopped();
      });
    };
    started whole{ready, open(never, alive, how, alive_at_end)};
    ready.run_all();
    if (how == body_ends::returns) {
      EXPECT_EQ(alive, 2);
      EXPECT_FALSE(whole.has_ended());
      whole.stop();
      ready.run_all();
    }
    ASSERT_TRUE(whole.has_ended());
    EXPECT_EQ(alive_at_end, 0);
    EXPECT_EQ(whole.was_stopped(), how != body_ends::throws);
    EXPECT_TRUE(test::waits_for(&never).empty());
  }
}

TEST(scope, fail_fast_stops_the_others_and_rethrows) {
  semaphore never{0};
  std::atomic<int> alive{0};
  const auto open = [](semaphore& s, std::atomic<int>& count) -> task<std::string> {
    try {
      co_await with_scope([&](scope& children) -> task<void> {
        children.spawn(wait_for(s, count));
        children.spawn(fail("first"));
        children.spawn(wait_for(s, count));
        co_await wait_for(s, count);
      });
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(count, 0);
      co_return error.what();
    }
    co_return "nothing was thrown";
  };
  EXPECT_EQ(sync_wait(open(never, alive)), "first");
}

TEST(scope, what_the_body_throws_counts_as_a_failure) {
  semaphore never{0};
  std::atomic<int> alive{0};
  const auto open = [](semaphore& s, std::atomic<int>& count) -> task<void> {
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(wait_for(s, count));
      co_await fail("body");
    });
  };
  EXPECT_THROW(sync_wait(open(never, alive)), std::runtime_error);
  EXPECT_EQ(alive, 0);
}

TEST(scope, collect_all_keeps_every_error) {
  const auto open = [](bool& fourth_ran) -> task<std::size_t> {
    try {
      co_await with_scope(
          [&](scope& children) -> task<void> {
            for (const char* name : {"one", "two"}) children.spawn(fail(name));
            children.spawn([](bool& ran) -> task<void> {
              for (int i = 0; i < 5; ++i) co_await this_task::yield();
              ran = true;
            }(fourth_ran));
            co_await fail("body");
          },
          scope_policy::collect_all);
    } catch (const scope_errors& all) {
      EXPECT_NE(std::string{all.what()}, "");
      co_return all.errors().size();
    }
    co_return 0;
  };
  bool fourth_ran = false;
  EXPECT_EQ(sync_wait(open(fourth_ran)), 3U);
  EXPECT_TRUE(fourth_ran) << "nobody is stopped";
}

TEST(scope, first_success_stops_the_others) {
  semaphore never{0};
  std::atomic<int> alive{0};
  const auto open = [](semaphore& s, std::atomic<int>& count, bool success) -> task<std::size_t> {
    try {
      co_await with_scope(
          [&](scope& children) -> task<void> {
            if (success) children.spawn(wait_for(s, count));
            children.spawn(fail("one"));
            if (success) children.spawn(succeed());
            children.spawn(fail("two"));
            co_return;
          },
          scope_policy::first_success);
    } catch (const scope_errors& all) {
      co_return all.errors().size();
    }
    co_return 0;
  };
  EXPECT_EQ(sync_wait(open(never, alive, true)), 0U);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(sync_wait(open(never, alive, false)), 2U);
}

TEST(scope, a_stop_reaches_the_children_and_then_unwinds) {
  manual_executor ready;
  manual_executor slow;
  semaphore never{0};
  std::atomic<int> alive{0};
  const auto open = [](semaphore& s, std::atomic<int>& count, executor& elsewhere) -> task<void> {
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(wait_for(s, count));
      children.spawn_on(elsewhere, wait_for(s, count));
      co_await wait_for(s, count);
    });
    ADD_FAILURE() << "the opener went on";
  };
  started whole{ready, open(never, alive, slow)};
  ready.run_all();
  slow.run_all();
  ASSERT_TRUE(waited_for(never, 3));
  whole.stop();
  ready.run_all();
  EXPECT_EQ(alive, 1);
  EXPECT_FALSE(whole.has_ended()) << "a child has not ended yet";
  slow.run_all();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.was_stopped());
  EXPECT_EQ(alive, 0);
}

TEST(scope, a_child_can_run_on_another_executor) {
  loop_thread other;
  const auto open = [](executor& there) -> task<std::pair<std::thread::id, std::thread::id>> {
    std::pair<std::thread::id, std::thread::id> where;
    co_await with_scope([&](scope& children) -> task<void> {
      const auto note = [](std::thread::id& id) -> task<void> {
        co_await this_task::yield();
        id = std::this_thread::get_id();
      };
      children.spawn(note(where.first));
      children.spawn_on(there, note(where.second));
      co_return;
    });
    co_return where;
  };
  EXPECT_EQ(sync_wait(open(other.where())), std::pair(std::this_thread::get_id(), other.id()));
}

TEST(scope, a_child_may_start_others) {
  const auto open = [](std::atomic<int>& ran) -> task<void> {
    co_await with_scope([&](scope& children) -> task<void> {
      const auto grow = [](auto self, scope& in, std::atomic<int>& count, int depth) -> task<void> {
        ++count;
        if (depth == 0) co_return;
        in.spawn(self(self, in, count, depth - 1));
        in.spawn(self(self, in, count, depth - 1));
        co_await this_task::yield();
      };
      children.spawn(grow(grow, children, ran, 6));
      co_return;
    });
  };
  std::atomic<int> ran{0};
  sync_wait(open(ran));
  EXPECT_EQ(ran, 127);
}

TEST(scope, stopped_by_hand_it_ends_its_children_and_goes_on) {
  semaphore never{0};
  std::atomic<int> alive{0};
  const auto open = [](semaphore& s, std::atomic<int>& count) -> task<bool> {
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(wait_for(s, count));
      co_await this_task::yield();
      children.stop();
    });
    co_return true;
  };
  EXPECT_TRUE(sync_wait(open(never, alive)));
  EXPECT_EQ(alive, 0);
}

TEST(scope, a_body_that_ends_as_stopped_unwinds_the_opener_whatever_the_children_did) {
  const auto open = [](bool with_child) -> task<void> {
    co_await with_scope([&](scope& children) -> task<void> {
      if (with_child) children.spawn(succeed());
      for (int i = 0; i < 3; ++i) co_await this_task::yield();
      co_await this_task::end_as_stopped();
    });
  };
  EXPECT_TRUE(sync_wait_outcome(open(false)).is_stopped());
  EXPECT_TRUE(sync_wait_outcome(open(true)).is_stopped());
}

TEST(scope, a_stopped_child_is_no_failure) {
  const auto open = []() -> task<bool> {
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(end_as_stopped());
      children.spawn(succeed());
      co_return;
    });
    co_return true;
  };
  EXPECT_TRUE(sync_wait(open()));
}

constexpr task_local<int> request;

TEST(scope, a_child_inherits_deadline_stop_name_and_locals) {
  manual_executor ready;
  semaphore never{0};
  struct seen {
    deadline until;
    const int* request = nullptr;
    bool stopped_before = false;
    bool stopped_after = false;
  };
  seen child;
  const auto look = [](seen& by, semaphore& s) -> task<void> {
    const task_context& own = co_await this_task::context();
    by.until = own.until;
    by.request = co_await request.get();
    by.stopped_before = own.stop.stop_requested();
    struct at_end {
      seen& by;
      const task_context& own;
      ~at_end() { by.stopped_after = own.stop.stop_requested(); }
    };
    const at_end last{by, own};
    (void)co_await s.async_acquire();
  };
  const auto open = [](auto body, seen& by, semaphore& s) -> task<void> {
    co_await request.with(7, with_scope([&](scope& children) -> task<void> {
                            children.spawn(body(by, s));
                            co_return;
                          }));
  };
  started whole{ready, open(look, child, never), "opener", deadline::at_ns(9'000'000'000'000'000'000)};
  ready.run_all();
  ASSERT_TRUE(waited_for(never));
  EXPECT_EQ(test::waits_for(&never).front().name, "opener");
  EXPECT_EQ(child.until, deadline::at_ns(9'000'000'000'000'000'000));
  ASSERT_NE(child.request, nullptr);
  EXPECT_EQ(*child.request, 7);
  EXPECT_FALSE(child.stopped_before);
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.was_stopped());
  EXPECT_TRUE(child.stopped_after);
}

TEST(scope, errors_come_in_the_order_of_the_failures) {
  const auto open = []() -> task<std::string> {
    try {
      co_await with_scope(
          [](scope& children) -> task<void> {
            children.spawn(fail("a"));
            children.spawn(fail("b"));
            co_await this_task::yield();
            co_await this_task::yield();
            children.spawn(fail("d"));
            throw std::runtime_error{"c"};
          },
          scope_policy::collect_all);
    } catch (const scope_errors& all) {
      std::string order;
      for (const std::exception_ptr& each : all.errors()) {
        try {
          std::rethrow_exception(each);
        } catch (const std::runtime_error& error) {
          order += error.what();
        }
      }
      co_return order;
    }
    co_return "nothing was thrown";
  };
  EXPECT_EQ(sync_wait(open()), "abcd");
}

TEST(scope, children_on_many_threads_are_all_joined) {
  loop_thread one;
  loop_thread other;
  std::atomic<int> ran{0};
  const auto open = [](executor& a, executor& b, std::atomic<int>& count) -> task<void> {
    for (int round = 0; round < 200; ++round) {
      co_await with_scope([&](scope& children) -> task<void> {
        const auto work = [](std::atomic<int>& c) -> task<void> {
          co_await this_task::yield();
          ++c;
        };
        for (int i = 0; i < 3; ++i) {
          children.spawn_on(a, work(count));
          children.spawn_on(b, work(count));
        }
        co_return;
      });
    }
  };
  sync_wait(open(one.where(), other.where(), ran));
  EXPECT_EQ(ran, 1'200);
}

}  // namespace
}  // namespace heddle
