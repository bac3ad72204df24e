#include "mutex_contended/workload.hpp"

#include <heddle/sync/mutex.hpp>

int main(int argc, char** argv) { return peers::mutex_contended<heddle::mutex>(argc, argv); }
