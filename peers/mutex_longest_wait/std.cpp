#include "mutex_longest_wait/workload.hpp"

#include <mutex>

int main(int argc, char** argv) { return peers::mutex_longest_wait<std::mutex>(argc, argv); }
