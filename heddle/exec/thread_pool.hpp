#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/exec/fork_join.hpp>
#include <heddle/exec/job.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/task/future.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

namespace heddle {

/// What submit() does when the queue has no room.
enum class when_full : std::uint8_t {
  block,           ///< waits for room; a worker of the same pool runs queued jobs meanwhile
  caller_runs,     ///< runs the job on the calling thread
  discard_oldest,  ///< answers the oldest queued job of the lowest priority with job_refused, and takes its place
  reject,          ///< answers the new job with job_refused
};

/// How a pool is to be.
struct thread_pool_options {
  static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

  unsigned threads = 0;                    ///< how many work at a time; 0: one for each allowed CPU
  const char* name = "pool";               ///< static text; thread n is called `name-n`
  std::size_t queue_capacity = unbounded;  ///< how many submitted jobs may wait for a worker; at least 1
  when_full on_full = when_full::block;
  unsigned spare_threads = 256;  ///< at most so many more threads are started in place of blocked workers

  /// Gets what a posted function throws, on the worker; by default one line goes to standard error. May be called by
  /// several workers at once.
  std::function<void(std::exception_ptr)> on_exception = {};
};

/// A pool's figures at one moment; each is exact for itself, together they are not one instant.
struct thread_pool_stats {
  std::size_t threads = 0;   ///< started and not ended, spare ones included
  std::size_t sleeping = 0;  ///< of these, asleep because there is nothing to do
  std::size_t blocked = 0;   ///< of these, in a blocking_region
  std::size_t queued = 0;    ///< items and jobs that wait for a worker
  std::size_t waiting = 0;   ///< callers of submit() that wait for room

  std::uint64_t run = 0;      ///< items and jobs that have been run
  std::uint64_t stolen = 0;   ///< items taken from another worker's queue
  std::uint64_t wakes = 0;    ///< sleeping workers woken
  std::uint64_t started = 0;  ///< threads ever started

  std::uint64_t rejected = 0;    ///< jobs refused because the queue was full
  std::uint64_t discarded = 0;   ///< jobs refused to make room for newer ones
  std::uint64_t caller_ran = 0;  ///< jobs run by who submitted them
  std::uint64_t uncaught = 0;    ///< exceptions that left a posted function

  std::uint64_t waits = 0;                   ///< jobs (submit, run, post(fn)) whose queue wait was measured
  std::chrono::nanoseconds total_wait{0};    ///< the sum of those waits, from queueing to the beginning
  std::chrono::nanoseconds longest_wait{0};  ///< the longest since the pool was made
  std::chrono::nanoseconds recent_wait{0};   ///< a moving average over about the last 16 jobs of a worker, the worst
                                             ///< worker's; what load shedding looks at

  std::uint64_t runs = 0;                 ///< jobs whose run time was measured: of a worker's first, and every eighth,
                                          ///< whose queue wait was
  std::chrono::nanoseconds total_run{0};  ///< the sum of those times
  std::chrono::nanoseconds longest_run{0};  ///< the longest of them
};

/// What drain_until() left behind.
struct thread_pool_rest {
  std::size_t queued = 0;   ///< waits for a worker
  std::size_t running = 0;  ///< workers that are in the middle of something
  [[nodiscard]] bool empty() const noexcept { return queued == 0 && running == 0; }
};

/// Threads that run work: jobs that are submitted, items that are posted, and the tasks that are resumed on it.
///
/// A worker that has nothing to do steals from the others, looks on for at most some 20 microseconds, then sleeps; nothing
/// wakes while nothing is queued. Items posted by a worker go to its own queue, those of other threads to one for each. The order in which items run is not promised.
///
/// - Every item posted is run once, whoever posts it. [test: thread_pool.runs_every_item_once]
/// - A worker that finds nothing steals from one that is busy. [test: thread_pool.idle_workers_steal]
/// - Nothing wakes up while nothing is queued. [test: thread_pool.sleeps_while_nothing_is_queued,
///   thread_pool.an_idle_pool_is_never_scheduled]
/// - No item is stranded while a worker sleeps.
///   [test: thread_pool.no_wake_up_is_lost, thread_pool.an_item_that_comes_as_the_worker_falls_asleep_is_run,
///   thread_pool.two_items_that_wait_for_each_other_meet]
///
/// **Waiting in a worker.** future::get() for a job of the same pool that no worker has begun runs it on the spot.
/// Whatever else a worker blocks on through heddle's futures, channels and run loops, or inside a blocking_region,
/// lets a spare thread take its place while work is queued, up to `spare_threads` at a time; beyond that, queued work
/// waits. Blocking on a mutex or a semaphore does not bring in a spare.
/// - A job that waits for jobs of its own pool does not deadlock. [test: thread_pool.jobs_wait_for_jobs_of_their_own]
/// - A blocked worker is replaced. [test: thread_pool.a_blocked_worker_is_replaced]
///
/// **The end.** The destructor runs what is queued, and what that queues, then ends the threads; it waits for jobs as
/// long as they run. To end sooner: drain_until(), then abandon(). It must outlive the tasks that run on it, and be
/// destroyed by none of its own workers.
/// - The destructor runs what is queued. [test: thread_pool.the_destructor_runs_what_is_queued]
/// - Every future of a job gets an answer. [test: thread_pool.every_future_gets_an_answer]
///
/// Thread-safety: all members from any thread, but for the destructor.
class thread_pool final : public executor {
 public:
  using options = thread_pool_options;

