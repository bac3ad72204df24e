#pragma once

/// A latch is made, counted down and waited for, by one thread.

#include "uncontended.hpp"

namespace peers {

template <class Latch>
int latch_uncontended(int argc, char** argv) {
  return uncontended(argc, argv, [] {
    Latch one{1};
    asm volatile("" : : "r"(&one) : "memory");
    one.count_down();
    one.wait();
  });
}

}  // namespace peers
