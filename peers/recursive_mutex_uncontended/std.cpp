#include "mutex_uncontended/workload.hpp"

#include <mutex>

int main(int argc, char** argv) { return peers::mutex_uncontended<std::recursive_mutex>(argc, argv); }
