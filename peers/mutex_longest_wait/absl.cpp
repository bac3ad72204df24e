#include "locks_of_absl.hpp"
#include "mutex_longest_wait/workload.hpp"

int main(int argc, char** argv) { return peers::mutex_longest_wait<peers::absl_mutex>(argc, argv); }
