#pragma once

/// A user's own primitive, a count of permits: one thread takes a permit and gives it back.

#include "uncontended.hpp"

namespace peers {

template <class Permits>
int wait_queue_permit(int argc, char** argv) {
  Permits permits;
  return uncontended(argc, argv, [&] {
    permits.take();
    permits.give();
  });
}

}  // namespace peers
