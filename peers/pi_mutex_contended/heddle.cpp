#include "mutex_contended/workload.hpp"

#include <heddle/sync/pi_mutex.hpp>

int main(int argc, char** argv) { return peers::mutex_contended<heddle::pi_mutex>(argc, argv); }
