#include "barrier_phases/workload.hpp"

#include <heddle/sync/barrier.hpp>

int main(int argc, char** argv) { return peers::barrier_phases<heddle::barrier<>>(argc, argv); }
