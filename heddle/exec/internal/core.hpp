#pragma once

#include <heddle/exec/census.hpp>
#include <heddle/exec/fork_join.hpp>
#include <heddle/exec/internal/ageing_list.hpp>
#include <heddle/exec/internal/inlets.hpp>
#include <heddle/exec/internal/ring.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/queue.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace heddle {

namespace pools {

/// How many items of its own a worker runs before it looks at what is shared.
inline constexpr unsigned turns_between_looks = 61;

/// One thread of a pool. Everything but `own` and the figures belongs to the thread itself.
struct worker final : blocking_observer {
  worker(thread_pool::core& its_home, unsigned its_index) noexcept;

  void before_blocking() noexcept override;
  void after_blocking() noexcept override;

  thread_pool::core& home;
  const unsigned index;
  unsigned turn = 0;                 // counts its items, for looking at the shared queues in between
  unsigned first_victim = 0;         // where the next search begins
  unsigned helps = 0;                // how many queued jobs it runs to make room for another
  unsigned first_inlet = 0;          // where the next look at the inlets begins
  unsigned in_vain = 0;              // how often in a row it looked on for nothing before it slept
  ring<256> own;                     // what it posts
  steal_deque<work_item, 32> batch;  // what it has taken to run next
  fork_lane forks;                   // what it forks

  // Figures: written by the worker, read by stats().
  std::atomic<std::uint64_t> run{0};
  std::atomic<std::uint64_t> stolen{0};
  std::atomic<std::uint64_t> waits{0};
  std::atomic<std::int64_t> total_wait{0};
  std::atomic<std::int64_t> longest_wait{0};
  std::atomic<std::int64_t> recent_wait{0};
  std::atomic<std::uint64_t> runs{0};
  std::atomic<std::int64_t> total_run{0};
  std::atomic<std::int64_t> longest_run{0};

  std::thread thread;  // set by who starts it, read by the destructor
};

extern constinit thread_local worker* own_worker;

/// Not inlined: a task may continue on another thread, and the variable's address must not be kept over a suspension.
[[nodiscard, gnu::noinline]] worker* this_worker() noexcept;

/// A singly linked list of items, first in, first out; guarded by its owner. Its length may be read at any time.
class item_list {
 public:
  template <std::size_t Most>
  void push(const std::array<work_item*, Most>& items, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      items[i]->next = nullptr;
      *last_ = items[i];
      last_ = &items[i]->next;
    }
    length_.store(length() + count);
  }
  /// The first ones, at most `most`; gives how many.
  template <std::size_t Most>
  [[nodiscard]] std::size_t pop(std::array<work_item*, Most>& into, std::size_t most) noexcept {
    std::size_t count = 0;
    for (; count < std::min(most, Most) && first_ != nullptr; ++count) {
      into[count] = first_;
      first_ = first_->next;
    }
    if (first_ == nullptr) last_ = &first_;
    if (count != 0) length_.store(length() - count);
    return count;
  }
  [[nodiscard]] std::size_t length() const noexcept { return length_.load(); }

 private:
  work_item* first_ = nullptr;
  work_item** last_ = &first_;
  std::atomic<std::size_t> length_{0};
};

/// What has been decided under the pool's lock and is done after it: whom to wake, which thread to start.
struct decision {
  static constexpr unsigned nobody = ~0U;
  park::slot* sleeper = nullptr;    // to be woken
  park::slot* submitter = nullptr;  // whose job has been queued
  unsigned start = nobody;          // index of a worker to be started
};

}  // namespace pools

/// The pool itself; the essay is in thread_pool.cpp.
class thread_pool::core : public pools::fork_home {
 public:
  core(thread_pool& self, options&& how);
  ~core() = default;
  core(const core&) = delete;
  core& operator=(const core&) = delete;

  void start_all();
  void end_all() noexcept;
  void post(work_item& item) noexcept;
  void post_last(work_item& item) noexcept;
  void post_job(pools::queued_job& job, bool always_measured) noexcept;
  [[nodiscard]] std::expected<void, wait_error> submit(pools::queued_job& job, deadline until,
                                                       const std::stop_token& stop) noexcept;
  thread_pool_rest drain(deadline until, const std::stop_token& stop, std::source_location site) noexcept;
  [[nodiscard]] thread_pool_stats stats() noexcept;
  void abandon() noexcept { abandoned_.store(true); }
  void close() noexcept { closed_.store(true); }
  void report(std::exception_ptr error) noexcept;

  void before_blocking() noexcept;
  void after_blocking() noexcept;

  /// To be called after work has been made visible by a store to `published`: wakes or starts a worker if one is needed.
  void announce(std::atomic<std::uint64_t>& published) noexcept;

