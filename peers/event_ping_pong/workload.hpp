#pragma once

/// The turn of condition_ping_pong goes to and fro through two events.

#include "condition_ping_pong/workload.hpp"

namespace peers {

template <class Event>
class turns_on_events {
 public:
  bool await(int side) {
    comes_[side].wait();
    return !over_.load(std::memory_order_relaxed);
  }
  void pass_to(int side) { comes_[side].set(); }
  void end() {
    over_.store(true, std::memory_order_relaxed);
    comes_[1].set();
  }

 private:
  Event comes_[2];
  std::atomic<bool> over_{false};
};

}  // namespace peers
