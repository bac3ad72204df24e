#include "condition_ping_pong/workload.hpp"

#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/mutex.hpp>

int main(int argc, char** argv) {
  using turns = peers::turns_on_a_condition<heddle::mutex, std::unique_lock<heddle::mutex>, heddle::condition_variable>;
  return peers::ping_pong<turns>(argc, argv);
}
