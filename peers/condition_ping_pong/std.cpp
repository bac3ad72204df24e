#include "condition_ping_pong/workload.hpp"

#include <condition_variable>
#include <mutex>

int main(int argc, char** argv) {
  using turns = peers::turns_on_a_condition<std::mutex, std::unique_lock<std::mutex>, std::condition_variable>;
  return peers::ping_pong<turns>(argc, argv);
}
