#pragma once

#include <heddle/park/executor.hpp>
#include <heddle/task/root.hpp>
#include <heddle/task/run_loop.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

/// Tasks and executors whose moments a test decides.
namespace heddle::test {

/// Runs nothing until it is told to.
class manual_executor final : public executor {
 public:
  void post(work_item& item) noexcept override {
    const std::lock_guard guard{lock_};
    items_.push_back(&item);
  }
  [[nodiscard]] const char* name() const noexcept override { return "manual"; }

  /// How many items lie there.
  [[nodiscard]] std::size_t pending() const {
    const std::lock_guard guard{lock_};
    return items_.size();
  }

  /// Runs the oldest item on the calling thread; false when there is none.
  bool run_one() {
    work_item* item = nullptr;
    {
      const std::lock_guard guard{lock_};
      if (items_.empty()) return false;
      item = items_.front();
      items_.pop_front();
    }
    item->run(item);
    return true;
  }

  /// Runs items until none is left.
  void run_all() {
    while (run_one()) {
    }
  }

 private:
  mutable std::mutex lock_;
  std::deque<work_item*> items_;
};

/// A thread that runs what is posted.
class loop_thread final {
 public:
  explicit loop_thread(const char* name = "loop_thread") : loop_{name}, thread_{[this] { loop_.run(); }} {}
  loop_thread(const loop_thread&) = delete;
  loop_thread& operator=(const loop_thread&) = delete;
  ~loop_thread() {
    loop_.finish();
    thread_.join();
  }

  [[nodiscard]] executor& where() noexcept { return loop_; }
  [[nodiscard]] std::thread::id id() const noexcept { return thread_.get_id(); }

 private:
  run_loop loop_;
  std::thread thread_;
};

/// A task that has been posted to an executor. Its end can be seen from outside; the frames are gone by then.
template <class T>
class started {
 public:
  started(executor& where, task<T> body, const char* name = "test task", deadline until = {})
      : shared_{std::make_shared<state>()} {
    auto done = [shared = shared_](outcome<T> how) noexcept {
      shared->how.emplace(std::move(how));
      shared->ended.store(true, std::memory_order_release);
    };
    tasks::make_root(std::move(body), std::move(done), where, task_context{shared_->stop.get_token(), until}, name)
        .post();
  }

  void stop() { shared_->stop.request_stop(); }
  [[nodiscard]] bool has_ended() const { return shared_->ended.load(std::memory_order_acquire); }
  [[nodiscard]] bool ends() const {
    return eventually([this] { return has_ended(); });
  }

  /// How it ended; ask has_ended() or ends() first.
  [[nodiscard]] const outcome<T>& how() const { return *shared_->how; }
  [[nodiscard]] T value() { return std::move(*shared_->how).value(); }
  [[nodiscard]] bool was_stopped() const { return how().is_stopped(); }

 private:
  struct state {
    std::stop_source stop;
    std::optional<outcome<T>> how;
    std::atomic<bool> ended{false};
  };
  std::shared_ptr<state> shared_;
};

}  // namespace heddle::test
