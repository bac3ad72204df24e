#include "locks_of_absl.hpp"
#include "mutex_uncontended/workload.hpp"

int main(int argc, char** argv) { return peers::mutex_uncontended<peers::absl_mutex>(argc, argv); }
