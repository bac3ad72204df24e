// State. Work lies in a worker's ring (internal/ring.hpp: what the worker itself posts), in a worker's lane (fork_join.cpp:
//   what it forks), in posted_ (what others post, and what overflows a ring) or in jobs_ (submitted jobs, if bounded).
//   The census counts who does what (census.hpp). One lock, that of the line of sleepers, guards the two lists and the
//   decisions about waking.
// Invariants.
//   I1  No lost wake. Whoever makes work visible (a sequentially consistent store) loads the census afterwards. Whoever
//       ceases to be active or searching changes the census (likewise) and looks at all work afterwards. So, in the one
//       order of these accesses, either the first sees the change and wakes somebody, or the second sees the work. For
//       forks the order comes from barriers instead: a light one between a fork and the load, a heavy one between the
//       change and the look (E3 in fork_join.cpp), once anything has been forked.
//   I2  A wake is needed only if nobody searches, since a searcher looks once more after it ceases to (I1); and only if
//       fewer than `threads` are active, since an active worker looks at everything before it sleeps. The exception is
//       a worker that stands aside because too many are active: it leaves at least `threads` behind, which do look.
//   I3  asleep in the census equals the length of the line, under the lock. A woken worker counts as searching from the
//       moment it is chosen, so one piece of work wakes one worker; whoever then finds work as the last searcher, and
//       sees that there is more, wakes the next.
//   I4  An item taken from one place is put into another, or run, before the taker ceases to be active. Lists are
//       shortened after the rings have got their items, and looked at before the rings.
//   I5  What makes the pool's end possible is the last access to it: an outside poster's item can be taken only after
//       it has let go of the lock; a thread leaves under the lock, and so does the one who has started it.
//   I6  If submitters wait, jobs_ is full: whoever takes a job lets the first of them in under the same lock.
// Lock order. lock_, then room_ or drained_.
// Progress and fairness. A worker looks at the shared lists after every 61 items of its own, so neither starves; the two
//   lists take turns. A worker that blocks (blocking_region) ceases to be active, and I1 brings in another, a new thread
//   if nobody sleeps. When it comes back, whoever first finishes an item with too many active stands aside.
// Cost. post by a worker: two atomic stores and a load. By others: one lock. A wake: one system call, and none while a
//   worker searches or all are busy.
// Rejected. A counter of unfinished items, for drain_until(): two contended additions for each item; that everybody
//   sleeps says the same. Helping a blocked worker with any work there is: what it picks up may wait for what lies
//   below it on the same stack; only the very job that is waited for is run on the spot.
// Source. The ring and the rules for waking follow the published design of the Go scheduler and of tokio's.

#include <heddle/base/fatal.hpp>
#include <heddle/exec/internal/core.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/park/executor_scope.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/barrier.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>

#include <algorithm>
#include <cstdio>
#include <system_error>

