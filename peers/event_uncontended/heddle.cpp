#include "event_uncontended/workload.hpp"

#include <heddle/sync/event.hpp>

namespace {

struct automatic_event : heddle::event {
  automatic_event() : event{heddle::event_reset::automatic} {}
};

}  // namespace

int main(int argc, char** argv) { return peers::event_uncontended<automatic_event>(argc, argv); }
