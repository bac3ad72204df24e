#pragma once

#include <heddle/park/internal/slot.hpp>
#include <heddle/park/snapshot.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <thread>
#include <vector>

/// How tests wait: never for a time, always for something that can be seen, with a limit that only a hang reaches.
namespace heddle::test {

using namespace std::chrono_literals;

/// What only a hang reaches, on a loaded machine and under a sanitizer, too.
inline constexpr std::chrono::seconds patience{30};

/// Looks until `condition()` holds; false when it does not within the patience.
template <std::predicate Condition>
[[nodiscard]] bool eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

/// The waits for one resource that have come to rest: the thread is parked, the task is suspended. Then the waiter
/// stands in the resource's queue, and whoever acts next finds it there.
[[nodiscard]] inline std::vector<park::wait_info> waits_for(const void* resource) {
  std::vector<park::wait_info> waits = park::snapshot::take().waits;
  std::erase_if(waits, [resource](const park::wait_info& wait) {
    const park::phase now = park::phase_of(park::slot_at(wait.agent).claim.load());
    return wait.resource != resource || (now != park::phase::parked && now != park::phase::suspended);
  });
  return waits;
}

/// Waits until `count` agents wait for the resource.
template <class Resource>
[[nodiscard]] bool waited_for(const Resource& resource, std::size_t count = 1) {
  return eventually([&] { return waits_for(&resource).size() == count; });
}

}  // namespace heddle::test