  /// Starts the threads. @throws std::system_error when the system refuses one.
  explicit thread_pool(options how = {});
  ~thread_pool() override;

  /// Queues an item, whatever the capacity. One allocation less than post(fn): none.
  void post(work_item& item) noexcept override;

  /// Queues an item that gives way: one that other threads have queued comes before it, besides all of this worker's own.
  /// - [test: thread_pool.a_task_that_yields_lets_those_run_that_others_queued]
  void post_last(work_item& item) noexcept override;

  /// Queues a function whose end nobody waits for, whatever the capacity.
  /// - What it throws goes to `on_exception`. [test: thread_pool.what_a_posted_function_throws_is_reported]
  template <class Fn>
    requires std::invocable<std::decay_t<Fn>>
  void post(Fn&& fn) {
    post_job(*new pools::posted_function<std::decay_t<Fn>>{std::forward<Fn>(fn)}, false);
  }

  [[nodiscard]] const char* name() const noexcept override;

  /// Runs `fn(args…)` on a worker; arguments are copied or moved as by std::thread. One allocation holds job and answer.
  /// When the queue is full, `on_full` decides; `block` waits without end.
  /// - The value or the exception arrives by the future. [test: thread_pool.a_job_answers_by_its_future]
  /// - What `fn` captured is destroyed before the future is ready. [test: thread_pool.captures_are_gone_before_the_answer]
  /// - block: waits for room. [test: thread_pool.a_full_queue_blocks]
  /// - block, by a worker of this pool: runs queued jobs until there is room; if it holds a lock, it waits, and is
  ///   replaced. [test: thread_pool.a_worker_that_waits_for_room_makes_it,
  ///   thread_pool.a_worker_that_holds_a_lock_waits_for_room]
  /// - caller_runs: the caller does. [test: thread_pool.a_full_queue_lets_the_caller_run]
  /// - discard_oldest: the oldest gets job_refused. [test: thread_pool.a_full_queue_discards_the_oldest]
  /// - reject: the new one gets job_refused. [test: thread_pool.a_full_queue_rejects]
  template <class Fn, class... Args>
    requires std::invocable<std::decay_t<Fn>, std::decay_t<Args>...>
  [[nodiscard]] auto submit(Fn&& fn, Args&&... args) {
    return *submit_until({}, {}, std::forward<Fn>(fn), std::forward<Args>(args)...);
  }

  /// As submit(), for a job that is to run sooner or later than others. Jobs age: one with normal priority is passed over by
  /// at most 32 jobs that were queued after it, one with low priority by at most 256, and every 61st thing that a worker
  /// runs at the latest is of those that others queued, so none is starved. Jobs and items that are posted, or submitted
  /// without a priority to an unbounded pool, are not sorted.
  /// - Higher ones come first. [test: thread_pool.urgent_jobs_come_first]
  /// - Low ones are not starved. [test: thread_pool.a_low_job_is_passed_over_a_bounded_number_of_times,
  ///   ageing_list.nobody_is_passed_over_by_more_later_ones_than_its_delay]
  template <class Fn, class... Args>
    requires std::invocable<std::decay_t<Fn>, std::decay_t<Args>...>
  [[nodiscard]] auto submit(priority rank, Fn&& fn, Args&&... args) {
    return *submit_until(rank, {}, {}, std::forward<Fn>(fn), std::forward<Args>(args)...);
  }