namespace heddle {

using pools::census;
using pools::decision;
using pools::queued_job;
using pools::worker;

namespace {

constinit thread_local worker* own_worker = nullptr;

// Not inlined: a task may continue on another thread, and the variable's address must not be kept over a suspension.
[[gnu::noinline]] worker* this_worker() noexcept { return own_worker; }

constexpr unsigned turns_between_looks = 61;

thread_pool::options checked(thread_pool::options&& how) {
  if (how.threads == 0) how.threads = std::max(1U, sys::allowed_cpus());
  if (how.queue_capacity == 0) fatal("a thread_pool needs a queue_capacity of at least 1");
  if (std::size_t{how.threads} + how.spare_threads > census::most) fatal("a thread_pool has at most 65535 threads");
  return std::move(how);
}

}  // namespace

// --- jobs ---

namespace pools {

worker::worker(thread_pool::core& its_home, unsigned its_index) noexcept
    : home{its_home}, index{its_index}, forks{&its_home.self(), its_home} {}

void worker::before_blocking() noexcept { home.before_blocking(); }
void worker::after_blocking() noexcept { home.after_blocking(); }

bool works_for(const thread_pool* pool) noexcept {
  const worker* const me = this_worker();
  return me != nullptr && &me->home.self() == pool;
}

void run_in_place(queued_job& job) noexcept {
  const agent_scope scope{thread_agent()};
  worker& me = *this_worker();
  me.home.run_begun(job, me);
}

void report_uncaught(std::exception_ptr error) noexcept { this_worker()->home.report(std::move(error)); }

}  // namespace pools

void thread_pool::core::run_queued(work_item* item) noexcept {
  auto& job = *static_cast<queued_job*>(item);
  if (!job.begin()) {
    job.let_go();
    return;
  }
  worker& me = *this_worker();
  me.home.run_begun(job, me);
}

void thread_pool::core::run_begun(queued_job& job, worker& by) noexcept {
  const std::int64_t waited = sys::steady_now_ns() - job.queued_ns;
  constexpr auto relaxed = std::memory_order_relaxed;  // figures, with one writer each
  by.waits.store(by.waits.load(relaxed) + 1, relaxed);
  by.total_wait.store(by.total_wait.load(relaxed) + waited, relaxed);
  if (waited > by.longest_wait.load(relaxed)) by.longest_wait.store(waited, relaxed);
  const std::int64_t recent = by.recent_wait.load(relaxed);
  by.recent_wait.store(recent + (waited - recent) / 16, relaxed);
  if (abandoned_.load()) {
    job.refuse(job_refused::reason::abandoned);
  } else {
    job.call();
  }
}

void thread_pool::core::report(std::exception_ptr error) noexcept {
  uncaught_.fetch_add(1, std::memory_order_relaxed);
  try {
    if (how_.on_exception) {
      how_.on_exception(std::move(error));
      return;
    }
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "heddle: an exception left a function posted to pool %s: %s\n", how_.name, e.what());
  } catch (...) {
    std::fprintf(stderr, "heddle: an exception left a function posted to pool %s\n", how_.name);
  }
}

// --- posting ---

void thread_pool::core::post(work_item& item) noexcept {
  worker* const me = this_worker();
  if (me != nullptr && &me->home == this && me->own.push(item)) {
    notify();  // I1
    return;
  }
  decision then;
  {
    park::queue_guard guard{lock_};
    posted_.push(item);
    choose(guard, then);
  }
  carry_out(then);  // I5: only what the decision keeps alive is touched
}

void thread_pool::core::post_job(queued_job& job) noexcept {
  job.home = &self_;
  job.queued_ns = sys::steady_now_ns();
  job.run = &core::run_queued;
  post(job);
}

std::expected<void, wait_error> thread_pool::core::submit(queued_job& job, deadline until,
                                                          const std::stop_token& stop) noexcept {
  if (how_.queue_capacity == options::unbounded) {
    post_job(job);
    return {};
  }
  job.home = &self_;
  job.queued_ns = sys::steady_now_ns();
  job.run = &core::run_queued;
  decision then;
  {
    park::queue_guard guard{lock_};
    const bool room = jobs_.length() < how_.queue_capacity || ending_;
    auto* const oldest =
        room || how_.on_full != when_full::discard_oldest ? nullptr : static_cast<queued_job*>(jobs_.pop());
    if (room || oldest != nullptr) {
      const bool discards = oldest != nullptr && oldest->begin();
      if (discards) discarded_.fetch_add(1, std::memory_order_relaxed);
      jobs_.push(job);
      choose(guard, then);
      guard.unlock();
      carry_out(then);  // I5
      if (discards) oldest->refuse(job_refused::reason::discarded);
      if (oldest != nullptr && !discards) oldest->let_go();
      return {};
    }
  }
  if (how_.on_full == when_full::reject || abandoned_.load()) {
    const bool full = !abandoned_.load();
    (void)job.begin();
    if (full) rejected_.fetch_add(1, std::memory_order_relaxed);
    job.refuse(full ? job_refused::reason::full : job_refused::reason::abandoned);
    return {};
  }
  if (how_.on_full == when_full::caller_runs) {
    (void)job.begin();
    run_elsewhere_.fetch_add(1, std::memory_order_relaxed);
    job.call();
    return {};
  }

  const auto give_up = [&](wait_error why) -> std::expected<void, wait_error> {
    job.let_go();
    return std::unexpected{why};
  };
  if (stop.stop_requested()) return give_up(wait_error::stopped);
  if (until.has_passed()) return give_up(wait_error::timeout);
  const blocking_region region;
  park::thread_wait wait{resource(), until, std::source_location::current()};
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

// --- waking ---

bool thread_pool::core::has_work() const noexcept {
  if (posted_.length() != 0 || jobs_.length() != 0) return true;  // I4: the lists first
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    const worker* const w = workers_[i].load();
    if (w != nullptr && (w->own.size() != 0 || !w->forks.empty())) return true;
  }
  return false;
}

