// What threads do with channels at the same time has an order, with each operation at one moment of its own.

#include <heddle/channel/channel.hpp>
#include <heddle/channel/select.hpp>

#include <gtest/gtest.h>
#include <heddle/sys/compiler.hpp>
#include <tests/support/linearizable.hpp>
#include <tests/support/stress.hpp>

#include <array>
#include <atomic>
#include <compare>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using test::is_linearizable;

enum class outcome_is : std::uint8_t { done, closed, nothing };

/// A send or receive of one channel, or one case of a select.
struct step {
  enum kind : std::uint8_t { send, receive, close } what;
  std::size_t channel;
  int item;  // sent or received
};

/// What was tried together, and what happened: one of the steps, or none.
struct call {
  std::vector<step> tried;
  std::size_t which;
  outcome_is how;
};

/// A channel that does one thing at a time. In a rendezvous an item that has been sent is in hand until it is received, and
/// nothing else can happen meanwhile: the two happen at one moment.
struct model {
  struct one {
    std::size_t capacity;
    std::deque<int> inside{};
    bool closed = false;
    auto operator<=>(const one&) const = default;
  };
  std::array<one, 2> channels;
  int in_hand = -1;
  std::size_t hand_of = 0;
  auto operator<=>(const model&) const = default;

  [[nodiscard]] bool may_end() const { return in_hand < 0; }

  [[nodiscard]] bool possible(const step& s) const {
    const one& c = channels[s.channel];
    if (c.closed) return true;
    if (c.capacity == 0) return false;  // whether somebody waits at the other side is not known
    return s.what == step::send ? c.inside.size() < c.capacity : !c.inside.empty();
  }

  bool apply(const call& done) {
    if (done.how == outcome_is::nothing) {
      if (in_hand >= 0) return false;
      for (const step& s : done.tried) {
        if (possible(s)) return false;
      }
      return true;
    }
    const step& s = done.tried[done.which];
    one& c = channels[s.channel];
    if (in_hand >= 0 && (s.what != step::receive || hand_of != s.channel || done.how != outcome_is::done)) return false;
    if (s.what == step::close) {
      c.closed = true;
      return true;
    }
    if (done.how == outcome_is::closed) return c.closed && (s.what == step::send || c.inside.empty());
    if (s.what == step::send) {
      if (c.closed) return false;
      if (c.capacity == 0) {
        in_hand = s.item;
        hand_of = s.channel;
        return true;
      }
      if (c.inside.size() == c.capacity) return false;
      c.inside.push_back(s.item);
      return true;
    }
    if (c.capacity == 0) {
      if (in_hand != s.item) return false;
      in_hand = -1;
      return true;
    }
    if (c.inside.empty() || c.inside.front() != s.item) return false;
    c.inside.pop_front();
    return true;
  }
};

std::string described(const std::vector<test::recorded<call>>& history) {
  std::string text;
  for (const test::recorded<call>& r : history) {
    text += std::to_string(r.begun) + "-" + std::to_string(r.ended) + ":";
    for (std::size_t i = 0; i < r.what.tried.size(); ++i) {
      const step& s = r.what.tried[i];
      text += std::string{" "} + "src"[s.what] + std::to_string(s.channel) + "(" + std::to_string(s.item) + ")";
      if (r.what.how != outcome_is::nothing && i == r.what.which) {
        text += r.what.how == outcome_is::done ? " happened" : " closed";
      }
    }
    text += "\n";
  }
  return text;
}

outcome_is how_of(std::optional<wait_error> failure) {
  if (!failure) return outcome_is::done;
  return *failure == wait_error::closed ? outcome_is::closed : outcome_is::nothing;
}

using two_channels = std::array<channel<int>, 2>;

