#include "workload.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>

namespace {

/// A queue as it is written every day: a mutex and two condition variables.
class queue {
 public:
  void push(std::uint64_t item) {
    {
      std::unique_lock lock{mutex_};
      has_room_.wait(lock, [this] { return items_.size() < 100; });
      items_.push_back(item);
    }
    has_item_.notify_one();
  }
  std::uint64_t pop() {
    std::uint64_t item = 0;
    {
      std::unique_lock lock{mutex_};
      has_item_.wait(lock, [this] { return !items_.empty(); });
      item = items_.front();
      items_.pop_front();
    }
    has_room_.notify_one();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable has_room_;
  std::condition_variable has_item_;
  std::deque<std::uint64_t> items_;
};

}  // namespace

int main(int argc, char** argv) {
  return peers::run_queue(
      argc, argv, [] { return std::make_unique<queue>(); }, [](queue& q, std::uint64_t item) { q.push(item); },
      [](queue& q) { return q.pop(); });
}
