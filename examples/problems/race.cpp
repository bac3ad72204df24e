// Race: two threads add to one number without a lock. ThreadSanitizer tells; without it, additions get lost.

#include <fmt/core.h>

#include <thread>

// [race]
long sold = 0;

void sell() {
  for (int i = 0; i < 100'000; ++i) sold = sold + 1;
}
// [/race]

int main() {
  {
    const std::jthread one{sell};
    const std::jthread two{sell};
  }
  fmt::print("race: 200000 were sold, {} were counted\n", sold);
}
