#include "barrier_phases/workload.hpp"

#include <barrier>

int main(int argc, char** argv) { return peers::barrier_phases<std::barrier<>>(argc, argv); }
