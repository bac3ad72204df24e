#pragma once

#include <tests/support/waiting.hpp>

#include <atomic>
#include <latch>

namespace heddle::test {

/// Occupies workers until it is opened.
class gate {
 public:
  void pass() {
    entered_.fetch_add(1);
    opened_.wait();
  }
  void open() { opened_.count_down(); }
  [[nodiscard]] bool entered_by(int count) const {
    return eventually([&] { return entered_.load() >= count; });
  }

 private:
  std::atomic<int> entered_{0};
  std::latch opened_{1};
};

}  // namespace heddle::test