  /// As submit(), but under `block` waits for room until the deadline (wait_error::timeout) or until `stop` fires
  /// (wait_error::stopped); then `fn` is not called and is destroyed.
  /// - A caller that gives up waiting for room leaves nothing behind.
  ///   [test: thread_pool.waiting_for_room_ends_by_deadline_and_stop]
  template <class Fn, class... Args>
    requires std::invocable<std::decay_t<Fn>, std::decay_t<Args>...>
  [[nodiscard]] auto submit_until(deadline until, const std::stop_token& stop, Fn&& fn, Args&&... args) {
    return submit_until(priority::normal, until, stop, std::forward<Fn>(fn), std::forward<Args>(args)...);
  }
  template <class Fn, class... Args>
    requires std::invocable<std::decay_t<Fn>, std::decay_t<Args>...>
  [[nodiscard]] auto submit_until(priority rank, deadline until, const std::stop_token& stop, Fn&& fn, Args&&... args)
      -> std::expected<future<std::invoke_result_t<std::decay_t<Fn>, std::decay_t<Args>...>>, wait_error> {
    using job = pools::job<std::decay_t<Fn>, std::decay_t<Args>...>;
    using result = std::invoke_result_t<std::decay_t<Fn>, std::decay_t<Args>...>;
    auto* const made = new job{std::forward<Fn>(fn), std::forward<Args>(args)...};
    made->rank = rank;
    future<result> answer{futures::handle<result>{made}};
    if (auto queued = submit_job(*made, until, stop); !queued) return std::unexpected{queued.error()};
    return answer;
  }

  /// For tasks: `auto r = co_await pool.run(fn);` runs `fn()` on a worker and resumes the task on its own executor with
  /// what fn returned or threw. No allocation. Not bounded by the capacity: a task that waits can queue no more.
  ///
  /// `fn` may refer to the task's locals: once it has begun, its end is awaited, whatever stops. A task that is stopped
  /// before `fn` has begun unwinds when its turn comes, and `fn` is not called.
  /// - The task goes on where it was. [test: thread_pool.run_resumes_the_task_on_its_own_executor]
  /// - Exceptions are carried. [test: thread_pool.run_carries_exceptions]
  /// - A stopped task's function that has not begun is not called. [test: thread_pool.run_skips_what_was_stopped]
  template <class Fn>
    requires std::invocable<Fn>
  [[nodiscard]] pools::run_awaiter<Fn> run(Fn fn, std::source_location site = std::source_location::current()) noexcept(
      std::is_nothrow_move_constructible_v<Fn>) {
    return pools::run_awaiter<Fn>{*this, std::move(fn), site};
  }

  /// Calls `f()` and `g()`, at the same time if a worker is free, and returns when both have ended: std::pair of what
  /// they returned (std::monostate for nothing), or nothing if neither returns anything. Called by a worker, `f` runs on
  /// the spot and `g` afterwards, unless another worker takes it; called by any other thread, both run on workers. Not
  /// bounded by the capacity.
  ///
  /// For algorithms that divide: no allocation, and nothing but a few stores when nobody takes `g`. `g` may wait for
  /// what `f` does, but not `f` for what `g` does.
  /// - Both are called once, and their results returned. [test: fork_join.both_halves_run_once_and_give_their_results]
  /// - Other workers take the halves. [test: fork_join.another_worker_takes_the_other_half]
  /// - When `f` throws, `g` has run all the same; what `f` threw is thrown, else what `g` threw.
  ///   [test: fork_join.exceptions_are_thrown_after_both_have_ended]
  /// - A worker whose other half was taken works on that half's own forks meanwhile, or is replaced.
  ///   [test: fork_join.who_waits_works_on_what_it_waits_for, fork_join.who_waits_is_replaced]
  template <class F, class G>
    requires(std::invocable<F&> && std::invocable<G&>)
  [[gnu::noinline]] pools::joined<F, G> fork_join(F&& f, G&& g) {  // out of line: see own_lane
    pools::fork_lane* const lane = pools::own_lane;
    if (lane == nullptr || lane->pool() != this) [[unlikely]] {
      auto whole = [&] { return fork_join<F&, G&>(f, g); };
      pools::forked<decltype(whole)> job{whole};
      post(job);
      pools::fork_lane::await_end(job, nullptr);
      return static_cast<pools::joined<F, G>>(job.take());
    }
    pools::forked<std::remove_reference_t<G>> job{g};
    const bool offered = lane->fork(job);
    auto first = [&] {
      try {
        return pools::call_half(f);
      } catch (...) {
        pools::settle(*lane, job, offered);
        throw;
      }
    }();
    if (offered && !lane->take_back()) [[unlikely]] {
      pools::fork_lane::await_end(job, lane);
      return pools::both<F, G>(std::move(first), job.take());
    }
    return pools::both<F, G>(std::move(first), pools::call_half(g));
  }