// For whoever has ceased to be active or searching: whether there is work. I1
bool thread_pool::core::looks_again() const noexcept {
  if (used.load()) sys::heavy_barrier();
  return has_work();
}

void thread_pool::core::notify() noexcept {
  if (!now().wants_more(how_.threads)) return;  // I2
  decision then;
  {
    park::queue_guard guard{lock_};
    choose(guard, then);
  }
  carry_out(then);
}

void thread_pool::core::choose(park::queue_guard& guard, decision& then) noexcept {
  std::uint64_t seen = counts.load();
  for (;;) {
    const census c{seen};
    if (!c.wants_more(how_.threads)) return;  // I2
    const bool wakes = c.asleep() != 0;
    if (!wakes && made_ == most_workers_ && failed_.empty()) return;
    const std::uint64_t after = seen + census::one_searching + (wakes ? -census::one_asleep : census::one_alive);
    if (!counts.compare_exchange_weak(seen, after)) continue;
    if (wakes) {
      then.sleeper = guard.first();  // I3
      if (!park::claim(*then.sleeper)) fatal("a sleeping worker of a thread_pool was woken by somebody else");
      guard.remove(*then.sleeper);
      wakes_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (failed_.empty()) {
      then.start = made_++;
    } else {
      then.start = failed_.back();
      failed_.pop_back();
    }
    ++starting_;
    return;
  }
}

void thread_pool::core::carry_out(const decision& then) noexcept {
  if (then.sleeper != nullptr) park::publish(*then.sleeper, park::phase::woken);
  if (then.submitter != nullptr) park::publish(*then.submitter, park::phase::granted);
  if (then.start == decision::nobody) return;
  bool started = true;
  try {
    start(then.start);
  } catch (const std::exception&) {
    started = false;  // the work waits for a worker that becomes free
  }
  void* drainers = nullptr;
  {
    const park::queue_guard guard{lock_};
    --starting_;
    if (!started) {
      failed_.push_back(then.start);
      counts.fetch_sub(census::one_searching + census::one_alive);
    }
    tell_those_who_drain(drainers);
  }  // I5
  wake_all(drainers);
}

void thread_pool::core::start(unsigned index) {
  worker* w = workers_[index].load();
  if (w == nullptr) {
    w = new worker{*this, index};
    workers_[index].store(w);
    std::size_t seen = known_.load();
    while (seen <= index && !known_.compare_exchange_weak(seen, index + 1)) {
    }
  }
  w->thread = sys::start_thread(std::string{how_.name} + "-" + std::to_string(index), [this, w] { work(*w); });
}

void thread_pool::core::stop_searching() noexcept {
  const census before{counts.fetch_sub(census::one_searching)};
  if (before.searching() != 1 || before.active() >= how_.threads) return;  // I2
  if (looks_again()) notify();                                             // I1, I3
}

void thread_pool::core::before_blocking() noexcept {
  counts.fetch_add(census::one_blocked);
  if (looks_again()) notify();  // I1
}

void thread_pool::core::after_blocking() noexcept { counts.fetch_sub(census::one_blocked); }

// --- the life of a worker ---

void thread_pool::core::work(worker& me) noexcept {
  sys::block_all_signals();
  own_worker = &me;
  pools::own_lane = &me.forks;
  executor_scope here{self_};
  blocking_observer::watch_this_thread(&me);
  bool searching = true;
  for (;;) {
    work_item* item = next(me);
    if (item == nullptr) {
      if (!searching) counts.fetch_add(census::one_searching);
      searching = true;
      item = search(me);
      if (item == nullptr) {
        if (sleep(me) == rest::ended) return;  // I5
        continue;
      }
    }
    if (searching) {
      searching = false;
      stop_searching();
    }
    here.run(item);
    me.run.store(me.run.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (now().active() > how_.threads) searching = stand_aside();
  }
}

work_item* thread_pool::core::next(worker& me) noexcept {
  if (++me.turn % turns_between_looks == 0) {
    if (work_item* const item = take_shared(me); item != nullptr) return item;
  }
  if (work_item* const item = me.own.pop(); item != nullptr) return item;
  return take_shared(me);
}

// One item to run now, and if the worker has none of its own, its share of the posted ones.
work_item* thread_pool::core::take_shared(worker& me) noexcept {
  if (posted_.length() == 0 && jobs_.length() == 0) return nullptr;
  decision then;
  work_item* item = nullptr;
  {
    const park::queue_guard guard{lock_};
    jobs_first_ = !jobs_first_;
    if (jobs_first_ || posted_.length() == 0) item = jobs_.pop();
    if (item != nullptr) {
      let_submitter_in(then);
    } else if (posted_.length() != 0) {
      item = posted_.pop();
      if (me.own.size() == 0) {
        std::size_t share = std::min(posted_.length() / how_.threads, pools::ring::room / 2);
        for (; share > 0; --share) posted_.move_first_to(me.own);  // I4
      }
    } else {
      item = jobs_.pop();
      if (item != nullptr) let_submitter_in(then);
    }
  }
  carry_out(then);
  return item;
}

work_item* thread_pool::core::search(worker& me) noexcept {
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    worker* const victim = workers_[(me.first_victim + i) % count].load();
    if (victim == nullptr || victim == &me) continue;
    if (pools::fork_job* const job = victim->forks.steal(); job != nullptr) {
      me.first_victim = victim->index;
      me.stolen.store(me.stolen.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return job;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    worker* const victim = workers_[(me.first_victim + i) % count].load();
    if (victim == nullptr || victim == &me) continue;
    std::size_t taken = 0;
    if (work_item* const item = victim->own.steal_half(me.own, taken); item != nullptr) {
      me.first_victim = victim->index;
      me.stolen.store(me.stolen.load(std::memory_order_relaxed) + taken, std::memory_order_relaxed);
      return item;
    }
  }
  return take_shared(me);
}

// Called by a searching worker that has found nothing. When it returns `woken`, it counts as searching again.
thread_pool::core::rest thread_pool::core::sleep(worker& me) noexcept {
  me.recent_wait.store(0, std::memory_order_relaxed);
  void* drainers = nullptr;
  {
    park::thread_wait wait{resource(), deadline::never(), std::source_location::current()};
    bool ends = false;
    {
      park::queue_guard guard{lock_};
      ends = ending_;
      if (ends) {
        counts.fetch_sub(census::one_searching + census::one_alive);
        if (looks_again()) {  // I1
          counts.fetch_add(census::one_searching + census::one_alive);
          return rest::woken;
        }
      } else {
        guard.push_front(wait.node());  // the last to fall asleep is the first to be woken
        counts.fetch_add(census::one_asleep - census::one_searching);
      }
      tell_those_who_drain(drainers);
    }
    if (ends) {
      own_worker = nullptr;
      pools::own_lane = nullptr;
      wake_all(drainers);
      return rest::ended;
    }
    wake_all(drainers);
    if (looks_again()) notify();  // I1: wakes this worker, if any
    (void)wait.park(deadline::never(), {});
  }
  return rest::woken;
}

// Too many are active, because a blocked worker came back: one of them sleeps until it is needed. True: it did, and
// counts as searching.
bool thread_pool::core::stand_aside() noexcept {
  park::thread_wait wait{resource(), deadline::never(), std::source_location::current()};
  {
    park::queue_guard guard{lock_};
    if (ending_) return false;
    std::uint64_t seen = counts.load();
    do {
      if (census{seen}.active() <= how_.threads) return false;
    } while (!counts.compare_exchange_weak(seen, seen + census::one_asleep));  // I2
    guard.push_front(wait.node());
  }
  (void)wait.park(deadline::never(), {});
  return true;
}

// --- idleness and the end ---

bool thread_pool::core::idle() const noexcept {
  const census c = now();
  return c.asleep() == c.alive() && !has_work();
}

thread_pool_rest thread_pool::core::what_is_left() const noexcept {
  thread_pool_rest left;
  const census c = now();
  left.running = c.alive() - c.asleep() - c.searching();
  left.queued = queued();
  return left;
}

std::size_t thread_pool::core::queued() const noexcept {
  std::size_t sum = posted_.length() + jobs_.length();
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    if (const worker* const w = workers_[i].load(); w != nullptr) sum += w->own.size() + w->forks.size();
  }
  return sum;
}

// Under lock_. Takes those who wait in drained_ out if the pool is idle or at its end; each looks for itself.
void thread_pool::core::tell_those_who_drain(void*& first) noexcept {
  if (drained_.seems_empty() || !idle()) return;
  park::queue_guard line{drained_};
  claim_all(line, first);
}

std::size_t thread_pool::core::claim_all(park::queue_guard& line, void*& first) noexcept {
  std::size_t count = 0;
  void** last = &first;
  for (park::slot* s = line.first(); s != nullptr;) {
    park::slot* const next = line.after(*s);
    if (park::claim(*s)) {
      line.remove(*s);
      s->payload = nullptr;
      *last = s;
      last = &s->payload;
      ++count;
    }
    s = next;
  }
  return count;
}

void thread_pool::core::wake_all(void* first) noexcept {
  while (first != nullptr) {
    auto& woken = *static_cast<park::slot*>(first);
    first = woken.payload;
    park::publish(woken, park::phase::woken);
  }
}

template <class Done>
park::phase thread_pool::core::wait_in_drained(Done done, deadline until, const std::stop_token& stop,
                                               std::source_location site) noexcept {
  const blocking_region region;
  park::thread_wait wait{resource(), until, site};
  for (;;) {
    {
      const park::queue_guard guard{lock_};
      if (done()) return park::phase::granted;
      park::queue_guard line{drained_};
      line.push_back(wait.node());
    }
    const park::phase result = wait.park(until, stop);
    if (result != park::phase::woken) {
      const park::queue_guard guard{lock_};
      park::queue_guard line{drained_};
      line.remove(wait.node());
      return result;
    }
    wait.rearm();
  }
}

thread_pool_rest thread_pool::core::drain(deadline until, const std::stop_token& stop,
                                          std::source_location site) noexcept {
  if (pools::works_for(&self_))
    fatal("a worker of a thread_pool waits for its own pool to be idle, which cannot come", site);
  const park::phase result = wait_in_drained([this] { return idle(); }, until, stop, site);
  if (result == park::phase::granted) return {};
  return what_is_left();
}

void thread_pool::core::end_all() noexcept {
  if (pools::works_for(&self_))
    fatal("a thread_pool was destroyed by one of its own workers, which would wait for itself");
  void* sleepers = nullptr;
  {
    park::queue_guard guard{lock_};
    ending_ = true;
    const std::size_t count = claim_all(guard, sleepers);
    counts.fetch_add(count * (census::one_searching - census::one_asleep));  // I3
  }
  wake_all(sleepers);
  (void)wait_in_drained([this] { return now().alive() == 0 && starting_ == 0; }, deadline::never(), {},
                        std::source_location::current());
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    const std::unique_ptr<worker> w{workers_[i].load()};
    if (w != nullptr && w->thread.joinable()) w->thread.join();  // it has nothing left to do
  }
}

thread_pool::core::core(thread_pool& self, options&& how) : core{self, checked(std::move(how)), 0} {}

thread_pool::core::core(thread_pool& self, options&& how, int)
    : fork_home{how.threads, [](fork_home& me) noexcept { static_cast<core&>(me).notify(); }},
      self_{self},
      how_{std::move(how)},
      most_workers_{std::size_t{how_.threads} + how_.spare_threads},
      workers_{new std::atomic<worker*>[most_workers_] {}} {
  failed_.reserve(most_workers_);
}

void thread_pool::core::start_all() {
  made_ = how_.threads;
  counts.store(how_.threads * (census::one_alive + census::one_searching));
  for (unsigned i = 0; i < how_.threads; ++i) {
    try {
      start(i);
    } catch (...) {
      counts.fetch_sub((how_.threads - i) * (census::one_alive + census::one_searching));
      end_all();
      throw;
    }
  }
}

thread_pool_stats thread_pool::core::stats() noexcept {
  constexpr auto relaxed = std::memory_order_relaxed;
  thread_pool_stats sum;
  const census c = now();
  sum.threads = c.alive();
  sum.sleeping = c.asleep();
  sum.blocked = c.blocked();
  sum.queued = queued();
  sum.waiting = waiting_.load(relaxed);
  sum.run = run_elsewhere_.load(relaxed);
  sum.wakes = wakes_.load(relaxed);
  sum.rejected = rejected_.load(relaxed);
  sum.discarded = discarded_.load(relaxed);
  sum.caller_ran = run_elsewhere_.load(relaxed);
  sum.uncaught = uncaught_.load(relaxed);
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    const worker* const w = workers_[i].load();
    if (w == nullptr) continue;
    ++sum.started;
    sum.run += w->run.load(relaxed);
    sum.stolen += w->stolen.load(relaxed) + w->forks.stolen();
    sum.waits += w->waits.load(relaxed);
    sum.total_wait += std::chrono::nanoseconds{w->total_wait.load(relaxed)};
    sum.longest_wait = std::max(sum.longest_wait, std::chrono::nanoseconds{w->longest_wait.load(relaxed)});
    sum.recent_wait = std::max(sum.recent_wait, std::chrono::nanoseconds{w->recent_wait.load(relaxed)});
  }
  return sum;
}

