#pragma once

#include <heddle/exec/job.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::pools {

/// Jobs by priority, guarded by its owner. Each gets a due number when it is queued, that of its turn plus a delay for its
/// priority, and the one with the lowest is taken: so a job is passed over by at most as many later ones as its delay
/// says, however many of higher priority come. Its lengths may be read at any time.
class ageing_list {
 public:
  /// By how many turns a job of each priority stands back.
  static constexpr std::array<std::uint64_t, 3> delay = {0, 32, 256};

  void push(queued_job& job) noexcept {
    const auto rank = static_cast<std::size_t>(job.rank);
    job.due = turn_++ + delay[rank];
    job.next = nullptr;
    line& mine = lines_[rank];
    (mine.last != nullptr ? mine.last->next : mine.first) = &job;
    mine.last = &job;
    mine.length.store(mine.length.load() + 1);
    length_.store(length_.load() + 1);
  }

  /// The job whose turn it is; null: there is none.
  [[nodiscard]] queued_job* pop() noexcept {
    line* best = nullptr;
    for (line& each : lines_) {
      if (each.first == nullptr) continue;
      if (best == nullptr || head(each).due < head(*best).due) best = &each;
    }
    return best != nullptr ? take(*best) : nullptr;
  }

  /// The oldest of those with the lowest priority; null: there is none.
  [[nodiscard]] queued_job* pop_least() noexcept {
    for (auto each = lines_.rbegin(); each != lines_.rend(); ++each) {
      if (each->first != nullptr) return take(*each);
    }
    return nullptr;
  }

  [[nodiscard]] std::size_t length() const noexcept { return length_.load(); }

  /// How many with high priority there are.
  [[nodiscard]] std::size_t urgent() const noexcept { return lines_[0].length.load(std::memory_order_relaxed); }

 private:
  struct line {
    work_item* first = nullptr;
    work_item* last = nullptr;
    std::atomic<std::size_t> length{0};
  };
  static queued_job& head(const line& of) noexcept { return static_cast<queued_job&>(*of.first); }
  queued_job* take(line& from) noexcept {
    queued_job& job = head(from);
    from.first = job.next;
    if (from.first == nullptr) from.last = nullptr;
    from.length.store(from.length.load() - 1);
    length_.store(length_.load() - 1);
    return &job;
  }

  std::array<line, 3> lines_;  // by priority
  std::uint64_t turn_ = 0;
  std::atomic<std::size_t> length_{0};
};

}  // namespace heddle::pools
