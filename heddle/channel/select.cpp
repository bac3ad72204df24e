// Waiting for one of several operations on channels.
//
// State. The cases form a list in the order of their channels' addresses. Each stands in the line of its channel with a node
//   of its own, the first with the slot of its agent, the others with further nodes; operation::waiter_ is the agent's
//   slot for all, and it is that which is claimed.
// Invariants (further to those of line.cpp; docs/models/waiters.pml shows what becomes of a select that breaks one).
//   I1  There is one claim for all nodes, so one operation happens. Who has claimed it moves the item and notes in that
//       operation how it went; the others are as they were.
//   I2  A select enters the lines under the locks of all its channels, after it has tried all cases under them. So there is
//       a moment at which none was possible, and from then on whoever makes one possible finds it in the line.
//   I3  It leaves all lines before it returns or tries again. Until then the nodes that lost are skipped by others, since
//       their claim fails; their operations live as long as they stand there.
//   I4  The one that was claimed is out of its line already. Its channel is not touched any more: that may be gone.
//   I5  It does not meet itself: it tries while none of its nodes stands in a line.
// Edges. Those of line.cpp.
// Progress and fairness. Locks are taken in one order everywhere: channels by address, of each the back lock first. Which
//   of the possible cases is tried first is random, each as likely as the others; if it fails after all, the next in the
//   list follows. In each line a select waits in its turn.
// Cost. Sorting is quadratic in the number of cases, which are few.
// Rejected. A claim for each node: two operations could happen. Trying under one lock after the other before standing: what
//   becomes possible behind its back would be missed.
// Source. One lock per channel, taken in address order, is how Go selects; reserve-then-commit of the claim is park's.

#include <heddle/channel/internal/look.hpp>
#include <heddle/channel/select.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/internal/slot.hpp>

#include <cstdint>

