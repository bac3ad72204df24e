#include "diagnosis/workload.hpp"

int main(int argc, char** argv) { return peers::diagnosis(argc, argv, heddle::watch::settings{}); }
