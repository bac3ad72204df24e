#include "event_uncontended/event_on_std.hpp"
#include "event_uncontended/workload.hpp"

int main(int argc, char** argv) { return peers::event_uncontended<peers::event_on_std>(argc, argv); }
