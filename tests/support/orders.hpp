#pragma once

#include <heddle/park/agent.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// Orders of locks, without anything that hangs: threads take turns, each ended before the next begins.
namespace heddle::test {

/// All reports about orders while it lives; standard error stays quiet.
class order_reports {
 public:
  explicit order_reports(bool on = true) {
    watch::settings wanted;
    wanted.log = false;
    wanted.lock_order = on;
    watch::configure(wanted);
  }
  ~order_reports() { watch::configure(watch::settings::from_environment()); }
  order_reports(const order_reports&) = delete;
  order_reports& operator=(const order_reports&) = delete;

  [[nodiscard]] std::vector<watch::report> all() const {
    const std::lock_guard guard{lock_};
    return found_;
  }
  [[nodiscard]] std::size_t count() const { return all().size(); }
  [[nodiscard]] std::string texts() const {
    std::string result;
    for (const watch::report& each : all()) result += each.text();
    return result;
  }

 private:
  mutable std::mutex lock_;
  std::vector<watch::report> found_;  // under lock_
  watch::subscription subscription_ = watch::on_report([this](const watch::report& each) {
    if (each.what != watch::problem::lock_order) return;
    const std::lock_guard guard{lock_};
    found_.push_back(each);
  });
};

/// Text that lives as long as the program, as the names of locks must.
inline const char* forever(std::string text) {
  static std::mutex lock;
  static std::deque<std::string> texts;
  const std::lock_guard guard{lock};
  return texts.emplace_back(std::move(text)).c_str();
}

/// Says that it is held, and is not: for orders of locks that would have to be waited for, or read.
class pretended {
 public:
  explicit pretended(const char* name) : name_{name} {}

  [[gnu::noinline]] void take(park::hold_mode mode = park::hold_mode::exclusive, bool tried = false) {
    agent& self = current_agent();
    (void)self.id();
    const park::held_as how{resource_kind::mutex, origin{name_}, true, mode, tried};
    self.now_holds(this, how.with_queue_at(sizeof name_), __builtin_return_address(0));
  }
  void give() { current_agent().no_longer_holds(this); }

 private:
  const char* name_;
  park::queue queue_{true};
};

/// Runs it on a thread of its own, to its end.
template <class Function>
void alone(Function function) {
  std::thread{function}.join();
}

/// Locks both, one after the other, and lets go.
template <class First, class Second>
void both(First& first, Second& second) {
  const std::lock_guard one{first};
  const std::lock_guard two{second};
}

}  // namespace heddle::test
