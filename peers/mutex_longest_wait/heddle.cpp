#include "mutex_longest_wait/workload.hpp"

#include <heddle/sync/mutex.hpp>

int main(int argc, char** argv) { return peers::mutex_longest_wait<heddle::mutex>(argc, argv); }
