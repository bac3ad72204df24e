// What keeps leases while their holders work: the heartbeat renews, the watch ends.
//
// Two agents, because a renewal may hang on the engine, and the end of a lease must be told in time all the same: the
// heartbeat is a task on the executor for blocking calls; the watch is a thread that only waits and fires.
// Invariants.
//   I1  A lease's end is counted from before its request was sent; stop fires at valid_until, which is earlier by a
//       margin than the engine's end.
//   I2  A lease leaves `held` once: released, or lost. Whoever takes it out sees to its turn.
//   I3  The turn is given after the engine has answered the release, so that the next one finds the lock free.
//   I4  User code (stop callbacks) runs under no lock of the service.

#include <heddle/dist/internal/lock_service_state.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/task/scope.hpp>

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

namespace heddle::dist {
namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

// How long the two stay up for the next lease when there is none: a lock that is taken and released again and again
// does not wake them each time.
constexpr std::int64_t linger_ns = 1'000'000'000;

// What is kept back from the end of a lease for its loss to be noticed and acted on.
std::int64_t margin_of(std::int64_t ttl_ns) noexcept {
  return std::clamp<std::int64_t>(ttl_ns / 5, 4'000'000, 1'000'000'000);
}

// A boot clock reading as a deadline of the steady clock, on which threads and tasks wait.
deadline deadline_of(std::int64_t boot_ns) noexcept {
  if (boot_ns == never) return deadline::never();
  return deadline::at_ns(sys::steady_now_ns() + (boot_ns - sys::boot_now_ns()));
}

}  // namespace

void lock_service::state::start(executor& blocking) {
  watcher = sys::start_thread("lease-watch", [this] {
    sys::block_all_signals();
    watch();
  });
  auto done = [this](const outcome<void>&) noexcept { beat_ended.cross(); };
  tasks::make_root(beat(), std::move(done), blocking, {}, "lock heartbeat").post();
}

void lock_service::state::shut_down() {
  std::vector<std::shared_ptr<lease_state>> left;
  {
    const std::lock_guard lock{guard};
    for (auto& [raw, lease] : held) {
      lease->now = lease_state::phase::lost;
      left.push_back(lease);
      releases.push_back({lease->turn, lease->token});
    }
    held.clear();
    stopping = true;
    ring_heartbeat();
    ring_watch();
  }
  for (const auto& lease : left) lease->stop.request_stop();  // I4
  beat_ended.wait();
  watcher.join();
  engine.reset();
}

// --- turns ---

lock_turn& lock_service::state::enter(const std::string& name) {
  const std::lock_guard lock{guard};
  std::unique_ptr<lock_turn>& turn = turns[name];
  if (turn == nullptr) turn = std::make_unique<lock_turn>(name);
  ++turn->users;
  return *turn;
}

void lock_service::state::leave(lock_turn& turn) {
  const std::lock_guard lock{guard};
  if (--turn.users == 0) turns.erase(turns.find(turn.name()));
}

void lock_service::state::give_and_leave(lock_turn& turn) {
  turn.give();
  leave(turn);
}

// --- leases ---

std::shared_ptr<lease_state> lock_service::state::grant(lock_turn& turn, const lock_request& granted,
                                                        const lock_options& how, std::int64_t sent_ns) {
  auto lease = std::make_shared<lease_state>();
  lease->service = shared_from_this();
  lease->turn = &turn;
  lease->name = turn.name();
  lease->token = granted.token;
  lease->ttl_ns = granted.ttl_ns;
  lease->renews = how.renew;
  const std::int64_t valid_until = sent_ns + granted.ttl_ns - margin_of(granted.ttl_ns);  // I1
  lease->valid_until_ns.store(valid_until, std::memory_order_relaxed);
  lease->renew_at_ns = how.renew ? sent_ns + granted.ttl_ns / 3 : never;
  turn.held_by(current_agent().id());
  count.acquired.fetch_add(1, std::memory_order_relaxed);
  if (granted.taken_over) count.taken_over.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock{guard};
  held.emplace(lease.get(), lease);
  beat_used = watch_used = true;
  if (lease->renew_at_ns < next_beat_ns) ring_heartbeat();
  if (valid_until < next_watch_ns) ring_watch();
  return lease;
}

bool lock_service::state::begin_release(lease_state& lease) {
  const std::lock_guard lock{guard};
  if (lease.now != lease_state::phase::held) return false;
  lease.now = lease_state::phase::releasing;
  held.erase(&lease);  // I2
  return true;
}

void lock_service::state::release_later(lock_turn& turn, std::int64_t token) {
  const std::lock_guard lock{guard};
  releases.push_back({&turn, token});
  ring_heartbeat();
}

void lock_service::state::lose(const std::shared_ptr<lease_state>& lease) {
  {
    const std::lock_guard lock{guard};
    if (lease->now != lease_state::phase::held) return;
    lease->now = lease_state::phase::lost;
    held.erase(lease.get());  // I2
  }
  count.lost.fetch_add(1, std::memory_order_relaxed);
  lease->stop.request_stop();  // I4
  give_and_leave(*lease->turn);
}

// --- heartbeat ---

void lock_service::state::ring_heartbeat() {
  if (!std::exchange(beat_rung, true)) beat_bell.release();
}

void lock_service::state::ring_watch() {
  if (!std::exchange(watch_rung, true)) watch_bell.release();
}

task<void> lock_service::state::beat() {
  std::vector<lock_request> requests;
  std::vector<std::shared_ptr<lease_state>> renewing;
  std::vector<lock_turn*> releasing;
  for (;;) {
    const deadline next = collect(requests, renewing, releasing);
    if (requests.empty()) {
      {
        const std::lock_guard lock{guard};
        if (stopping && releases.empty()) co_return;
      }
      if (auto rung = co_await beat_bell.async_acquire_until(next)) rung->use_up();
      continue;
    }
    const std::int64_t sent_ns = sys::boot_now_ns();
    co_await engine->ask(requests);
    apply(requests, renewing, releasing, sent_ns);
  }
}

// Renewals first, then releases; says when the next renewal is due.
deadline lock_service::state::collect(std::vector<lock_request>& requests,
                                      std::vector<std::shared_ptr<lease_state>>& renewing,
                                      std::vector<lock_turn*>& releasing) {
  requests.clear();
  renewing.clear();
  releasing.clear();
  const std::int64_t now = sys::boot_now_ns();
  const std::lock_guard lock{guard};
  beat_rung = false;
  next_beat_ns = std::exchange(beat_used, false) ? now + linger_ns : never;
  for (const auto& [raw, lease] : held) {
    if (!lease->renews) continue;
    if (lease->renew_at_ns > now) {
      next_beat_ns = std::min(next_beat_ns, lease->renew_at_ns);
      continue;
    }
    requests.push_back(lock_request::renew(lease->name, lease->token, lease->ttl_ns));
    renewing.push_back(lease);
  }
  for (const auto& [turn, token] : releases) {
    requests.push_back(lock_request::release(turn->name(), token));
    releasing.push_back(turn);
  }
  releases.clear();
  return deadline_of(next_beat_ns);
}

void lock_service::state::apply(const std::vector<lock_request>& answers,
                                const std::vector<std::shared_ptr<lease_state>>& renewing,
                                const std::vector<lock_turn*>& releasing, std::int64_t sent_ns) {
  for (std::size_t i = 0; i < renewing.size(); ++i) {
    const std::shared_ptr<lease_state>& lease = renewing[i];
    if (answers[i].done) {
      count.renewals.fetch_add(1, std::memory_order_relaxed);
      lease->valid_until_ns.store(sent_ns + lease->ttl_ns - margin_of(lease->ttl_ns),
                                  std::memory_order_relaxed);  // I1
      const std::lock_guard lock{guard};
      lease->renew_at_ns = sent_ns + lease->ttl_ns / 3;
    } else if (answers[i].error) {  // not known: ask again soon, until the watch ends it
      const std::lock_guard lock{guard};
      lease->renew_at_ns = sys::boot_now_ns() + lease->ttl_ns / 20;
    } else {
      lose(lease);
    }
  }
  for (lock_turn* turn : releasing) give_and_leave(*turn);  // I3
}

// --- watch ---

void lock_service::state::watch() {
  for (;;) {
    std::vector<std::shared_ptr<lease_state>> ended;
    deadline next;
    {
      const std::lock_guard lock{guard};
      if (stopping) return;
      watch_rung = false;
      const std::int64_t now = sys::boot_now_ns();
      next_watch_ns = std::exchange(watch_used, false) ? now + linger_ns : never;
      for (const auto& [raw, lease] : held) {
        const std::int64_t until = lease->valid_until_ns.load(std::memory_order_relaxed);
        if (until <= now) {
          ended.push_back(lease);
        } else {
          next_watch_ns = std::min(next_watch_ns, until);
        }
      }
      next = deadline_of(next_watch_ns);
    }
    for (const auto& lease : ended) lose(lease);
    if (auto rung = watch_bell.acquire_until(next)) rung->use_up();
  }
}

}  // namespace heddle::dist
