#include <heddle/dist/internal/lock_service_state.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/sync/backoff.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/identity.hpp>

#include <algorithm>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

namespace heddle::dist {
namespace {

constexpr std::chrono::nanoseconds least_ttl = std::chrono::milliseconds{20};

lock_error lock_error_of(wait_error why) noexcept {
  switch (why) {
    case wait_error::stopped: return lock_error::stopped;
    case wait_error::deadlock: return lock_error::deadlock;
    default: return lock_error::timeout;
  }
}

}  // namespace

// One attempt to have a lock, what tasks and threads share: somebody who wants a lock, from entering its turn until a lease has it, or he gives up.
class lock_attempt {
 public:
  lock_attempt(lock_service::state& service, std::string name, const lock_options& how)
      : service_{service},
        how_{how},
        turn_{&service.enter(name)},
        request_{lock_request::acquire(std::move(name), std::max(how.ttl, least_ttl).count())} {
    service_.count.waiting.fetch_add(1, std::memory_order_relaxed);
  }
  lock_attempt(const lock_attempt&) = delete;
  lock_attempt& operator=(const lock_attempt&) = delete;
  ~lock_attempt() {
    service_.count.waiting.fetch_sub(1, std::memory_order_relaxed);
    if (turn_ == nullptr) return;
    if (has_turn_) turn_->give();
    service_.leave(*turn_);
  }

  [[nodiscard]] lock_turn& turn() noexcept { return *turn_; }
  [[nodiscard]] std::span<lock_request> request() noexcept {
    request_.done = false;
    request_.error.reset();
    sent_ns_ = sys::boot_now_ns();
    return {&request_, 1};
  }

  void now_has_turn() noexcept { has_turn_ = true; }

  void note_wait(std::atomic<std::uint64_t>& where, bool& noted) noexcept {
    if (std::exchange(noted, true)) return;
    where.fetch_add(1, std::memory_order_relaxed);
    if (!waited_local_ || !waited_remote_) service_.count.waited.fetch_add(1, std::memory_order_relaxed);
  }
  void waits_locally() noexcept { note_wait(service_.count.waited_local, waited_local_); }
  void waits_remotely() noexcept { note_wait(service_.count.waited_remote, waited_remote_); }

  [[nodiscard]] bool granted() const noexcept { return request_.done; }
  [[nodiscard]] std::optional<lock_error> error() const noexcept { return request_.error; }
  [[nodiscard]] std::shared_ptr<lease_state> take() {
    auto made = service_.grant(*turn_, request_, how_, sent_ns_);
    turn_ = nullptr;  // the lease has it
    return made;
  }

  // Until when to pause before asking again: a jittered pause, but not past the end of the holder's lease.
  [[nodiscard]] deadline next_look() noexcept {
    const std::int64_t now = sys::steady_now_ns();
    const std::int64_t pause =
        (service_.options.poll_least + pauses_.next().value_or(std::chrono::nanoseconds{0})).count();
    const std::int64_t left = std::max<std::int64_t>(request_.held_until_ns - sys::boot_now_ns(), 0) + 100'000;
    return std::min(deadline::at_ns(now + std::min(pause, left)), how_.until);
  }

  [[nodiscard]] lock_error give_up(wait_error why) noexcept {
    if (why == wait_error::timeout) service_.count.timeouts.fetch_add(1, std::memory_order_relaxed);
    return lock_error_of(why);
  }

 private:
  lock_service::state& service_;
  const lock_options& how_;
  lock_turn* turn_;
  lock_request request_;
  backoff pauses_{{.first = service_.options.poll_least,
                   .most = service_.options.poll_most,
                   .attempts = 0,
                   .seed = service_.options.seed}};
  std::int64_t sent_ns_ = 0;
  bool has_turn_ = false;
  bool waited_local_ = false;
  bool waited_remote_ = false;
};

// Keeps the lease's lock from being forgotten when its release is cut short: then the heartbeat releases it.
class lease_release {
 public:
  explicit lease_release(lease_state& lease)
      : lease_{lease}, request_{lock_request::release(lease.name, lease.token)} {}
  lease_release(const lease_release&) = delete;
  lease_release& operator=(const lease_release&) = delete;
  ~lease_release() {
    if (!answered_) lease_.service->release_later(*lease_.turn, lease_.token);
  }

  [[nodiscard]] std::span<lock_request> request() noexcept { return {&request_, 1}; }

  std::expected<void, lock_error> answered() {
    answered_ = true;
    lease_.service->give_and_leave(*lease_.turn);
    if (request_.error) return std::unexpected{*request_.error};
    if (!request_.done) return std::unexpected{lock_error::lease_lost};
    return {};
  }

