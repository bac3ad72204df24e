#pragma once

#include "repeat.hpp"

namespace peers {

/// What the queens on the first rows of a board attack in the next row, as sets of columns.
struct board {
  static constexpr int size = 11;
  static constexpr long solutions = 2'680;
  static constexpr unsigned all = (1U << size) - 1;

  unsigned down = 0;
  unsigned to_left = 0;
  unsigned to_right = 0;

  [[nodiscard]] bool full() const { return down == all; }

  /// The columns that are attacked by none.
  [[nodiscard]] unsigned free() const { return all & ~(down | to_left | to_right); }

  /// With a queen in the lowest of `columns`.
  [[nodiscard]] board with_first_of(unsigned columns) const {
    const unsigned at = columns & -columns;
    return {down | at, (to_left | at) << 1, (to_right | at) >> 1};
  }
};

}  // namespace peers
