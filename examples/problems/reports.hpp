#pragma once

#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

/// What heddle reports about this program while it runs.
class reports {
 public:
  reports() {
    heddle::watch::settings wanted;
    wanted.log = false;  // these programs print what they want to show
    heddle::watch::configure(wanted);
  }

  /// The first report of a kind; waits for it for at most ten seconds.
  std::optional<heddle::watch::report> first(heddle::watch::problem kind) {
    std::unique_lock guard{lock_};
    const auto is_there = [&] { return find(kind) != nullptr; };
    if (!came_.wait_for(guard, std::chrono::seconds{10}, is_there)) return std::nullopt;
    return *find(kind);
  }

  /// All that there has been so far.
  std::vector<heddle::watch::report> all() {
    const std::lock_guard guard{lock_};
    return found_;
  }

 private:
  const heddle::watch::report* find(heddle::watch::problem kind) const {
    for (const heddle::watch::report& each : found_) {
      if (each.what == kind) return &each;
    }
    return nullptr;
  }

  // The standard's, so that the one who looks does not appear in the picture.
  std::mutex lock_;
  std::condition_variable came_;
  std::vector<heddle::watch::report> found_;  // under lock_
  heddle::watch::subscription subscription_ = heddle::watch::on_report([this](const heddle::watch::report& each) {
    const std::lock_guard guard{lock_};
    found_.push_back(each);
    came_.notify_all();
  });
};
