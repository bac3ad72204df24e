// The order that is kept as edges come, against a plain search over all of them.

#include <heddle/watch/internal/order_graph.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace heddle::watch {
namespace {

using index = order_graph::index;

std::unique_ptr<order_graph> make() {
  return std::make_unique<order_graph>(order_graph::world{.is_written = [](std::uint16_t) noexcept { return false; },
                                                          .was_a_gate = [](std::uint16_t) noexcept {}});
}

std::vector<index> make_nodes(order_graph& graph, std::uint16_t count) {
  std::vector<index> nodes(count);
  for (std::uint16_t i = 0; i < count; ++i) nodes[i] = graph.node(i, nullptr);
  return nodes;
}

order_graph::sighting by(std::uint64_t agent) {
  order_graph::sighting seen{};
  seen.by = agent;
  seen.agent = static_cast<std::uint32_t>(agent);
  return seen;
}

/// Edges as pairs, and whether one node is reached from another.
class plain_graph {
 public:
  void add(index from, index to) { edges_.emplace(from, to); }
  void remove(index from, index to) { edges_.erase({from, to}); }
  [[nodiscard]] bool leads(index from, index to) const {
    std::set<index> seen{from};
    std::vector<index> work{from};
    while (!work.empty()) {
      const index at = work.back();
      work.pop_back();
      if (at == to) return true;
      for (const auto& [a, b] : edges_) {
        if (a == at && seen.insert(b).second) work.push_back(b);
      }
    }
    return false;
  }

 private:
  std::set<std::pair<index, index>> edges_;
};

TEST(order_graph, finds_a_circle_whenever_there_is_one) {
  std::mt19937 random{7};
  std::uint64_t circles = 0;
  for (int round = 0; round < 300; ++round) {
    const auto graph = make();
    plain_graph plain;
    const std::vector<index> nodes = make_nodes(*graph, 9);
    std::set<std::pair<index, index>> seen;
    for (std::uint64_t step = 1; step <= 60; ++step) {
      const index from = nodes[random() % nodes.size()];
      const index to = nodes[random() % nodes.size()];
      if (from == to || !seen.emplace(from, to).second) continue;
      const index edge = graph->add(from, to, by(step));
      ASSERT_NE(edge, order_graph::nothing);
      const bool closes = plain.leads(to, from);
      order_graph::circle found;
      ASSERT_EQ(graph->find_circle(edge, found), closes) << "round " << round << ", step " << step;
      if (!closes) {
        plain.add(from, to);
        continue;
      }
      ++circles;
      ASSERT_EQ(found.steps[found.length - 1].edge, edge) << "the newest is to be changed";
      for (std::uint32_t i = 0; i < found.length; ++i) {
        ASSERT_EQ(found.steps[i].to, found.steps[(i + 1) % found.length].from);
      }
      ASSERT_FALSE(graph->find_circle(edge, found)) << "told once";
    }
  }
  EXPECT_GT(circles, 3000U);
}

// A circle that one agent alone makes is none, and is there as soon as a second one says the same of any part of it.
TEST(order_graph, keeps_what_is_no_circle_yet) {
  const auto graph = make();
  const std::vector<index> nodes = make_nodes(*graph, 6);
  order_graph::circle found;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const index edge = graph->add(nodes[i], nodes[(i + 1) % nodes.size()], by(1));
    ASSERT_FALSE(graph->find_circle(edge, found));
  }
  EXPECT_NE(graph->next_contrary(order_graph::nothing), order_graph::nothing);
  EXPECT_EQ(graph->add(nodes[2], nodes[3], by(1)), order_graph::nothing) << "nothing new";
  const index again = graph->add(nodes[2], nodes[3], by(2));
  ASSERT_TRUE(graph->find_circle(again, found));
  EXPECT_EQ(found.length, nodes.size());
  EXPECT_EQ(found.steps[found.length - 1].to, nodes[0]) << "seen last, though not by whom closed it";
  EXPECT_EQ(graph->next_contrary(order_graph::nothing), order_graph::nothing);
}

TEST(order_graph, forgets_single_locks_and_nothing_else) {
  const auto graph = make();
  const char locks[3] = {};
  const index a = graph->node(0, nullptr);
  const index b = graph->node(1, nullptr);
  const index one = graph->node(2, &locks[0]);
  const index two = graph->node(2, &locks[1]);
  EXPECT_EQ(graph->node(2, &locks[0]), one);
  order_graph::circle found;
  EXPECT_NE(graph->add(a, b, by(1)), order_graph::nothing);
  EXPECT_NE(graph->add(one, two, by(1)), order_graph::nothing);
  EXPECT_NE(graph->add(b, one, by(1)), order_graph::nothing);
  graph->forget_locks();
  EXPECT_EQ(graph->edges(), 1U);
  const index first = graph->node(2, &locks[1]);
  const index second = graph->node(2, &locks[0]);
  EXPECT_FALSE(graph->find_circle(graph->add(first, second, by(2)), found));
  EXPECT_TRUE(graph->find_circle(graph->add(b, a, by(2)), found));
}

}  // namespace
}  // namespace heddle::watch
