#pragma once

#include <heddle/base/fatal.hpp>
#include <heddle/exec/census.hpp>
#include <heddle/exec/steal_deque.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/sys/barrier.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

/// What thread_pool::fork_join() is made of; the essay is in fork_join.cpp.
namespace heddle {

class thread_pool;

namespace park {
struct slot;
}

namespace pools {

class fork_lane;
struct fork_home;
/// One half of a fork_join that another thread may take; lies in the frame of the call.
class fork_job : public work_item {
 public:
  fork_job(const fork_job&) = delete;
  fork_job& operator=(const fork_job&) = delete;

 protected:
  fork_job() noexcept = default;
  ~fork_job() = default;

  /// Around the work, on the thread that has taken it.
  void begins_elsewhere() noexcept;
  void ends_elsewhere() noexcept;

 private:
  friend class fork_lane;
  static constexpr std::uint32_t open = 0;
  static constexpr std::uint32_t ended = 1;
  static constexpr std::uint32_t awaited = 2;

  std::atomic<std::uint32_t> state_{open};
  std::atomic<std::uint32_t> source_{0};       // the agent that runs it, for diagnosis
  std::atomic<fork_lane*> taken_by_{nullptr};  // set by who has taken it
  park::slot* waiter_;                         // written before state_ becomes `awaited`
};

/// A worker's forked jobs; forks nest, so the one taken back is always the one forked last.
class fork_lane {
 public:
  static constexpr std::size_t room = 1024;

  fork_lane(const thread_pool* pool, fork_home& home) noexcept : pool_{pool}, home_{home} {}
  fork_lane(const fork_lane&) = delete;
  fork_lane& operator=(const fork_lane&) = delete;

  /// Whose worker's it is.
  [[nodiscard]] const thread_pool* pool() const noexcept { return pool_; }

  /// For the owner. Lets others take `job`, and wakes somebody if somebody could. False: there is no room.
  [[nodiscard]] inline bool fork(fork_job& job) noexcept;

  /// For the owner: takes back the job that was forked last and is not joined. False: another has taken it.
  [[nodiscard]] bool take_back() noexcept { return jobs_.take_back(); }

  /// Waits until `job`, which another has taken, has ended; works on what belongs to it meanwhile. Any thread; `own` is
  /// the calling worker's lane, or null.
  static void await_end(fork_job& job, fork_lane* own) noexcept;

  /// For thieves: the oldest job; null: there is none.
  [[nodiscard]] fork_job* steal() noexcept { return jobs_.steal(); }

  /// How many could be stolen. Already old, but see I1 in thread_pool.cpp.
  [[nodiscard]] std::size_t size() const noexcept { return jobs_.size(); }
  [[nodiscard]] std::uint64_t stolen() const noexcept { return stolen_.load(std::memory_order_relaxed); }

 private:
  const thread_pool* const pool_;
  fork_home& home_;
  std::atomic<std::uint64_t> stolen_{0};  // written by the owner: what it took elsewhere while it waited
  steal_deque<fork_job, room> jobs_;
};

/// What the lanes of a pool share.
struct fork_home {
  using published = std::atomic<std::uint64_t>;
  fork_home(unsigned most_active, void (*waker)(fork_home&, published&) noexcept) noexcept
      : threads{most_active}, wake{waker} {}

  alignas(64) std::atomic<std::uint64_t> counts{0};  ///< a census
  const unsigned threads;

  /// Wakes a worker if one is needed, after `published` has been stored.
  void (*const wake)(fork_home&, published&) noexcept;
};

/// The lane of the calling thread, null if it is no worker. Only for functions that are never inlined into a coroutine.
extern constinit thread_local fork_lane* own_lane [[gnu::tls_model("initial-exec")]];

inline bool fork_lane::fork(fork_job& job) noexcept {
  if (!jobs_.push(job)) [[unlikely]] {
    return false;
  }
  sys::light_barrier();  // I1 in thread_pool.cpp
  if (census{home_.counts.load(std::memory_order_relaxed)}.idle() != 0) [[unlikely]] {
    home_.wake(home_, jobs_.published());
  }
  return true;
}

/// What a function gives; std::monostate for nothing.
template <class Fn>
using half = std::conditional_t<std::is_void_v<std::invoke_result_t<Fn&>>, std::monostate, std::invoke_result_t<Fn&>>;

/// Calls `fn`; a function without a result gives std::monostate.
template <class Fn>
half<Fn> call_half(Fn& fn) {
  if constexpr (std::is_void_v<std::invoke_result_t<Fn&>>) {
    fn();
    return std::monostate{};
  } else {
    return fn();
  }
}

/// A function for one of the halves, with what it returned or threw.
template <class Fn>
class forked final : public fork_job {
  using kept = half<Fn>;
  static_assert(!std::is_reference_v<kept>, "fork_join() carries values; return a pointer or reference_wrapper");

 public:
  explicit forked(Fn& fn) noexcept : fn_{fn} {
    this->run = [](work_item* item) noexcept { static_cast<forked*>(item)->run_elsewhere(); };
  }

  [[nodiscard]] Fn& function() const noexcept { return fn_; }

  kept take() {
    if (error_) std::rethrow_exception(std::move(error_));
    return std::move(*value_);
  }

 private:
  void run_elsewhere() noexcept {
    this->begins_elsewhere();
    try {
      value_.emplace(call_half(fn_));
    } catch (...) {
      error_ = std::current_exception();
    }
    this->ends_elsewhere();
  }

  Fn& fn_;
  std::optional<kept> value_;  // both written before the end, by who has taken it
  std::exception_ptr error_;
};

/// What fork_join() returns: nothing if neither half has a result, else both, std::monostate for none.
template <class F, class G>
using joined = std::conditional_t<std::is_void_v<std::invoke_result_t<F&>> && std::is_void_v<std::invoke_result_t<G&>>,
                                  void, std::pair<half<F>, half<G>>>;

template <class F, class G>
joined<F, G> both(half<F>&& f, half<G>&& g) {
  if constexpr (!std::is_void_v<joined<F, G>>) return {std::move(f), std::move(g)};
}

/// The end of a half whose other half threw: it is called or awaited, and what it throws is dropped.
template <class G>
void settle(fork_lane& lane, forked<G>& job, bool offered) noexcept {
  if (offered && !lane.take_back()) {
    fork_lane::await_end(job, &lane);
    return;
  }
  try {
    (void)call_half(job.function());
  } catch (...) {  // NOLINT(bugprone-empty-catch): the first half's exception is thrown
  }
}

}  // namespace pools
}  // namespace heddle