  /// Calls `fn(i)` for each i in 0 … n - 1, or, if it takes two arguments, `fn(from, to)` for ranges that make up 0 … n, on
  /// as many workers as are free, and returns when all have ended. No range is longer than `grain`; 0: about sixteen ranges
  /// for each thread. Made of fork_join(), so a worker may call it, and calls may nest.
  /// - Each index is called once. [test: bulk.calls_each_index_once]
  /// - A call that throws ends its range; the others are called, and the exception of the lowest is thrown.
  ///   [test: bulk.throws_the_exception_of_the_lowest]
  template <class Fn>
    requires(std::invocable<Fn&, std::size_t> || std::invocable<Fn&, std::size_t, std::size_t>)
  void bulk(std::size_t n, Fn&& fn, std::size_t grain = 0) {
    if (n == 0) return;
    if (grain == 0) grain = std::max<std::size_t>(1, n / (std::size_t{threads()} * 16));
    bulk_part(0, n, grain, fn);
  }

  /// What `fn` gives for each element of `range`, in their order; as bulk(), one element at a time if `grain` is 1.
  /// - Results are in the order of the elements. [test: bulk.map_keeps_the_order]
  template <std::ranges::forward_range Range, class Fn>
    requires std::invocable<Fn&, std::ranges::range_reference_t<Range>>
  [[nodiscard]] auto map(Range&& range, Fn&& fn, std::size_t grain = 0) {
    using result = std::remove_cvref_t<std::invoke_result_t<Fn&, std::ranges::range_reference_t<Range>>>;
    std::vector<std::ranges::iterator_t<Range>> elements;
    for (auto at = std::ranges::begin(range); at != std::ranges::end(range); ++at) elements.push_back(at);
    std::vector<std::optional<result>> found(elements.size());
    bulk(elements.size(), [&](std::size_t i) { found[i].emplace(std::invoke(fn, *elements[i])); }, grain);
    std::vector<result> results;
    results.reserve(found.size());
    for (std::optional<result>& each : found) results.push_back(std::move(*each));
    return results;
  }

  /// For tasks: `co_await pool.schedule();` goes on on a worker; the task runs there from here on. Whoever is stopped
  /// meanwhile unwinds at its next wait. No allocation.
  /// - The task goes on on a worker. [test: thread_pool.schedule_moves_the_task_here]
  [[nodiscard]] pools::schedule_awaiter schedule() noexcept { return pools::schedule_awaiter{*this}; }

  /// Waits until nothing is queued and nothing runs, `until` has come, or `stop` fires. What others post meanwhile
  /// counts; tasks that are suspended do not. Changes nothing. Not to be called by a worker of this pool.
  /// @return what is left; empty when the pool is idle.
  /// - It waits for what runs. [test: thread_pool.drain_waits_for_what_runs]
  /// - At the deadline it says what is left. [test: thread_pool.drain_says_what_is_left]
  thread_pool_rest drain_until(deadline until, const std::stop_token& stop = {},
                               std::source_location site = std::source_location::current()) noexcept;

  /// From now on no job begins: each queued or later one is refused in its turn, so that its future, or the task in
  /// run(), gets job_refused, and posted functions are dropped. Posted items, and so tasks, still run.
  /// - Jobs that have not begun are answered with job_refused. [test: thread_pool.abandon_answers_what_has_not_begun]
  void abandon() noexcept;

  /// From now on submit() answers with job_refused. What is queued runs; posting goes on, so that tasks can end. From any
  /// thread, also from a worker; drain_until() by another thread then waits for the end.
  /// - Later jobs are refused, earlier ones run. [test: thread_pool.close_refuses_what_comes_later]
  /// - A worker may close its pool. [test: thread_pool.a_worker_may_close_its_pool]
  void close() noexcept;

  [[nodiscard]] thread_pool_stats stats() const noexcept;

  /// How many threads work at a time.
  [[nodiscard]] unsigned threads() const noexcept override;

  /// The pool whose worker the calling thread is, or null.
  [[nodiscard]] static thread_pool* current() noexcept;

  class core;  // private to thread_pool.cpp

 private:
  friend class pools::run_wait;

  template <class Fn>
  void bulk_part(std::size_t from, std::size_t to, std::size_t grain, Fn& fn) {
    if (to - from > grain) {
      const std::size_t middle = from + (to - from) / 2;
      fork_join([&] { bulk_part(from, middle, grain, fn); }, [&] { bulk_part(middle, to, grain, fn); });
    } else if constexpr (std::invocable<Fn&, std::size_t, std::size_t>) {
      std::invoke(fn, from, to);
    } else {
      for (std::size_t i = from; i < to; ++i) std::invoke(fn, i);
    }
  }

  void post_job(pools::queued_job& job, bool always_measured) noexcept;
  std::expected<void, wait_error> submit_job(pools::queued_job& job, deadline until,
                                             const std::stop_token& stop) noexcept;

  std::unique_ptr<core> core_;
};

}  // namespace heddle