  /// Calls or refuses a job that the calling thread has begun, and keeps count.
  void run_begun(pools::queued_job& job, pools::worker& by) noexcept;
  static std::int64_t measure_wait(const pools::queued_job& job, pools::worker& by) noexcept;
  static void measure_run(std::int64_t took, pools::worker& by) noexcept;

  [[nodiscard]] thread_pool& self() const noexcept { return self_; }
  [[nodiscard]] const options& how() const noexcept { return how_; }

 private:
  using item_batch = std::array<work_item*, 32>;

  core(thread_pool& self, options&& checked, int);

  enum class rest : std::uint8_t { woken, ended };

  // Submitting.
  [[nodiscard]] bool queue_now(pools::queued_job& job) noexcept;
  [[nodiscard]] bool make_room() noexcept;
  [[nodiscard]] std::expected<void, wait_error> submit_when_there_is_room(pools::queued_job& job, deadline until,
                                                                          const std::stop_token& stop) noexcept;
  static void refuse(pools::queued_job& job, job_refused::reason why) noexcept;

  // Posting.
  using spilled = std::array<work_item*, 512>;
  template <std::size_t Room>
  void post_by(pools::ring<Room>& ring, work_item& item) noexcept;
  template <class Take>
  void spill(Take take, work_item& item) noexcept;

  // The life of a worker, in worker.cpp.
  void work(pools::worker& me) noexcept;
  work_item* next(pools::worker& me) noexcept;
  work_item* take_from_inlets(pools::worker& me, std::size_t most) noexcept;
  work_item* take_from_lists(pools::worker& me, std::size_t most, bool urgent = false) noexcept;
  work_item* take_from_others(pools::worker& me) noexcept;
  work_item* keep_rest(pools::worker& me, const item_batch& items, std::size_t count) noexcept;
  work_item* search(pools::worker& me) noexcept;
  void begin_search() noexcept;
  static void ceased(pools::census before) noexcept;
  [[nodiscard]] rest sleep(pools::worker& me) noexcept;
  [[nodiscard]] bool stand_aside() noexcept;
  void stop_searching() noexcept;
  static void run_queued(work_item* item) noexcept;

  // Waking. Under lock_ where a guard or a decision is passed.
  void notify() noexcept;
  [[gnu::noinline]] void announce_slow(std::atomic<std::uint64_t>& published) noexcept;
  void choose(park::queue_guard& guard, pools::decision& then) noexcept;
  void carry_out(const pools::decision& then) noexcept;
  void start(unsigned index);
  void let_submitter_in(pools::decision& then) noexcept;
  void tell_those_who_drain(void*& first) noexcept;
  static std::size_t claim_all(park::queue_guard& line, void*& first) noexcept;
  static void wake_all(void* first) noexcept;
  template <class Done>
  park::phase wait_in_drained(Done done, deadline until, const std::stop_token& stop,
                              std::source_location site) noexcept;

  [[nodiscard]] pools::census now() const noexcept { return {counts.load()}; }
  [[nodiscard]] bool has_work() const noexcept;
  [[nodiscard]] bool idle() const noexcept;
  [[nodiscard]] std::size_t queued() const noexcept;
  [[nodiscard]] thread_pool_rest what_is_left() const noexcept;
  [[nodiscard]] park::resource resource() const noexcept;
  [[nodiscard]] std::size_t known() const noexcept { return known_.load(); }

  thread_pool& self_;
  const options how_;
  const std::size_t most_workers_;

  std::atomic<bool> abandoned_{false};
  std::atomic<bool> closed_{false};
  pools::inlets inlets_;

  park::queue lock_;         // the sleeping workers; its lock guards what follows
  pools::item_list posted_;  // what does not fit into a ring
  pools::ageing_list jobs_;  // submitted jobs, when the capacity is bounded or their priority is not the usual one
  bool jobs_first_ = false;  // which of the two lists is looked at first the next time
  bool ending_ = false;
  bool over_ = false;             // nobody is woken or started any more
  unsigned starting_ = 0;         // threads that are just being started
  unsigned made_ = 0;             // indices of workers used so far
  std::vector<unsigned> failed_;  // indices whose thread could not be started

  park::queue room_;     // who waits to submit; taken under lock_
  park::queue drained_;  // who waits for idleness or the end; taken under lock_

  std::unique_ptr<std::atomic<pools::worker*>[]> workers_;  // most_workers_; null, then a worker for ever
  std::atomic<std::size_t> known_{0};                       // those behind are null

  std::atomic<std::uint64_t> run_elsewhere_{0};  // jobs run by who submitted them
  std::atomic<std::uint64_t> rejected_{0};
  std::atomic<std::uint64_t> discarded_{0};
  std::atomic<std::uint64_t> uncaught_{0};
  std::atomic<std::uint64_t> wakes_{0};
  std::atomic<std::uint64_t> waiting_{0};
};

}  // namespace heddle