/// One random operation, or a select of several.
call act(two_channels& c, test::dice& dice, int item, bool selects) {
  const auto until = [&] { return deadline::after(std::chrono::microseconds{dice.below(3) * 10}); };
  const std::size_t on = dice.below(2);
  if (dice.below(30) == 0) {
    c[on].close();
    return {{{step::close, on, 0}}, 0, outcome_is::done};
  }
  if (!selects) {
    if (dice.below(2) == 0) {
      const auto sent = dice.below(2) == 0 ? c[on].try_send(item) : c[on].send(item, until());
      return {{{step::send, on, item}}, 0, how_of(sent ? std::nullopt : std::optional{sent.error().why})};
    }
    const auto got = dice.below(2) == 0 ? c[on].try_recv() : c[on].recv(until());
    return {{{step::receive, on, got.value_or(0)}}, 0, how_of(got ? std::nullopt : std::optional{got.error()})};
  }
  recv_case get_first{c[0]};
  recv_case get_second{c[1]};
  send_case put{c[on], item};
  std::vector<select_ref> cases{get_first, put, get_second};
  call done{{{step::receive, 0, 0}, {step::send, on, item}, {step::receive, 1, 0}}, 0, outcome_is::nothing};
  if (const std::size_t without = dice.below(4); without < 3) {
    cases.erase(cases.begin() + static_cast<std::ptrdiff_t>(without));
    done.tried.erase(done.tried.begin() + static_cast<std::ptrdiff_t>(without));
  }
  std::optional<std::size_t> which;
  if (dice.below(2) == 0) {
    which = try_select(cases);
  } else if (const auto found = select(cases, until())) {
    which = *found;
  }
  if (!which) return done;
  done.which = *which;
  if (put.happened()) {
    const auto sent = put.result();
    done.how = how_of(sent ? std::nullopt : std::optional{sent.error().why});
    return done;
  }
  const auto got = (get_first.happened() ? get_first : get_second).result();
  done.tried[*which].item = got.value_or(0);
  done.how = how_of(got ? std::nullopt : std::optional{got.error()});
  return done;
}

/// Threads that act at random on two channels, over and over; their history must have an order.
void expect_linearizable(std::array<std::size_t, 2> capacities, bool selects) {
  constexpr int rounds = sys::under_tsan ? 60 : 400;
  constexpr unsigned threads = 3;
  constexpr int calls_of_each = 7;
  for (int round = 0; round < rounds; ++round) {
    two_channels c{channel<int>{channel_capacity{capacities[0]}}, channel<int>{channel_capacity{capacities[1]}}};
    std::atomic<std::uint64_t> clock{0};
    std::vector<test::recorder<call>> recorders(threads, test::recorder<call>{clock});
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        test::dice dice{static_cast<unsigned>(round) * threads + t + 1};
        ++ready;
        while (ready.load() < threads) std::this_thread::yield();
        for (int i = 0; i < calls_of_each; ++i) {
          const int item = static_cast<int>(t) * calls_of_each + i + 1;
          recorders[t].record([&] { return act(c, dice, item, selects && dice.below(3) != 0); });
        }
      });
    }
    for (std::thread& t : running) t.join();
    std::vector<test::recorded<call>> history;
    for (const auto& r : recorders) history.insert(history.end(), r.calls().begin(), r.calls().end());
    const model start{{{{capacities[0]}, {capacities[1]}}}};
    ASSERT_TRUE(is_linearizable(history, start)) << described(history);
  }
}

TEST(linearizable, bounded_channels) { expect_linearizable({1, 2}, false); }
TEST(linearizable, rendezvous_and_unbounded_channels) { expect_linearizable({0, SIZE_MAX}, false); }
TEST(linearizable, selects) { expect_linearizable({1, 1}, true); }
TEST(linearizable, selects_on_a_rendezvous) { expect_linearizable({0, 1}, true); }

// The checker itself: it refuses what no order explains.
TEST(linearizable, the_checker_refuses_what_cannot_be) {
  const model start{{{{1}, {1}}}};
  const auto sent = [](int item) { return call{{{step::send, 0, item}}, 0, outcome_is::done}; };
  const auto got = [](int item) { return call{{{step::receive, 0, item}}, 0, outcome_is::done}; };
  const call found_nothing{{{step::receive, 0, 0}}, 0, outcome_is::nothing};
  using history = std::vector<test::recorded<call>>;
  EXPECT_TRUE(is_linearizable(history{{sent(1), 0, 1}, {got(1), 2, 3}}, start));
  EXPECT_TRUE(is_linearizable(history{{got(1), 0, 3}, {sent(1), 1, 2}}, start));
  EXPECT_FALSE(is_linearizable(history{{got(1), 0, 1}, {sent(1), 2, 3}}, start)) << "before it was sent";
  EXPECT_FALSE(is_linearizable(history{{sent(1), 0, 1}, {got(1), 2, 3}, {got(1), 4, 5}}, start)) << "twice";
  EXPECT_FALSE(is_linearizable(history{{sent(1), 0, 1}, {sent(2), 2, 3}}, start)) << "no room";
  EXPECT_FALSE(is_linearizable(history{{sent(1), 0, 1}, {found_nothing, 2, 3}}, start)) << "it was there";
  EXPECT_TRUE(is_linearizable(history{{sent(1), 0, 2}, {found_nothing, 1, 3}}, start));
  const call closed{{{step::close, 0, 0}}, 0, outcome_is::done};
  EXPECT_FALSE(is_linearizable(history{{closed, 0, 1}, {sent(1), 2, 3}}, start)) << "after the close";
  EXPECT_TRUE(is_linearizable(history{{closed, 0, 2}, {sent(1), 1, 3}}, start));
}

}  // namespace
