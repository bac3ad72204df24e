#include "shared_mutex_read/workload.hpp"

#include <shared_mutex>

int main(int argc, char** argv) { return peers::shared_mutex_read<std::shared_mutex>(argc, argv); }
