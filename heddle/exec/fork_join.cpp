// State. A worker's lane is a deque of the jobs that it has forked and nobody has taken (steal_deque.hpp). A job's state_:
//   open -> (awaited ->) ended, once it has been taken; one that is taken back is simply called.
// Invariants.
//   I1  Forks nest: whoever forks on a lane joins before it returns, so the youngest job in the lane is that of the
//       innermost open fork. Therefore taking back needs no name, and if the youngest has been taken, all have.
//   I2  A worker that begins a job taken elsewhere has an empty lane, by I1: it is at its loop, or the job that it waits
//       for has been taken. So all that is in its lane until the job has ended belongs to that job.
//   I3  The taker's exchange to `ended` is its last access to the job, unless the waiter sleeps, which then cannot go on
//       before it is woken.
// Edges.
//   E1  state_ exchange -> state_ load: what the job has done, and its result.
// Progress and fairness. Thieves take the oldest, which is the largest part of what is left. A worker whose job has been
//   taken works on what that job forks (and on nothing else: anything else might wait for what lies below it on the same
//   stack); if there is nothing, it looks on for a moment and then sleeps, and the pool gets another thread in its
//   place. A lane is bounded: with 1,024 open forks on one stack, what is forked deeper is not offered but called.
// Cost. A fork that nobody takes: some stores, no atomic read-modify-write, no fence, no allocation. One that is taken:
//   a system call (the heavy barrier) and two atomic read-modify-writes.
// Rejected. A full fence in take_back() (exec/fork_join_fib27 takes 30 times as long). Jobs that only their owner sees
//   until a thief asks: while the owner is in a long piece of work nobody answers. Continuation stealing: needs coroutines
//   or another stack for each call.
// Source. D. Wagner and B. Calder, "Leapfrogging: A Portable Technique for Implementing Efficient Futures", PPoPP 1993.

#include <heddle/exec/fork_join.hpp>
#include <heddle/park/agent.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/resource.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>

namespace heddle::pools {
namespace {

// How long somebody looks whether its job has ended before it sleeps; chosen with exec/fork_join_fib27 and /uts.
constexpr std::int64_t patience_ns = 20'000;
constexpr unsigned looks_between_times = 16;

}  // namespace

constinit thread_local fork_lane* own_lane = nullptr;

void fork_job::begins_elsewhere() noexcept {
  source_.store(current_agent().id(), std::memory_order_relaxed);
  taken_by_.store(own_lane, std::memory_order_release);
}

void fork_job::ends_elsewhere() noexcept {
  if (state_.exchange(ended, std::memory_order_acq_rel) != awaited) return;  // I3, E1
  if (!park::claim(*waiter_)) fatal("somebody else woke who waits for the half of a fork_join");
  park::publish(*waiter_, park::phase::granted);
}

void fork_lane::await_end(fork_job& job, fork_lane* own) noexcept {
  const bool may_help = own != nullptr && current_agent().held() == 0;
  const bool may_look = sys::allowed_cpus() > 1;
  std::int64_t patient_until = 0;
  for (unsigned looks = 0; may_look; ++looks) {
    const auto has_ended = [&job] { return job.state_.load(std::memory_order_acquire) == fork_job::ended; };
    if (has_ended()) return;  // E1
    fork_lane* const taker = may_help ? job.taken_by_.load(std::memory_order_acquire) : nullptr;
    fork_job* const part = taker != nullptr ? taker->jobs_.steal([&] { return !has_ended(); }) : nullptr;  // I2
    if (part != nullptr) {
      own->stolen_.store(own->stolen_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      const agent_scope scope{thread_agent()};
      part->run(part);
      looks = 0;
      patient_until = 0;
      continue;
    }
    sys::spin_pause();
    if (looks % looks_between_times != 0) continue;
    const std::int64_t now = sys::steady_now_ns();
    if (patient_until == 0) patient_until = now + patience_ns;
    if (now >= patient_until) break;
  }
  const blocking_region region;
  const park::resource what{
      .kind = resource_kind::join, .address = &job, .made = origin{"fork"}, .owner = &job.source_};
  park::thread_wait wait{what, deadline::never(), std::source_location::current()};
  job.waiter_ = &wait.node();
  std::uint32_t expected = fork_job::open;
  if (!job.state_.compare_exchange_strong(expected, fork_job::awaited)) return;  // I3, E1
  (void)wait.park(deadline::never(), {});
}

}  // namespace heddle::pools
