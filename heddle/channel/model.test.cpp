// Random operations, one after the other, against a model that keeps its items in a deque.

#include <heddle/channel/channel.hpp>
#include <heddle/channel/select.hpp>

#include <gtest/gtest.h>
#include <heddle/sys/compiler.hpp>
#include <tests/support/stress.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace {

using namespace heddle;

constexpr int sequences = sys::under_tsan ? 50 : 400;
constexpr int steps_of_each = 150;

/// What a channel must be like, told by single operations that do not wait.
struct model {
  std::size_t capacity;
  std::deque<int> inside{};
  std::size_t reserved = 0;
  bool closed = false;

  [[nodiscard]] bool has_room() const { return inside.size() + reserved < capacity; }
  [[nodiscard]] std::optional<wait_error> send(int item) {
    if (closed) return wait_error::closed;
    if (!has_room()) return wait_error::timeout;
    inside.push_back(item);
    return {};
  }
  [[nodiscard]] std::expected<int, wait_error> receive() {
    if (inside.empty()) return std::unexpected{closed && reserved == 0 ? wait_error::closed : wait_error::timeout};
    const int item = inside.front();
    inside.pop_front();
    return item;
  }
};

using item = std::unique_ptr<int>;

std::optional<wait_error> why(const std::expected<void, send_error<item>>& sent) {
  return sent ? std::nullopt : std::optional{sent.error().why};
}

std::size_t any_capacity(test::dice& dice) {
  const unsigned n = dice.below(6);
  return n == 5 ? unbounded.places : n;
}

void expect_same(const channel<item>& c, const model& m) {
  const channel_stats stats = c.stats();
  ASSERT_EQ(stats.length, m.inside.size());
  ASSERT_EQ(stats.reserved, m.reserved);
  ASSERT_EQ(stats.sent - stats.received, m.inside.size());
  ASSERT_EQ(stats.waiting_senders + stats.waiting_receivers, 0U);
  ASSERT_EQ(c.closed(), m.closed);
}

TEST(channel_model, random_operations_do_what_the_model_does) {
  for (unsigned seed = 1; seed <= sequences; ++seed) {
    test::dice dice{seed};
    model m{any_capacity(dice)};
    channel<item> c{channel_capacity{m.capacity}};
    std::vector<reservation<item>> places;
    for (int i = 0; i < steps_of_each; ++i) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << i);
      switch (dice.below(dice.below(20) == 0 ? 9 : 8)) {
        case 0:
        case 1: ASSERT_EQ(why(c.try_send(std::make_unique<int>(i))), m.send(i)); break;
        case 2: {
          const auto sent = c.send(std::make_unique<int>(i), deadline::after(std::chrono::seconds{-1}));
          if (!sent) ASSERT_EQ(*sent.error().value, i);
          ASSERT_EQ(why(sent), m.send(i));
          break;
        }
        case 3:
        case 4: {
          const auto got = dice.below(2) == 0 ? c.try_recv() : c.recv(deadline::after(std::chrono::seconds{-1}));
          const auto expected = m.receive();
          ASSERT_EQ(got.has_value(), expected.has_value());
          if (got) ASSERT_EQ(**got, *expected);
          if (!got) ASSERT_EQ(got.error(), expected.error());
          break;
        }
        case 5: {
          std::vector<item> got;
          const std::size_t most = dice.below(4);
          const auto count = c.recv_many(got, most, deadline::after(std::chrono::seconds{-1}));
          if (most == 0) break;
          ASSERT_EQ(count.has_value(), !m.inside.empty());
          if (!count) break;
          ASSERT_EQ(*count, std::min(most, m.inside.size()));
          for (const item& each : got) ASSERT_EQ(*each, *m.receive());
          break;
        }
        case 6: {
          if (m.capacity == 0) break;
          auto place = c.try_reserve();
          ASSERT_EQ(place.has_value(), !m.closed && m.has_room());
          if (!place) break;
          ++m.reserved;
          places.push_back(*std::move(place));
          break;
        }
        case 7: {
          if (places.empty()) break;
          if (dice.below(2) == 0) {
            places.back().send(std::make_unique<int>(i));
            m.inside.push_back(i);
          }
          places.pop_back();
          --m.reserved;
          break;
        }
        default: c.close(); m.closed = true;
      }
      ASSERT_NO_FATAL_FAILURE(expect_same(c, m));
    }
    places.clear();
  }
}

TEST(select_model, random_selects_do_what_the_model_allows) {
  for (unsigned seed = 1; seed <= sequences; ++seed) {
    test::dice dice{seed};
    std::vector<model> models;
    std::vector<std::unique_ptr<channel<item>>> channels;
    for (int n = 0; n < 3; ++n) {
      models.push_back({any_capacity(dice)});
      channels.push_back(std::make_unique<channel<item>>(channel_capacity{models.back().capacity}));
    }
    for (int i = 0; i < steps_of_each; ++i) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << i);
      std::deque<recv_case<item>> receives;
      std::deque<send_case<item>> sends;
      std::vector<select_ref> cases;
      std::vector<std::pair<bool, std::size_t>> meaning;  // sends, and where
      const unsigned count = 1 + dice.below(5);
      for (unsigned n = 0; n < count; ++n) {
        const bool send = dice.below(2) == 0;
        const std::size_t on = dice.below(3);
        if (send) {
          cases.emplace_back(sends.emplace_back(*channels[on], std::make_unique<int>(i)));
        } else {
          cases.emplace_back(receives.emplace_back(*channels[on]));
        }
        meaning.emplace_back(send, on);
      }
      const auto possible = [&](std::size_t n) {
        const model& m = models[meaning[n].second];
        return m.closed || (meaning[n].first ? m.has_room() : !m.inside.empty());
      };
      bool any = false;
      for (std::size_t n = 0; n < cases.size(); ++n) any = any || possible(n);
      const auto which = try_select(cases);
      ASSERT_EQ(which.has_value(), any);
      if (which) {
        ASSERT_TRUE(possible(*which));
        model& m = models[meaning[*which].second];
        if (meaning[*which].first) {
          ASSERT_EQ(why(static_cast<send_case<item>&>(cases[*which].get()).result()), m.send(i));
        } else {
          const auto got = static_cast<recv_case<item>&>(cases[*which].get()).result();
          const auto expected = m.receive();
          ASSERT_EQ(got.has_value(), expected.has_value());
          if (got) ASSERT_EQ(**got, *expected);
        }
      }
      std::size_t happened = 0;
      for (const select_ref& each : cases) happened += each.get().happened() ? 1 : 0;
      ASSERT_EQ(happened, which ? 1U : 0U);
      for (send_case<item>& each : sends) {
        if (!each.happened()) ASSERT_EQ(*each.value(), i) << "what loses keeps its value";
      }
      if (dice.below(60) == 0) {
        const std::size_t on = dice.below(3);
        channels[on]->close();
        models[on].closed = true;
      }
      for (std::size_t n = 0; n < 3; ++n) ASSERT_NO_FATAL_FAILURE(expect_same(*channels[n], models[n]));
    }
  }
}

}  // namespace
