#include <heddle/exec/internal/inlets.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/barrier.hpp>
#include <heddle/sys/futex.hpp>

#include <limits>
#include <mutex>
#include <new>
#include <utility>

namespace heddle::pools {
namespace {

constinit park::small_lock all_lock;  // guards the two below, and adding to a pool's inlets
constinit inlet* unused = nullptr;
constinit std::uint64_t last_thread = 0;
constinit std::atomic<std::uint64_t> last_serial{0};

// The inlets that the calling thread has, or had in pools that are no more.
struct entry {
  std::uint64_t serial;
  inlet* at;
};
constinit thread_local std::array<entry, 4> known{};
constinit thread_local std::uint64_t this_thread = 0;
constinit thread_local unsigned next_to_forget = 0;
constinit thread_local bool ended = false;

void forget(entry& old) noexcept {
  if (old.at == nullptr) return;
  inlet* const at = std::exchange(old, {}).at;
  for (const entry& other : known) {
    if (other.at == at) return;  // the pool of the old one is no more, and another's has it now
  }
  std::uint64_t owner = this_thread;
  at->owner.compare_exchange_strong(owner, 0);  // E2; fails if somebody else has it now
}

// Names the calling thread, and lets go of its inlets when it ends.
void begin_thread() {
  struct last_rites {
    ~last_rites() {
      ended = true;
      for (entry& each : known) forget(each);
    }
  };
  thread_local const last_rites rites;
  (void)rites;
  if (this_thread == 0) {
    const std::lock_guard guard{all_lock};
    this_thread = ++last_thread;
  }
}

}  // namespace

void inlet::leave() noexcept {
  posting.store(0, std::memory_order_release);
  sys::light_barrier();  // E1
  if (awaited.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    sys::futex_wake(posting, 1);
  }
}

inlets::inlets() noexcept : serial_{last_serial.fetch_add(1) + 1} {}

inlets::~inlets() {
  const std::lock_guard guard{all_lock};
  for (std::size_t i = 0; i < count(); ++i) {
    inlet& each = at(i);
    each.owner.store(0);
    each.awaited.store(0);
    each.next_free = std::exchange(unused, &each);
  }
}

inlet* inlets::mine() noexcept {
  for (const entry& each : known) {
    if (each.serial == serial_) return each.at;
  }
  if (ended) return nullptr;
  begin_thread();
  inlet* const taken = take_one(this_thread);
  if (taken == nullptr) return nullptr;
  entry& slot = known[next_to_forget++ % known.size()];
  forget(slot);
  slot = {serial_, taken};
  return taken;
}

inlet* inlets::take_one(std::uint64_t owner) noexcept {
  for (std::size_t i = 0; i < count(); ++i) {
    std::uint64_t nobody = 0;
    if (at(i).owner.compare_exchange_strong(nobody, owner)) return &at(i);  // E2
  }
  if (count() == most) return nullptr;
  const std::lock_guard guard{all_lock};
  const std::size_t number = count();
  if (number == most) return nullptr;
  inlet* added = unused;
  if (added != nullptr) {
    unused = added->next_free;
  } else {
    added = new (std::nothrow) inlet;
    if (added == nullptr) return nullptr;
  }
  added->owner.store(owner);
  all_[number].store(added, std::memory_order_release);
  count_.store(number + 1);
  return added;
}

void inlets::wait_for_posters() noexcept {
  for (std::size_t i = 0; i < count(); ++i) at(i).awaited.store(1);
  sys::heavy_barrier();  // E1
  for (std::size_t i = 0; i < count(); ++i) {
    while (at(i).posting.load(std::memory_order_acquire) != 0) {
      sys::futex_wait(at(i).posting, 1, std::numeric_limits<std::int64_t>::max());
    }
  }
}

}  // namespace heddle::pools
