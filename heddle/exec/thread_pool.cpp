// State. Work lies with a worker: in its ring (internal/ring.hpp: what it posts), its batch (steal_deque.hpp: what it has
//   taken to run next) or its lane (fork_join.cpp: what it forks); in an inlet (internal/inlets.hpp: what a thread that is
//   no worker posts); in posted_ (what has no room in a ring) or in jobs_ (internal/ageing_list.hpp: submitted jobs, if
//   the queue is bounded or they have a priority). The census counts who does what (census.hpp). One lock, that of the
//   line of sleepers, guards the two lists and the decisions about waking. worker.cpp is the life of a worker.
// Invariants.
//   I1  No lost wake. Whoever makes work visible looks at the census afterwards. Whoever ceases to be active or searching
//       changes the census and looks at all work afterwards. Either the first sees the change and wakes somebody, or the
//       second sees the work. Where anybody is idle (asleep, searching, blocked) already, that is the one order of
//       sequentially consistent accesses: announce() then makes its store of the work one of them by a read-modify-write,
//       and reads the census again. While nobody is idle announcing costs no more than a light barrier; therefore the
//       first who becomes idle passes a heavy one between its change and its look. docs/models/idle.pml.
//   I2  A wake is needed only if nobody searches, since a searcher looks once more after it ceases to (I1); and only if
//       fewer than `threads` are active, since an active worker looks at everything before it sleeps. The exception is
//       a worker that stands aside because too many are active: it leaves at least `threads` behind, which do look.
//   I3  asleep in the census equals the length of the line, under the lock. A woken worker counts as searching from the
//       moment it is chosen, so one piece of work wakes one worker; whoever then finds work as the last searcher, and
//       sees that there is more, wakes the next.
//   I4  An item taken from one place is run, or put into the worker's batch and announced, before the taker ceases to be
//       active.
//   I5  What makes the pool's end possible is the last access to it: the lock is let go of after everything else; a
//       thread leaves under the lock, and so does the one who has started it; and who posts by an inlet, where the item
//       may have run before post() returns, is waited for by the end.
//   I6  If submitters wait, jobs_ is full: whoever takes a job lets the first of them in under the same lock.
// Lock order. lock_, then room_ or drained_.
// Progress and fairness. A worker looks at the lists and inlets after every 61 items of its own, so neither starves; the
//   two lists take turns, and of eight turns at least one is not for urgent jobs. A worker that blocks (blocking_region)
//   ceases to be active, and I1 brings in another, a new thread if nobody sleeps. When it comes back, whoever first
//   finishes an item with too many active stands aside.
// Cost. post by anybody: some loads and stores while nobody is idle, else an atomic read-modify-write and a second look.
//   A wake: one system call, and none while a worker searches or all are busy. To run an item: the same, and a
//   compare-and-swap for every 16 or 32. A worker that runs out of work: a heavy barrier, then it looks on for 20
//   microseconds, if that has not been in vain lately, before it sleeps.
// Rejected. A counter of unfinished items, for drain_until(): two contended additions for each item; that everybody
//   sleeps says the same. Helping a blocked worker with any work there is: what it picks up may wait for what lies
//   below it on the same stack; only the very job that is waited for is run on the spot, and, to make room in a full
//   queue, the job whose turn it is. One queue under the lock for what is posted from outside: exec/post_external ran at
//   a third of the speed.
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
using pools::inlet;
using pools::queued_job;
using pools::this_worker;
using pools::worker;

namespace {

// One in so many posted functions is measured: reading the clock twice costs more than posting.
constexpr unsigned posts_for_a_measure = 16;

[[gnu::noinline]] bool is_measured() noexcept {
  constinit static thread_local unsigned count = 0;
  return count++ % posts_for_a_measure == 0;
}

thread_pool::options checked(thread_pool::options&& how) {
  if (how.threads == 0) how.threads = std::max(1U, sys::allowed_cpus());
  if (how.queue_capacity == 0) fatal("a thread_pool needs a queue_capacity of at least 1");
  if (std::size_t{how.threads} + how.spare_threads > census::most) fatal("a thread_pool has at most 65535 threads");
  return std::move(how);
}

}  // namespace

// --- jobs ---

namespace pools {

constinit thread_local worker* own_worker = nullptr;

worker* this_worker() noexcept { return own_worker; }

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
  const std::int64_t timed_from = job.queued_ns != 0 ? measure_wait(job, by) : 0;
  if (abandoned_.load(std::memory_order_relaxed)) {
    job.refuse(job_refused::reason::abandoned);
    return;
  }
  job.call();
  if (timed_from != 0) measure_run(sys::steady_now_ns() - timed_from, by);
}

// When the job begins if its run time is to be measured, else 0.
std::int64_t thread_pool::core::measure_wait(const queued_job& job, worker& by) noexcept {
  constexpr std::uint64_t waits_for_a_run = 8;
  const std::int64_t now_ns = sys::steady_now_ns();
  const std::int64_t waited = now_ns - job.queued_ns;
  constexpr auto relaxed = std::memory_order_relaxed;  // figures, with one writer each
  const std::uint64_t before = by.waits.load(relaxed);
  by.waits.store(before + 1, relaxed);
  by.total_wait.store(by.total_wait.load(relaxed) + waited, relaxed);
  if (waited > by.longest_wait.load(relaxed)) by.longest_wait.store(waited, relaxed);
  const std::int64_t recent = by.recent_wait.load(relaxed);
  by.recent_wait.store(recent + (waited - recent) / 16, relaxed);
  return before % waits_for_a_run == 0 ? now_ns : 0;
}

