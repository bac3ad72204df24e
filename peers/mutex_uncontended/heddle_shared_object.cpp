#include "mutex_uncontended/workload.hpp"

#include <heddle/sync/mutex.hpp>

int main(int argc, char** argv) { return peers::mutex_uncontended<heddle::mutex>(argc, argv); }
