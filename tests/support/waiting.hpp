#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/snapshot.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <string_view>
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

/// The waits that have come to rest: the thread is parked, the task is suspended. Then the waiter stands in its queue,
/// and whoever acts next finds it there.
[[nodiscard]] inline std::vector<park::wait_info> settled_waits() {
  std::vector<park::wait_info> waits = park::snapshot::take().waits;
  std::erase_if(waits, [](const park::wait_info& wait) {
    const park::phase now = park::phase_of(park::slot_at(wait.agent).claim.load());
    return now != park::phase::parked && now != park::phase::suspended;
  });
  return waits;
}

/// The settled waits for one resource.
[[nodiscard]] inline std::vector<park::wait_info> waits_for(const void* resource) {
  std::vector<park::wait_info> waits = settled_waits();
  std::erase_if(waits, [=](const park::wait_info& wait) { return wait.resource != resource; });
  return waits;
}

/// The settled waits for what has this name.
[[nodiscard]] inline std::vector<park::wait_info> waits_named(std::string_view name) {
  std::vector<park::wait_info> waits = settled_waits();
  std::erase_if(waits, [=](const park::wait_info& wait) { return wait.resource_name != name; });
  return waits;
}

/// Waits until `count` agents wait for the resource.
template <class Resource>
[[nodiscard]] bool waited_for(const Resource& resource, std::size_t count = 1) {
  return eventually([&] { return waits_for(&resource).size() == count; });
}

/// Waits until the moment has passed.
[[nodiscard]] inline bool passed(deadline moment) {
  return eventually([&] { return moment.has_passed(); });
}

}  // namespace heddle::test
