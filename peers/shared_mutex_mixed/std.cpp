#include "shared_mutex_mixed/workload.hpp"

#include <shared_mutex>

int main(int argc, char** argv) { return peers::shared_mutex_mixed<std::shared_mutex>(argc, argv); }
