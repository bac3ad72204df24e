#pragma once

/// An event that lets one go for each time that it is set, is set and waited for by one thread.

#include "uncontended.hpp"

namespace peers {

template <class Event>
int event_uncontended(int argc, char** argv) {
  Event event;
  return uncontended(argc, argv, [&] {
    event.set();
    event.wait();
  });
}

}  // namespace peers
