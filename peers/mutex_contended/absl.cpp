#include "locks_of_absl.hpp"
#include "mutex_contended/workload.hpp"

int main(int argc, char** argv) { return peers::mutex_contended<peers::absl_mutex>(argc, argv); }
