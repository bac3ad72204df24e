// Submitting to a queue that may be full; the invariants are those of thread_pool.cpp.

#include <heddle/exec/internal/core.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/futex.hpp>

namespace heddle {

using pools::decision;
using pools::queued_job;
using pools::this_worker;
using pools::worker;

namespace {

// How deep a worker may run queued jobs inside of others that wait for room in the queue.
constexpr unsigned most_helps = 8;

}  // namespace

// True: the job is queued, or has been answered; false: there is no room.
bool thread_pool::core::queue_now(queued_job& job) noexcept {
  decision then;
  queued_job* least = nullptr;
  bool discards = false;
  {
    park::queue_guard guard{lock_};
    if (jobs_.length() >= how_.queue_capacity && !ending_) {
      if (how_.on_full != when_full::discard_oldest) return false;
      least = jobs_.pop_least();
      discards = least->begin();
      if (discards) discarded_.fetch_add(1, std::memory_order_relaxed);
    }
    jobs_.push(job);
    choose(guard, then);
  }
  carry_out(then);  // I5
  if (discards) {
    least->refuse(job_refused::reason::discarded);
  } else if (least != nullptr) {
    least->let_go();
  }
  return true;
}

std::expected<void, wait_error> thread_pool::core::submit(queued_job& job, deadline until,
                                                          const std::stop_token& stop) noexcept {
  if (closed_.load()) {
    refuse(job, job_refused::reason::closed);
    return {};
  }
  if (how_.queue_capacity == options::unbounded && job.rank == priority::normal) {
    post_job(job, true);
    return {};
  }
  job.home = &self_;
  job.queued_ns = sys::steady_now_ns();
  job.run = &core::run_queued;
  if (queue_now(job)) return {};
  if (abandoned_.load()) {
    refuse(job, job_refused::reason::abandoned);
    return {};
  }
  switch (how_.on_full) {
    case when_full::reject:
      rejected_.fetch_add(1, std::memory_order_relaxed);
      refuse(job, job_refused::reason::full);
      return {};
    case when_full::caller_runs:
      (void)job.begin();
      run_elsewhere_.fetch_add(1, std::memory_order_relaxed);
      job.call();
      return {};
    default: return submit_when_there_is_room(job, until, stop);
  }
}

void thread_pool::core::refuse(queued_job& job, job_refused::reason why) noexcept {
  (void)job.begin();
  job.refuse(why);
}

// A worker makes room itself: it runs the job whose turn it is. Not while it holds a lock, which that job might want, nor
// ever deeper; then it is replaced as others are.
bool thread_pool::core::make_room() noexcept {
  worker* const me = this_worker();
  if (me == nullptr || &me->home != this || me->helps == most_helps || current_agent().held() != 0) return false;
  decision then;
  queued_job* job = nullptr;
  {
    const park::queue_guard guard{lock_};
    job = jobs_.pop();
    if (job != nullptr) let_submitter_in(then);
  }
  carry_out(then);
  if (job == nullptr) return true;
  ++me->helps;
  {
    const agent_scope scope{thread_agent()};
    run_queued(job);
  }
  --me->helps;
  return true;
}

std::expected<void, wait_error> thread_pool::core::submit_when_there_is_room(queued_job& job, deadline until,
                                                                             const std::stop_token& stop) noexcept {
  const auto give_up = [&](wait_error why) -> std::expected<void, wait_error> {
    job.let_go();
    return std::unexpected{why};
  };
  for (;;) {
    if (stop.stop_requested()) return give_up(wait_error::stopped);
    if (until.has_passed()) return give_up(wait_error::timeout);
    if (!make_room()) break;
    if (queue_now(job)) return {};
  }
  const blocking_region region;
  park::thread_wait wait{resource(), until, std::source_location::current()};
  decision then;
  {
    park::queue_guard guard{lock_};
    if (jobs_.length() < how_.queue_capacity || ending_) {
      jobs_.push(job);
      choose(guard, then);
      guard.unlock();
      carry_out(then);
      return {};
    }
    park::queue_guard line{room_};
    wait.node().payload = &job;
    line.push_back(wait.node());  // I6
    waiting_.fetch_add(1, std::memory_order_relaxed);
  }
  const park::phase result = wait.park(until, stop);
  if (result == park::phase::granted) return {};
  {
    park::queue_guard guard{lock_};
    park::queue_guard line{room_};
    line.remove(wait.node());
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  return give_up(park::error_of(result));
}

// Under lock_, after a job has been taken.
void thread_pool::core::let_submitter_in(decision& then) noexcept {
  if (room_.seems_empty()) return;  // exact: who enters holds lock_
  park::queue_guard line{room_};
  for (park::slot* s = line.first(); s != nullptr; s = line.after(*s)) {
    if (!park::claim(*s)) continue;  // it is just leaving
    line.remove(*s);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    jobs_.push(*static_cast<queued_job*>(s->payload));  // I6
    then.submitter = s;
    return;
  }
}

}  // namespace heddle
