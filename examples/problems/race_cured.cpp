// The cure: the number lives inside its lock. Without the lock there is no way to reach it.

#include <heddle/sync/guarded.hpp>

#include <fmt/core.h>

#include <thread>

// [cure]
heddle::guarded<long> sold{0, "sold"};

void sell() {
  for (int i = 0; i < 100'000; ++i) sold.with([](long& n) { ++n; });
}
// [/cure]

int main() {
  {
    const std::jthread one{sell};
    const std::jthread two{sell};
  }
  const long counted = *sold.lock();
  fmt::print("race cured: 200000 were sold, {} were counted\n", counted);
  return counted == 200'000 ? 0 : 1;
}
