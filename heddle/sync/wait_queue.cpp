// A queue for the waits of users' own primitives. How a waiter enters, looks and leaves: queue_wait.cpp.
//
// State. A queue of waiters. The user's state lies elsewhere, under the queue's lock.
// Invariants (further to I1-I3 of queue_wait.cpp).
//   I4  A thread that has been woken will look. A task may not, for as long as its executor is busy, and what it was
//       woken for may be just what the next one needs: so if waiters of other executors stand behind it, the clock wakes
//       the next one after 1 ms. Those who come later have looked at the state themselves.
//   I5  The unlock of the queue is the last access to the object; those who were claimed learn it afterwards.
//   I6  `inside` is true while the thread runs ready() or change(): the queue's lock is held then, so that whatever else
//       would be done with a queue could wait for it for ever.
// Rejected. Waking only while nobody is on the way, as the turnstile does: it knows what a wake is worth, one value; here
//   each wake may be for another part of the state.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/internal/claimed_waiters.hpp>
#include <heddle/sync/wait_queue.hpp>
#include <heddle/sys/futex.hpp>

namespace heddle {
namespace {

constexpr std::int64_t patience_ns = 1'000'000;

constinit thread_local bool inside = false;

void enter() noexcept {
  if (inside) fatal("a wait queue was used from within a ready() or a change(), under the queue's lock");
}

// Holds `inside` for the time of a call.
class within {
 public:
  within() noexcept { inside = true; }
  ~within() { inside = false; }
  within(const within&) = delete;
  within& operator=(const within&) = delete;
};

}  // namespace

// These two are never inlined, because a coroutine may go on on another thread and must not keep the address of `inside`.
[[gnu::noinline]] bool wait_queue::ask(sync::look ready) noexcept {
  const within scope;  // I6
  return ready.ask(ready.object);
}

[[gnu::noinline]] bool wait_queue::ask_once(sync::look ready) noexcept {
  enter();
  park::queue_guard guard{queue_};
  return ask(ready);
}

void wait_queue::run(step change, std::size_t n) noexcept {
  const within scope;  // I6
  change.call(change.f, n);
}

std::expected<void, wait_error> wait_queue::wait_slow(sync::look ready, deadline until, const std::stop_token& stop,
                                                      std::source_location site, bool breakable) noexcept {
  if (ask_once(ready)) return {};
  const sync::look guarded{[](void* how) noexcept { return ask(*static_cast<sync::look*>(how)); }, &ready};
  return sync::wait_in(queue_, guarded, breakable ? resource().for_breakable_call() : resource(), until, stop, site);
}

std::size_t wait_queue::wake_slow(std::size_t count, step change) noexcept {
  enter();
  sync::claimed_waiters woken;
  std::size_t taken = 0;
  bool others_wait = false;
  {
    park::queue_guard guard{queue_};
    run(change, 0);
    const bool mixed = guard.mixed();
    taken = woken.take(guard, count);
    others_wait = mixed && !guard.empty();
  }  // I5
  if (others_wait && woken.has_task()) {
    woken.expect_soon(sys::steady_now_ns() + patience_ns, &wait_queue::wake_next_of);  // I4
  }
  woken.publish(park::phase::woken);
  return taken;
}

std::size_t wait_queue::hand_over_slow(std::size_t count, step change) noexcept {
  enter();
  sync::claimed_waiters granted;
  std::size_t taken = 0;
  {
    park::queue_guard guard{queue_};
    taken = granted.take(guard, count);
    run(change, taken);
  }  // I5
  granted.publish(park::phase::granted);
  return taken;
}

// On the clock thread: the task that was woken has not run for 1 ms (I4). Its wait is pinned, and it has to look again
// before it returns, so the object lives.
void wait_queue::wake_next_of(park::slot& late) noexcept {
  auto& queue = *const_cast<wait_queue*>(static_cast<const wait_queue*>(late.resource_address));
  queue.wake_slow(1, {[](void*, std::size_t) {}, nullptr});
}

park::resource wait_queue::resource() const noexcept {
  return {kind_, this, origin_, queue_.named(), owner_, owner_shift_};
}

void wait_queue::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a wait queue was destroyed while it is waited for");
}

}  // namespace heddle
