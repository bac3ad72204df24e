#include "shared_mutex_read/workload.hpp"

#include <heddle/sync/shared_mutex.hpp>

int main(int argc, char** argv) { return peers::shared_mutex_read<heddle::shared_mutex>(argc, argv); }
