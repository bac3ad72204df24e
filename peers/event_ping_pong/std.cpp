#include "event_ping_pong/workload.hpp"
#include "event_uncontended/event_on_std.hpp"

int main(int argc, char** argv) { return peers::ping_pong<peers::turns_on_events<peers::event_on_std>>(argc, argv); }
