// What the study of the order of locks costs: two locks taken one in the other, a chain that is known, with all
// diagnosis on and off; and one lock alone, which is never studied.

#include <heddle/sync/mutex.hpp>
#include <heddle/watch/settings.hpp>

#include <benchmark/benchmark.h>

#include <mutex>

namespace heddle {
namespace {

void with_study(bool on) { watch::configure(on ? watch::settings{} : watch::settings::off()); }

void one_lock(benchmark::State& state) {
  with_study(state.range(0) != 0);
  mutex only{"only"};
  for (auto _ : state) {
    const std::lock_guard held{only};
    benchmark::ClobberMemory();
  }
}
BENCHMARK(one_lock)->ArgName("on")->Arg(0)->Arg(1);

void nested(benchmark::State& state) {
  with_study(state.range(0) != 0);
  mutex outer{"outer"};
  mutex inner{"inner"};
  for (auto _ : state) {
    const std::lock_guard first{outer};
    const std::lock_guard second{inner};
    benchmark::ClobberMemory();
  }
}
BENCHMARK(nested)->ArgName("on")->Arg(0)->Arg(1);

// The chain tells its locks apart, and classes have to be looked up from here on.
void nested_in_one_class(benchmark::State& state) {
  with_study(state.range(0) != 0);
  mutex outer{"account"};
  mutex inner{"account"};
  for (auto _ : state) {
    const std::lock_guard first{outer};
    const std::lock_guard second{inner};
    benchmark::ClobberMemory();
  }
}
BENCHMARK(nested_in_one_class)->ArgName("on")->Arg(0)->Arg(1);

void five_deep(benchmark::State& state) {
  with_study(state.range(0) != 0);
  mutex locks[] = {mutex{"first"}, mutex{"second"}, mutex{"third"}, mutex{"fourth"}, mutex{"fifth"}};
  for (auto _ : state) {
    const std::lock_guard first{locks[0]};
    const std::lock_guard second{locks[1]};
    const std::lock_guard third{locks[2]};
    const std::lock_guard fourth{locks[3]};
    const std::lock_guard fifth{locks[4]};
    benchmark::ClobberMemory();
  }
}
BENCHMARK(five_deep)->ArgName("on")->Arg(0)->Arg(1);

}  // namespace
}  // namespace heddle