void thread_pool::core::measure_run(std::int64_t took, worker& by) noexcept {
  constexpr auto relaxed = std::memory_order_relaxed;
  by.runs.store(by.runs.load(relaxed) + 1, relaxed);
  by.total_run.store(by.total_run.load(relaxed) + took, relaxed);
  if (took > by.longest_run.load(relaxed)) by.longest_run.store(took, relaxed);
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
  if (me != nullptr && &me->home == this) {
    post_by(me->own, item);
  } else if (inlet* const mine = inlets_.mine(); mine != nullptr) {
    mine->enter();
    post_by(mine->items, item);
    mine->leave();  // I5
  } else {
    spill([](spilled&) { return std::size_t{0}; }, item);
  }
}

// Its worker looks at what others queued before it goes on with its own.
void thread_pool::core::post_last(work_item& item) noexcept {
  if (worker* const me = this_worker(); me != nullptr && &me->home == this) {
    me->turn += pools::turns_between_looks - 1 - me->turn % pools::turns_between_looks;
  }
  post(item);
}

// By the owner of `ring`. If that is full, half a ring goes to posted_ together with the item, so that the lock is taken
// once for many.
template <std::size_t Room>
void thread_pool::core::post_by(pools::ring<Room>& ring, work_item& item) noexcept {
  if (ring.push(item)) {
    announce(ring.published());
    return;
  }
  spill([&ring](spilled& items) { return ring.take(items, Room / 2, 1); }, item);
}

template <class Take>
void thread_pool::core::spill(Take take, work_item& item) noexcept {
  spilled items;
  decision then;
  {
    park::queue_guard guard{lock_};
    posted_.push(items, take(items));  // under the lock, so that nobody finds the pool idle meanwhile
    posted_.push(std::array{&item}, 1);
    choose(guard, then);
  }
  carry_out(then);  // I5: only what the decision keeps alive is touched
}

void thread_pool::core::post_job(queued_job& job, bool always_measured) noexcept {
  job.home = &self_;
  job.queued_ns = always_measured || is_measured() ? sys::steady_now_ns() : 0;
  job.run = &core::run_queued;
  post(job);
}

// --- waking ---

bool thread_pool::core::has_work() const noexcept {
  if (posted_.length() != 0 || jobs_.length() != 0) return true;
  for (std::size_t i = 0; i < inlets_.count(); ++i) {
    if (inlets_.at(i).items.size() != 0) return true;
  }
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    const worker* const w = workers_[i].load();
    if (w != nullptr && (w->own.size() != 0 || w->batch.size() != 0 || w->forks.size() != 0)) return true;
  }
  return false;
}

void thread_pool::core::announce(std::atomic<std::uint64_t>& published) noexcept {
  sys::light_barrier();
  if (census{counts.load(std::memory_order_relaxed)}.idle() != 0) announce_slow(published);  // I1
}

void thread_pool::core::announce_slow(std::atomic<std::uint64_t>& published) noexcept {
  published.fetch_add(0);  // I1: a full barrier
  notify();
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
  if (over_) return;
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
  for (std::size_t i = 0; i < inlets_.count(); ++i) sum += inlets_.at(i).items.size();
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    if (const worker* const w = workers_[i].load(); w != nullptr)
      sum += w->own.size() + w->batch.size() + w->forks.size();
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
  const auto all_have_ended = [this] {
    over_ = now().alive() == 0 && starting_ == 0;
    return over_;
  };
  (void)wait_in_drained(all_have_ended, deadline::never(), {}, std::source_location::current());
  const std::size_t count = known();
  for (std::size_t i = 0; i < count; ++i) {
    const std::unique_ptr<worker> w{workers_[i].load()};
    if (w != nullptr && w->thread.joinable()) w->thread.join();  // it has nothing left to do
  }
  inlets_.wait_for_posters();  // I5
}

thread_pool::core::core(thread_pool& self, options&& how) : core{self, checked(std::move(how)), 0} {}

thread_pool::core::core(thread_pool& self, options&& how, int)
    : fork_home{how.threads, [](fork_home& me, published& by) noexcept { static_cast<core&>(me).announce_slow(by); }},
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
    sum.runs += w->runs.load(relaxed);
    sum.total_run += std::chrono::nanoseconds{w->total_run.load(relaxed)};
    sum.longest_run = std::max(sum.longest_run, std::chrono::nanoseconds{w->longest_run.load(relaxed)});
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
void thread_pool::post_last(work_item& item) noexcept { core_->post_last(item); }
void thread_pool::post_job(pools::queued_job& job, bool always_measured) noexcept {
  core_->post_job(job, always_measured);
}
std::expected<void, wait_error> thread_pool::submit_job(pools::queued_job& job, deadline until,
                                                        const std::stop_token& stop) noexcept {
  return core_->submit(job, until, stop);
}
const char* thread_pool::name() const noexcept { return core_->how().name; }
unsigned thread_pool::threads() const noexcept { return core_->how().threads; }
thread_pool_stats thread_pool::stats() const noexcept { return core_->stats(); }
void thread_pool::abandon() noexcept { core_->abandon(); }
void thread_pool::close() noexcept { core_->close(); }
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
