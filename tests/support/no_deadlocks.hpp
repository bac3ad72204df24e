#pragma once

namespace heddle::test {

/// Says for its lifetime that the test makes deadlocks; anywhere else a report about one fails the test that runs.
class [[nodiscard]] makes_deadlocks {
 public:
  makes_deadlocks();
  ~makes_deadlocks();
  makes_deadlocks(const makes_deadlocks&) = delete;
  makes_deadlocks& operator=(const makes_deadlocks&) = delete;
};

}  // namespace heddle::test
