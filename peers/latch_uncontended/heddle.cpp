#include "latch_uncontended/workload.hpp"

#include <heddle/sync/latch.hpp>

int main(int argc, char** argv) { return peers::latch_uncontended<heddle::latch>(argc, argv); }
