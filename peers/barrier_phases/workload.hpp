#pragma once

/// Threads that meet at a barrier again and again, with a little work in between. At the end each drops out.

#include "threads.hpp"

namespace peers {

template <class Barrier>
int barrier_phases(int argc, char** argv) {
  constexpr int steps = 50;  // about 100 ns
  const options given = read_options(argc, argv);
  Barrier barrier(static_cast<std::uint32_t>(given.threads));
  class member {
   public:
    member(Barrier& where, std::uint64_t seed) : where_{where}, own_{seed} {}
    member(const member&) = delete;
    member& operator=(const member&) = delete;
    ~member() { where_.arrive_and_drop(); }
    void operator()() {
      work(own_, steps);
      where_.arrive_and_wait();
    }

   private:
    Barrier& where_;
    std::uint64_t own_;
  };
  print(run_threads(given, [&](std::size_t i) { return member{barrier, 2685821657736338717U + i}; }));
  return 0;
}

}  // namespace peers
