#include "event_ping_pong/workload.hpp"

#include <heddle/sync/event.hpp>

namespace {

struct automatic_event : heddle::event {
  automatic_event() : event{heddle::event_reset::automatic} {}
};

}  // namespace

int main(int argc, char** argv) { return peers::ping_pong<peers::turns_on_events<automatic_event>>(argc, argv); }
