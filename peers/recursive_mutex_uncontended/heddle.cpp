#include "mutex_uncontended/workload.hpp"

#include <heddle/sync/recursive_mutex.hpp>

int main(int argc, char** argv) { return peers::mutex_uncontended<heddle::recursive_mutex>(argc, argv); }