// --- the public face ---

thread_pool::thread_pool(options how) : core_{std::make_unique<core>(*this, std::move(how))} {
  sys::prepare_barriers();
  core_->start_all();
}
thread_pool::~thread_pool() { core_->end_all(); }

void thread_pool::post(work_item& item) noexcept { core_->post(item); }
void thread_pool::post_job(pools::queued_job& job) noexcept { core_->post_job(job); }
std::expected<void, wait_error> thread_pool::submit_job(pools::queued_job& job, deadline until,
                                                        const std::stop_token& stop) noexcept {
  return core_->submit(job, until, stop);
}
const char* thread_pool::name() const noexcept { return core_->how().name; }
unsigned thread_pool::threads() const noexcept { return core_->how().threads; }
thread_pool_stats thread_pool::stats() const noexcept { return core_->stats(); }
void thread_pool::abandon() noexcept { core_->abandon(); }
thread_pool_rest thread_pool::drain_until(deadline until, const std::stop_token& stop,
                                          std::source_location site) noexcept {
  return core_->drain(until, stop, site);
}
thread_pool* thread_pool::current() noexcept {
  const worker* const me = this_worker();
  return me != nullptr ? &me->home.self() : nullptr;
}
park::resource thread_pool::core::resource() const noexcept {
  return park::resource::of(resource_kind::pool, &self_, how_.name);
}

}  // namespace heddle
