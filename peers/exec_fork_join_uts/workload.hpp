#pragma once

/// An unbalanced tree that nobody can foresee: the root has many children, every other node has eight with a probability
/// just below one eighth, so that most subtrees are tiny and a few are large. After "UTS: An Unbalanced Tree Search
/// Benchmark" (Olivier and others, 2006), with a cheaper hash.

#include "repeat.hpp"

namespace peers {

struct uts_node {
  static constexpr int root_children = 2'000;
  static constexpr int children = 8;
  static constexpr std::uint64_t tree = 42;
  static constexpr long nodes = 734'041;

  std::uint64_t state = tree;

  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }
  [[nodiscard]] uts_node child(int i) const {
    return {mix(state + 0x9e3779b97f4a7c15U * (static_cast<std::uint64_t>(i) + 1))};
  }
  [[nodiscard]] int count_of_children() const {
    if (state == tree) return root_children;
    return static_cast<double>(state >> 11) < 0x1p53 * 0.1245 ? children : 0;
  }
};

}  // namespace peers
