#include "locks_of_absl.hpp"
#include "shared_mutex_read/workload.hpp"

int main(int argc, char** argv) { return peers::shared_mutex_read<peers::absl_mutex>(argc, argv); }
