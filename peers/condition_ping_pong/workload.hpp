#pragma once

/// Two threads, each on a processor of its own, that hand a turn to and fro. Who gets it thinks for a while, outside of
/// any lock, and hands it back. The value is what a round trip takes beyond the thinking.
///
/// They settle on their processors after some round trips, so that a lock that asks how many it may use, and does so
/// once, has seen all of them.

#include "harness.hpp"

#include <atomic>
#include <thread>

namespace peers {

/// `Turns` has `bool await(side)`, which waits until the turn is `side`'s (false: over), `pass_to(side)` and `end()`.
template <class Turns>
int ping_pong(int argc, char** argv) {
  const options given = read_options(argc, argv);
  const std::chrono::microseconds thinking{given.think_us};
  const auto think = [thinking] {
    if (thinking.count() == 0) return;
    for (const auto begun = clock::now(); clock::now() < begun + thinking;) {
    }
  };
  constexpr int batch = 100;
  Turns turns;
  std::thread other([&] {
    for (int i = 0; turns.await(1); ++i) {
      if (i == batch / 2) stay_on_cpu(1);
      think();
      turns.pass_to(0);
    }
  });
  for (int i = 0; i < batch; ++i) {
    if (i == batch / 2) stay_on_cpu(0);
    turns.pass_to(1);
    turns.await(0);
  }
  std::uint64_t round_trips = 0;
  const auto start = clock::now();
  double elapsed = 0;
  do {
    for (int i = 0; i < batch; ++i) {
      think();
      turns.pass_to(1);
      turns.await(0);
    }
    round_trips += batch;
    elapsed = seconds_since(start);
  } while (elapsed < given.seconds);
  turns.end();
  other.join();
  const double thought = 2 * std::chrono::duration<double>(thinking).count() * static_cast<double>(round_trips);
  std::printf(R"({"value": %.3f, "unit": "us per round trip", "better": "lower"})"
              "\n",
              (elapsed - thought) * 1e6 / static_cast<double>(round_trips));
  return 0;
}

/// Turns on a mutex and a condition variable with the names of the standard library.
template <class Mutex, class Lock, class Condition>
class turns_on_a_condition {
 public:
  bool await(int side) {
    Lock lock{mutex_};
    while (turn_ != side && !over_) changed_[side].wait(lock);
    return !over_;
  }
  void pass_to(int side) {
    const Lock lock{mutex_};
    turn_ = side;
    changed_[side].notify_one();
  }
  void end() {
    const Lock lock{mutex_};
    over_ = true;
    changed_[1].notify_one();
  }

 private:
  Mutex mutex_;
  Condition changed_[2];
  int turn_ = 0;
  bool over_ = false;
};

}  // namespace peers