 private:
  lease_state& lease_;
  lock_request request_;
  bool answered_ = false;
};

// --- lease ---

lease::lease() noexcept = default;
lease::lease(std::shared_ptr<lease_state> state) noexcept : state_{std::move(state)} {}
lease::lease(lease&& other) noexcept = default;

lease& lease::operator=(lease&& other) noexcept {
  lease old{std::exchange(state_, std::move(other.state_))};
  return *this;
}

lease::~lease() {
  if (state_ == nullptr) return;
  if (state_->service->begin_release(*state_)) state_->service->release_later(*state_->turn, state_->token);
}

const std::string& lease::name() const noexcept { return state_->name; }
std::int64_t lease::token() const noexcept { return state_->token; }
const std::string& lease::owner() const noexcept { return state_->service->owner; }
std::stop_token lease::stop() const noexcept { return state_->stop.get_token(); }

boot_clock::time_point lease::valid_until() const noexcept {
  return boot_clock::time_point{std::chrono::nanoseconds{state_->valid_until_ns.load(std::memory_order_relaxed)}};
}

task<std::expected<void, lock_error>> lease::release() {
  const std::shared_ptr<lease_state> state = std::move(state_);
  if (state == nullptr) co_return std::unexpected{lock_error::not_owner};
  if (!state->service->begin_release(*state)) co_return std::unexpected{lock_error::lease_lost};
  lease_release ending{*state};
  co_await state->service->engine->ask(ending.request());
  co_return ending.answered();
}

std::expected<void, lock_error> lease::release_blocking() {
  const std::shared_ptr<lease_state> state = std::move(state_);
  if (state == nullptr) return std::unexpected{lock_error::not_owner};
  if (!state->service->begin_release(*state)) return std::unexpected{lock_error::lease_lost};
  lease_release ending{*state};
  state->service->engine->ask_blocking(ending.request());
  return ending.answered();
}

// --- service ---

store_result<std::unique_ptr<lock_service>> lock_service::open(std::string_view url, executor& blocking,
                                                               lock_service_options options) {
  constexpr std::string_view sqlite = "sqlite://";
  std::string owner = sys::random_id();
  std::unique_ptr<lock_engine> engine;
  if (url == "memory://") {
    engine = make_memory_locks();
  } else if (url.starts_with(sqlite) && url.size() > sqlite.size() && url[sqlite.size()] == '/') {
    auto made = make_sqlite_locks(std::string{url.substr(sqlite.size())}, owner, blocking);
    if (!made) return std::unexpected{std::move(made).error()};
    engine = *std::move(made);
  } else {
    return std::unexpected{store_error{store_errc::refused, "'" + std::string{url} +
                                                                "' names no lock engine; it is memory:// or "
                                                                "sqlite:///absolute/path"}};
  }
  if (const engine_traits traits = engine->traits(); traits.strength < options.require) {
    return std::unexpected{store_error{store_errc::refused, "the lock engine '" + std::string{traits.name} +
                                                                "' has a weaker fence than the program requires"}};
  }
  auto made = std::make_shared<state>(std::move(engine), std::move(owner), options);
  made->start(blocking);
  return std::unique_ptr<lock_service>{new lock_service{std::move(made)}};
}

lock_service::lock_service(std::shared_ptr<state> s) noexcept : state_{std::move(s)} {}
lock_service::~lock_service() { state_->shut_down(); }

task<std::expected<lease, lock_error>> lock_service::lock(std::string name, lock_options options,
                                                          std::source_location site) {
  lock_attempt attempt{*state_, std::move(name), options};
  if (!attempt.turn().try_take()) {
    attempt.waits_locally();
    if (const auto why = co_await attempt.turn().async_take(options.until, options.stop, site)) {
      co_return std::unexpected{attempt.give_up(*why)};
    }
  }
  attempt.now_has_turn();
  for (;;) {
    co_await state_->engine->ask(attempt.request());
    if (attempt.granted()) co_return lease{attempt.take()};
    if (attempt.error()) co_return std::unexpected{*attempt.error()};
    attempt.waits_remotely();
    const wait_error why = co_await attempt.turn().async_pause(attempt.next_look(), options.stop, site);
    if (why != wait_error::timeout || options.until.has_passed()) co_return std::unexpected{attempt.give_up(why)};
  }
}

task<std::expected<lease, lock_error>> lock_service::try_lock(std::string name, lock_options options,
                                                              std::source_location) {
  lock_attempt attempt{*state_, std::move(name), options};
  if (!attempt.turn().try_take()) co_return std::unexpected{lock_error::would_block};
  attempt.now_has_turn();
  co_await state_->engine->ask(attempt.request());
  if (attempt.granted()) co_return lease{attempt.take()};
  co_return std::unexpected{attempt.error().value_or(lock_error::would_block)};
}

std::expected<lease, lock_error> lock_service::lock_blocking(std::string name, const lock_options& options,
                                                             std::source_location site) {
  lock_attempt attempt{*state_, std::move(name), options};
  if (!attempt.turn().try_take()) {
    attempt.waits_locally();
    if (const auto why = attempt.turn().take(options.until, options.stop, site)) {
      return std::unexpected{attempt.give_up(*why)};
    }
  }
  attempt.now_has_turn();
  for (;;) {
    state_->engine->ask_blocking(attempt.request());
    if (attempt.granted()) return lease{attempt.take()};
    if (attempt.error()) return std::unexpected{*attempt.error()};
    attempt.waits_remotely();
    const wait_error why = attempt.turn().pause(attempt.next_look(), options.stop, site);
    if (why != wait_error::timeout || options.until.has_passed()) return std::unexpected{attempt.give_up(why)};
  }
}

engine_traits lock_service::traits() const noexcept { return state_->engine->traits(); }
const std::string& lock_service::owner() const noexcept { return state_->owner; }

lock_stats lock_service::stats() const noexcept {
  const state::figures& count = state_->count;
  lock_stats result;
  result.acquired = count.acquired.load(std::memory_order_relaxed);
  result.waited = count.waited.load(std::memory_order_relaxed);
  result.waited_local = count.waited_local.load(std::memory_order_relaxed);
  result.waited_remote = count.waited_remote.load(std::memory_order_relaxed);
  result.timeouts = count.timeouts.load(std::memory_order_relaxed);
  result.renewals = count.renewals.load(std::memory_order_relaxed);
  result.lost = count.lost.load(std::memory_order_relaxed);
  result.taken_over = count.taken_over.load(std::memory_order_relaxed);
  result.waiting_now = count.waiting.load(std::memory_order_relaxed);
  const std::lock_guard lock{state_->guard};
  result.held_now = state_->held.size();
  return result;
}

}  // namespace heddle::dist
