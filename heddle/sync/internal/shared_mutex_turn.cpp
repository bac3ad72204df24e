// The steps of shared_mutex.cpp's essay that are done under the queue's lock; the invariants are numbered there.

#include <heddle/sync/internal/shared_mutex_turn.hpp>

namespace heddle {

using namespace shared_mutex_state;

shared_mutex::turn::~turn() {
  const bool others_depend = task_chosen_ && !guard_.empty() && guard_.mixed();  // I6
  guard_.unlock();                                                               // I5
  if (others_depend) {
    const std::int64_t by_ns = sys::steady_now_ns() + sync::patience_ns;
    for (std::uint32_t i = first_; i != 0; i = park::slot_at(i).next) {
      if (park::slot_at(i).item != nullptr) park::expect_soon(park::slot_at(i), by_ns, &shared_mutex::overdue);
    }
  }
  while (first_ != 0) {
    park::slot& chosen = park::slot_at(first_);
    first_ = chosen.next;  // before it can go on
    park::publish(chosen, chosen.item == nullptr && granted_ ? park::phase::granted : park::phase::woken);
  }
}

void shared_mutex::turn::after_writing() noexcept {
  change([](std::uint64_t seen) { return seen & ~owner_mask; });  // E1
  settle(true);
}

void shared_mutex::turn::after_reading() noexcept {
  m_.state_.fetch_sub(one_reader, std::memory_order_acq_rel);  // E1
  settle(false);
}

bool shared_mutex::turn::try_write(std::uint32_t self) noexcept {
  if (announce_and_take(self)) return true;
  change([this](std::uint64_t seen) { return (seen & ~writer_waits) | waiting_writers_bit(); });
  return false;
}

bool shared_mutex::turn::retreat(std::uint32_t self) noexcept {
  change([](std::uint64_t seen) { return (seen & ~(owner_mask | deferring)) | writer_waits | scanning; });  // E2, I8
  sync::reader_slots::move_into(m_.state_, one_reader, &m_);
  if (readers(state()) == 0) {
    change([&](std::uint64_t seen) {
      return (seen & ~(writer_waits | scanning)) | waiting_writers_bit() | owned_by(self);
    });
    return true;
  }
  change([this](std::uint64_t seen) { return (seen & ~(writer_waits | scanning)) | waiting_writers_bit(); });
  settle(true);
  return false;
}

bool shared_mutex::turn::take_or_enqueue(park::slot& node, sync::attempt how, deadline& recheck) noexcept {
  recheck = deadline::never();
  const std::uint32_t note = node.amount;
  if (how == sync::attempt::recheck) {
    if (!node.queued) return false;  // chosen since it looked up: the news is on its way
    forget_promises();
    if (!writes(node)) change([](std::uint64_t seen) { return seen | reader_waits; });
    settle(false);  // which may choose this one
  } else {
    node.amount = note & 1U;
    if (how == sync::attempt::woken && (note & ~1U) == promised()) {
      accept(node, note);
      return true;
    }
    const bool was_in_flight = how == sync::attempt::woken && node.item == nullptr;
    if (was_in_flight) m_.in_flight_ = (m_.in_flight_ - 1U) & most_in_flight;
    const bool taken = writes(node) ? announce_and_take(node.index) : enter_or_mark();
    if (!taken) {
      if (writes(node)) count_writers(1);
      if (how == sync::attempt::newcomer) {
        guard_.push_back(node);
      } else {
        guard_.push_by_age(node);
      }
    }
    if (was_in_flight) arrived();
    if (taken) return true;
  }
  if (node.queued && depends_on_promise(node))
    recheck = deadline::at_ns(sys::steady_now_ns() + sync::patience_ns);  // I6
  return false;
}

void shared_mutex::turn::leave(park::slot& node) noexcept {
  if (writes(node)) count_writers(-1);
  guard_.remove(node);
  const std::uint64_t gone = (writers_wait() ? 0 : writer_waits) | (guard_.empty() ? reader_waits : 0);
  change([gone](std::uint64_t seen) { return seen & ~gone; });
  settle(false);
}

void shared_mutex::turn::break_promise_to(const park::slot& late) noexcept {
  if ((late.amount & ~1U) != promised()) return;
  forget_promises();
  settle(false);
}

// --- steps ---

// Takes the lock to write if nobody has it and nothing is kept for anybody; else says that a writer waits.
bool shared_mutex::turn::announce_and_take(std::uint32_t self) noexcept {
  std::uint64_t seen = state();
  while ((seen & ~reader_waits) == 0) {
    if (m_.state_.compare_exchange_weak(seen, seen | owned_by(self), std::memory_order_acquire)) return true;
  }
  close();
  if (m_.owed_ != 0 || is_held()) return false;
  change([&](std::uint64_t now) { return (now & ~writer_waits) | waiting_writers_bit() | owned_by(self); });
  return true;
}

// Says that a writer waits, which keeps everybody out who does not have the queue's lock. Afterwards no share is in a slot,
// unless somebody writes, who may be about to find some there.
void shared_mutex::turn::close() noexcept {
  std::uint64_t seen = state();
  std::uint64_t closed = 0;
  bool scans = false;
  do {
    scans = (seen & deferring) != 0 && (seen & owner_mask) == 0;
    closed = (scans ? (seen & ~deferring) | scanning : seen) | writer_waits;
  } while (!m_.state_.compare_exchange_weak(seen, closed, std::memory_order_seq_cst));  // E2, I8
  if (!scans) return;
  sync::reader_slots::move_into(m_.state_, one_reader, &m_);  // E2, I2
  change([](std::uint64_t now) { return now & ~scanning; });
}

// After close(): whether anybody reads or writes.
bool shared_mutex::turn::is_held() const noexcept {
  const std::uint64_t now = state();
  return (now & owner_mask) != 0 || readers(now) != 0;
}

// Enters to read; or says that a reader waits.
bool shared_mutex::turn::enter_or_mark() noexcept {
  std::uint64_t seen = state();
  for (;;) {
    const bool open = (seen & closed_to_readers) == 0;
    if (m_.state_.compare_exchange_weak(seen, open ? seen + one_reader : seen | reader_waits, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
      return open;
    }
  }
}

// A task takes what was kept for it (I6).
void shared_mutex::turn::accept(const park::slot& node, std::uint32_t note) noexcept {
  if ((note & 1U) != 0) {
    m_.owed_ = 0;
    count_writers(-1);
    change([&](std::uint64_t seen) {
      return (seen & ~(writer_waits | owes)) | waiting_writers_bit() | owned_by(node.index);
    });
  } else {
    --m_.owed_;
    change([this](std::uint64_t seen) { return ((seen & ~owes) | (m_.owed_ != 0 ? owes : 0)) + one_reader; });
  }
}

// Nothing is kept for anybody any more; those tasks will be newcomers with an old wait.
void shared_mutex::turn::forget_promises() noexcept {
  if (m_.owed_ == 0) return;
  m_.epoch_ = (m_.epoch_ + 1) & epoch_mask;
  if ((m_.owed_ & owed_to_writer) != 0) count_writers(-1);
  m_.owed_ = 0;
  change([this](std::uint64_t seen) { return (seen & ~(writer_waits | owes)) | waiting_writers_bit(); });
}

// Whether it has to see to it that a promise is broken in time; a task behind one of its own executor cannot run anyway.
bool shared_mutex::turn::depends_on_promise(const park::slot& node) const noexcept {
  if (m_.owed_ == 0) return false;
  if ((m_.owed_ & owed_to_writer) == 0 || node.item == nullptr) return true;
  park::slot& promised_one = park::slot_at(m_.owed_ & ~owed_to_writer);
  return std::atomic_ref{promised_one.runs_on}.load(std::memory_order_relaxed) != node.runs_on;
}

// One that was in flight has tried. If it was the last, whoever waits to write bars new readers again, or is let in.
void shared_mutex::turn::arrived() noexcept {
  if (m_.in_flight_ != 0) return;
  if (writers_wait()) close();  // I3
  settle(false);
}

// Whether the oldest has waited so long that phases are kept strictly.
bool shared_mutex::turn::somebody_is_passed_over() const noexcept {
  const park::slot* const oldest = guard_.first();
  return oldest != nullptr && sys::steady_now_ns() - oldest->since_ns > sync::patience_ns;
}

// Whether those that wait to read can be told to try: tasks might not do so soon.
bool shared_mutex::turn::readers_are_a_few_threads() const noexcept {
  std::uint32_t threads = 0;
  for (const park::slot* node = guard_.first(); node != nullptr; node = guard_.after(*node)) {
    if (writes(*node)) continue;
    if (node->item != nullptr || threads == most_in_flight) return false;
    ++threads;
  }
  return true;
}

// Lets in whose turn it is, if it is anybody's (I3, I4).
void shared_mutex::turn::settle(bool readers_first) noexcept {
  const std::uint64_t seen = state();
  if ((seen & owner_mask) != 0 || guard_.empty()) return;
  const bool strictly = somebody_is_passed_over();
  if ((seen & reader_waits) != 0 && (readers_first || !writers_wait())) admit_readers(strictly);
  if (!writers_wait() || m_.owed_ != 0) return;
  if (m_.in_flight_ != 0 && !strictly) {  // it is open until they have tried
    if (readers(state()) == 0) change([](std::uint64_t now) { return now & ~writer_waits; });
    return;
  }
  close();
  if (is_held()) return;  // who lets go will be here
  hand_to_writer(strictly);
  change([this](std::uint64_t now) { return (now & ~writer_waits) | waiting_writers_bit(); });
}

// Strictly: they have their shares from now on; else they are told to try.
void shared_mutex::turn::admit_readers(bool strictly) noexcept {
  const bool grants = strictly || m_.in_flight_ != 0 || !readers_are_a_few_threads();
  std::uint32_t threads = 0;
  for (park::slot* node = guard_.first(); node != nullptr;) {
    park::slot* const next = guard_.after(*node);
    if (!writes(*node) && park::claim(*node)) {
      if (node->item == nullptr) {
        ++threads;
      } else {
        ++m_.owed_;
        node->amount = reads_note | promised();
      }
      choose(*node);
    }
    node = next;
  }
  granted_ = grants;
  if (!grants) m_.in_flight_ = threads & most_in_flight;
  change([&](std::uint64_t seen) {
    return ((seen & ~reader_waits) | (m_.owed_ != 0 ? owes : 0)) + (grants ? threads * one_reader : 0);
  });
}

void shared_mutex::turn::hand_to_writer(bool strictly) noexcept {
  park::slot* node = guard_.first();
  while (node != nullptr && !(writes(*node) && park::claim(*node))) node = guard_.after(*node);
  if (node == nullptr) return;  // they are all just leaving, and will settle what is left
  if (node->item != nullptr) {
    m_.owed_ = owed_to_writer | node->index;
    node->amount = writes_note | promised();
    change([](std::uint64_t seen) { return seen | owes; });
  } else {
    count_writers(-1);
    granted_ = strictly;  // nobody else has been chosen, or there would be readers
    if (strictly) {
      change([&](std::uint64_t seen) { return seen | owned_by(node->index); });
    } else {
      m_.in_flight_ = 1;
    }
  }
  choose(*node);
}

void shared_mutex::turn::count_writers(int change) noexcept {
  m_.writers_ = (m_.writers_ + static_cast<std::uint32_t>(change)) & writers_mask;
}

void shared_mutex::turn::choose(park::slot& node) noexcept {
  guard_.remove(node);
  task_chosen_ = task_chosen_ || node.item != nullptr;
  node.next = 0;
  (last_ != 0 ? park::slot_at(last_).next : first_) = node.index;
  last_ = node.index;
}

}  // namespace heddle