namespace heddle {
namespace channels {
namespace {

constinit thread_local std::uint64_t dice = 0;

// Never inlined, because a task may go on on another thread.
[[gnu::noinline]] std::size_t random_below(std::size_t n) noexcept {
  if (dice == 0) dice = reinterpret_cast<std::uintptr_t>(&dice) | 1U;
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return static_cast<std::size_t>((dice >> 16) % n);
}

}  // namespace

selection::selection(std::span<const select_ref> cases) noexcept {
  for (std::size_t place = 0; place < cases.size(); ++place) {
    select_case& c = cases[place];
    c.place_ = place;
    c.happened_ = false;
    c.failure_.reset();
    c.op_.error_ = nullptr;
    c.op_.node_ = nullptr;
    c.op_.result_ = park::phase::idle;
    select_case** at = &first_;
    while (*at != nullptr && !std::less<>{}(&c.op_.where_, &(*at)->op_.where_)) at = &(*at)->next_;
    c.next_ = *at;
    *at = &c;
  }
}

selection::~selection() {
  if (first_ == nullptr) return;
  for (select_case* c = first_->next_; c != nullptr; c = c->next_) {
    if (c->op_.node_ != nullptr) park::free_node(*c->op_.node_);
  }
}

park::resource selection::resource() const noexcept {
  if (first_ != nullptr && first_->next_ == nullptr) return first_->op_.where_.resource();
  return park::resource::of(resource_kind::channel, this, "select");
}

select_case* selection::any_that_seems_possible() const noexcept {
  std::size_t possible = 0;
  for (select_case* c = first_; c != nullptr; c = c->next_) {
    if (c->op_.where_.seems_possible(c->op_)) ++possible;
  }
  if (possible == 0) return nullptr;
  std::size_t skip = possible == 1 ? 0 : random_below(possible);
  select_case* found = nullptr;
  for (select_case* c = first_; c != nullptr; c = c->next_) {
    if (!c->op_.where_.seems_possible(c->op_)) continue;
    found = c;
    if (skip-- == 0) break;
  }
  return found;
}

void selection::settle(select_case& c, attempt how) noexcept {
  c.happened_ = true;
  c.failure_ = failure_of(how);
  chosen_ = c.place_;
}

template <class Try>
bool selection::try_from(select_case* first, Try attempt_of) noexcept {
  if (first == nullptr) return false;
  select_case* c = first;
  do {
    if (const attempt how = attempt_of(c->op_); how != attempt::wait) {
      settle(*c, how);
      return true;
    }
    c = c->next_ != nullptr ? c->next_ : first_;
  } while (c != first);
  return false;
}

bool selection::try_each() noexcept {
  return try_from(any_that_seems_possible(),
                  [](operation& op) { return op.where_.seems_possible(op) ? op.try_alone() : attempt::wait; });
}

void selection::lock() noexcept {
  const line* last = nullptr;
  for (select_case* c = first_; c != nullptr; c = c->next_) {
    line& where = c->op_.where_;
    if (&where != last) c->locked_.emplace(where);
    last = &where;
  }
}

void selection::unlock() noexcept {
  for (select_case* c = first_; c != nullptr; c = c->next_) c->locked_.reset();
}

bool selection::try_locked(wakes& to_wake) noexcept {
  return try_from(any_that_seems_possible(), [&](operation& op) {
    select_case* locked = first_;
    while (&locked->op_.where_ != &op.where_) locked = locked->next_;
    return op.try_held(*locked->locked_, to_wake);
  });
}

bool selection::try_all() noexcept {
  wakes to_wake;
  lock();
  const bool happened = try_locked(to_wake);
  unlock();
  return happened;
}

bool selection::enter(park::slot& waiter) noexcept {
  park::slot* own = &waiter;
  for (select_case* c = first_; c != nullptr; c = c->next_) {
    if (c->op_.node_ == nullptr) c->op_.node_ = own != nullptr ? own : &park::take_node();
    own = nullptr;
  }
  wakes to_wake;
  lock();
  const bool happened = try_locked(to_wake);
  if (!happened) {
    both_locks* held = nullptr;
    for (select_case* c = first_; c != nullptr; c = c->next_) {
      if (c->locked_) held = &*c->locked_;
      c->op_.where_.stand(*held, c->op_, *c->op_.node_, waiter);  // I2
    }
  }
  unlock();
  return !happened;
}

bool selection::leave(park::phase result) noexcept {
  select_case* claimed = nullptr;
  for (select_case* c = first_; c != nullptr; c = c->next_) {
    if (c->op_.result_ == park::phase::idle) {
      c->op_.where_.leave(c->op_);  // I3
    } else {
      claimed = c;  // I4
    }
  }
  if (result != park::phase::granted && result != park::phase::closed) return false;
  settle(*claimed, result == park::phase::granted ? attempt::done : attempt::closed);
  return true;
}

bool selection::spin() const noexcept {
  return look_for_a_while([this] { return any_that_seems_possible() != nullptr ? look::worth_a_try : look::on; });
}

// --- tasks ---

select_awaiter::select_awaiter(std::span<const select_ref> cases, deadline until, std::stop_token stop,
                               std::source_location site) noexcept
    : task_wait{park::resource::of(resource_kind::channel, &cases_, "select"), until, std::move(stop), site},
      cases_{cases} {}

bool select_awaiter::ready() noexcept { return cases_.try_each() || cases_.try_all(); }

bool select_awaiter::enqueue() noexcept { return cases_.enter(node()); }

park::task_wait::step select_awaiter::claimed(park::phase result) noexcept {
  if (cases_.leave(result)) return step::resume;
  if (result == park::phase::woken) {
    rearm();
    return enqueue() ? step::wait : step::resume;
  }
  if (result == park::phase::cancelled) return step::unwind;
  error_ = park::error_of(result);
  return step::resume;
}

void select_awaiter::refused(park::phase result) noexcept { error_ = park::error_of(result); }

}  // namespace channels

std::optional<std::size_t> try_select(std::span<const select_ref> cases) noexcept {
  channels::selection all{cases};
  if (all.try_each() || all.try_all()) return all.chosen();
  return {};
}

std::expected<std::size_t, wait_error> select(std::span<const select_ref> cases, deadline until,
                                              const std::stop_token& stop, std::source_location site) noexcept {
  channels::selection all{cases};
  if (all.try_each()) return all.chosen();
  const bool stopped = stop.stop_requested();
  if (stopped || until.has_passed()) {
    if (all.try_all()) return all.chosen();
    return std::unexpected{stopped ? wait_error::stopped : wait_error::timeout};
  }
  if (all.spin() && all.try_each()) return all.chosen();
  const blocking_region region;
  park::thread_wait wait{all.resource(), until, site};
  for (;;) {
    if (!all.enter(wait.node())) return all.chosen();
    const park::phase result = wait.park(until, stop);
    if (all.leave(result)) return all.chosen();
    if (result != park::phase::woken) return std::unexpected{park::error_of(result)};
    wait.rearm();
  }
}

}  // namespace heddle
