#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

/// Whether what several threads did with an object can be explained by an object that does one thing at a time.
namespace heddle::test {

/// One call of a recorded history, and between which moments it ran.
template <class Op>
struct recorded {
  Op what;
  std::uint64_t begun;
  std::uint64_t ended;
};

/// What one thread did, in order; all threads of a history share a clock.
template <class Op>
class recorder {
 public:
  explicit recorder(std::atomic<std::uint64_t>& clock) : clock_{clock} {}

  /// Records what `call()` returns: the operation with its outcome.
  template <class Call>
  void record(Call call) {
    const std::uint64_t begun = clock_.fetch_add(1);
    Op what = call();
    calls_.push_back({std::move(what), begun, clock_.fetch_add(1)});
  }
  [[nodiscard]] const std::vector<recorded<Op>>& calls() const { return calls_; }

 private:
  std::atomic<std::uint64_t>& clock_;
  std::vector<recorded<Op>> calls_;
};

/// Looks for an order of the calls in which each comes at some moment between its begin and its end, and in which `model`
/// allows each outcome (Wing and Gong's search, with Lowe's memory of what was tried). At most 64 calls.
/// @param model a copyable, ordered state; `bool apply(const Op&)` does a call, or says that its outcome is impossible.
template <class Model, class Op>
[[nodiscard]] bool is_linearizable(const std::vector<recorded<Op>>& history, const Model& model) {
  class search {
   public:
    explicit search(const std::vector<recorded<Op>>& calls) : calls_{calls} {}
    bool from(std::uint64_t done, const Model& state) {
      if (done == all()) return state.may_end();
      if (!seen_.emplace(done, state).second) return false;
      std::uint64_t first_end = UINT64_MAX;
      for (std::size_t i = 0; i < calls_.size(); ++i) {
        if ((done >> i & 1U) == 0 && calls_[i].ended < first_end) first_end = calls_[i].ended;
      }
      for (std::size_t i = 0; i < calls_.size(); ++i) {
        if ((done >> i & 1U) != 0 || calls_[i].begun > first_end) continue;
        Model next = state;
        if (next.apply(calls_[i].what) && from(done | std::uint64_t{1} << i, next)) return true;
      }
      return false;
    }

   private:
    [[nodiscard]] std::uint64_t all() const {
      return calls_.size() == 64 ? UINT64_MAX : (std::uint64_t{1} << calls_.size()) - 1;
    }
    const std::vector<recorded<Op>>& calls_;
    std::set<std::pair<std::uint64_t, Model>> seen_;
  };
  return search{history}.from(0, model);
}

}  // namespace heddle::test
