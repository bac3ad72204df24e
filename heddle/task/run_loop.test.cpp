#include <heddle/task/run_loop.hpp>

#include <gtest/gtest.h>
#include <tests/support/misuse.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

/// Calls a function when it is run.
template <class Function>
struct calling final : work_item {
  explicit calling(Function f) : function{std::move(f)} {
    run = [](work_item* item) noexcept { static_cast<calling*>(item)->function(); };
  }
  Function function;
};

TEST(run_loop, runs_items_in_order) {
  run_loop loop;
  std::vector<int> order;
  const auto note = [&order](int i) { return [&order, i] { order.push_back(i); }; };
  std::deque<calling<decltype(note(0))>> items;
  for (int i = 0; i < 5; ++i) items.emplace_back(note(i));
  for (auto& each : items) loop.post(each);
  EXPECT_TRUE(order.empty()) << "post() runs nothing";
  loop.finish();
  loop.run();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
}

TEST(run_loop, never_runs_an_item_inside_post) {
  run_loop loop;
  bool outer_done = false;
  bool right = false;
  calling inner{[&] { right = outer_done; }};
  calling outer{[&] {
    loop.post(inner);
    outer_done = true;
    loop.finish();
  }};
  loop.post(outer);
  loop.run();
  EXPECT_TRUE(right);
}

TEST(run_loop, an_item_may_destroy_itself) {
  run_loop loop;
  struct once final : work_item {
    explicit once(bool& r) : ran{r} {
      run = [](work_item* item) noexcept {
        const std::unique_ptr<once> self{static_cast<once*>(item)};
        self->ran = true;
      };
    }
    bool& ran;
  };
  bool ran = false;
  loop.post(*std::make_unique<once>(ran).release());
  loop.finish();
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(run_loop, wakes_up_for_what_other_threads_post) {
  constexpr int count = 2'000;
  run_loop loop{"the loop of the test"};
  std::atomic<int> ran{0};
  std::thread::id on;
  std::thread runner{[&] {
    on = std::this_thread::get_id();
    loop.run();
  }};
  ASSERT_TRUE(test::eventually([] { return test::waits_named("the loop of the test").size() == 1; }));
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        const auto count_up = [&] { ++ran; };
        std::deque<calling<decltype(count_up)>> items;
        for (int i = 1; i <= count; ++i) loop.post(items.emplace_back(count_up));
        EXPECT_TRUE(test::eventually([&] { return ran == 2 * count; }));
      });
    }
  }
  loop.finish();
  runner.join();
  EXPECT_EQ(ran, 2 * count);
}

TEST(run_loop, can_run_again_after_it_finished) {
  run_loop loop;
  int ran = 0;
  for (int i = 1; i <= 3; ++i) {
    calling item{[&] { ++ran; }};
    loop.post(item);
    loop.finish();
    loop.run();
    EXPECT_EQ(ran, i);
  }
}

TEST(run_loop, may_be_destroyed_once_run_has_returned) {
  for (int i = 0; i < 500; ++i) {
    auto loop = std::make_unique<run_loop>();
    std::jthread finisher{[l = loop.get()] { l->finish(); }};
    loop->run();
    loop.reset();
  }
}

using run_loop_misuse = test::misuse;

void destroy_with_work() {
  calling item{[] {}};
  run_loop loop;
  loop.post(item);
}

TEST_F(run_loop_misuse, destroying_it_with_work_in_it_is_fatal) {
  EXPECT_DEATH(destroy_with_work(), "a run_loop was destroyed with work in it");
}

}  // namespace
}  // namespace heddle
