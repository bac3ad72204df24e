#pragma once

#include <tests/support/waiting.hpp>

/// What the tests of io share: looking at the waits of the process.
namespace heddle::io {

using test::eventually;

/// How many agents wait for a resource of this kind now.
inline std::size_t waiting_for(resource_kind kind) {
  const park::snapshot all = park::snapshot::take();
  return static_cast<std::size_t>(
      std::ranges::count_if(all.waits, [kind](const park::wait_info& wait) { return wait.waits_for == kind; }));
}

}  // namespace heddle::io
