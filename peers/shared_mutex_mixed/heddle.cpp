#include "shared_mutex_mixed/workload.hpp"

#include <heddle/sync/shared_mutex.hpp>

int main(int argc, char** argv) { return peers::shared_mutex_mixed<heddle::shared_mutex>(argc, argv); }
