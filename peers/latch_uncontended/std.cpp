#include "latch_uncontended/workload.hpp"

#include <latch>

int main(int argc, char** argv) { return peers::latch_uncontended<std::latch>(argc, argv); }
