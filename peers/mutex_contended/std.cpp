#include "mutex_contended/workload.hpp"

#include <mutex>

int main(int argc, char** argv) { return peers::mutex_contended<std::mutex>(argc, argv); }
