// The clock: one thread that fires alarms.
//
// State. A binary heap of entries ordered by time, under `lock`. `sleeping_until` is when the thread will next wake by
//   itself; `tick` is its futex word. `firing` is the object whose callback runs now.
// Invariants.
//   I1  An entry's `position` is its index in the heap plus one; 0 when it is not in the heap.
//   I2  If the heap is not empty, the thread is awake, or will wake no later than the first entry is due: whoever
//       makes the first entry earlier than `sleeping_until` bumps `tick` and wakes it.
// Progress. Callbacks run outside the lock and only claim, post, or request a stop.
// Cost. Setting and clearing: a lock and log2(n) swaps each; the thread is woken only when the next alarm moves
// earlier.

#include <heddle/base/fatal.hpp>
#include <heddle/park/alarm.hpp>
#include <heddle/park/internal/clock.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>

#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <vector>

namespace heddle::park {
namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

constinit thread_local bool on_clock_thread = false;

struct entry {
  std::int64_t when;
  void (*fire)(void*, std::uint64_t) noexcept;
  void* object;
  std::uint64_t argument;
  std::atomic<std::uint32_t>* position;
};

class alarm_clock {
 public:
  void set(const entry& e) noexcept {
    bool wake = false;
    {
      const std::lock_guard guard{lock_};
      heap_.push_back(e);
      move_up(heap_.size() - 1);
      if (!running_) start();
      if (heap_.front().when < sleeping_until_) {  // I2
        sleeping_until_ = heap_.front().when;
        tick_.fetch_add(1, std::memory_order_release);
        wake = true;
      }
    }
    if (wake) sys::futex_wake(tick_, 1);
  }

  void clear(std::atomic<std::uint32_t>& position) noexcept {
    if (position.load(std::memory_order_acquire) == 0) return;
    const std::lock_guard guard{lock_};
    if (const std::uint32_t at = position.load(std::memory_order_relaxed); at != 0) take_out(at - 1);
  }

  void clear_and_wait(std::atomic<std::uint32_t>& position, void* object) noexcept {
    for (;;) {
      std::uint32_t round = 0;
      {
        const std::lock_guard guard{lock_};
        if (const std::uint32_t at = position.load(std::memory_order_relaxed); at != 0) take_out(at - 1);
        if (firing_ != object || on_clock_thread) return;
        someone_waits_ = true;
        round = fired_.load(std::memory_order_relaxed);
      }
      sys::futex_wait(fired_, round, never);
    }
  }

  void before_fork() noexcept { lock_.lock(); }

  void after_fork(bool in_child) noexcept {
    if (in_child) {
      for (const entry& e : heap_) e.position->store(0, std::memory_order_relaxed);
      heap_.clear();
      running_ = false;
      firing_ = nullptr;
      sleeping_until_ = 0;
    }
    lock_.unlock();
  }

 private:
  void place(std::size_t at, const entry& e) noexcept {
    heap_[at] = e;
    e.position->store(static_cast<std::uint32_t>(at + 1), std::memory_order_relaxed);  // I1
  }

  void move_up(std::size_t at) noexcept {
    const entry e = heap_[at];
    while (at > 0 && e.when < heap_[(at - 1) / 2].when) {
      place(at, heap_[(at - 1) / 2]);
      at = (at - 1) / 2;
    }
    place(at, e);
  }

  void move_down(std::size_t at) noexcept {
    const entry e = heap_[at];
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1].when < heap_[child].when) ++child;
      if (e.when <= heap_[child].when) break;
      place(at, heap_[child]);
      at = child;
    }
    place(at, e);
  }

  void take_out(std::size_t at) noexcept {
    heap_[at].position->store(0, std::memory_order_release);
    const entry last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    heap_[at] = last;
    move_up(at);
    move_down(last.position->load(std::memory_order_relaxed) - 1);
  }

  void start() noexcept {
    running_ = true;
    sleeping_until_ = 0;  // it looks at the heap before it first sleeps
    if (!sys::start_service_thread("heddle-clock", [](void* self) { static_cast<alarm_clock*>(self)->run(); }, this)) {
      fatal("the system has no thread for heddle's clock: deadlines of tasks could not be kept");
    }
  }

  [[noreturn]] void run() noexcept {
    sys::block_all_signals();
    on_clock_thread = true;
    lock_.lock();
    for (;;) {
      const std::int64_t now = sys::steady_now_ns();
      if (!heap_.empty() && heap_.front().when <= now) {
        const entry due = heap_.front();
        take_out(0);
        firing_ = due.object;
        sleeping_until_ = 0;
        lock_.unlock();
        due.fire(due.object, due.argument);
        lock_.lock();
        firing_ = nullptr;
        if (someone_waits_) {
          someone_waits_ = false;
          fired_.fetch_add(1, std::memory_order_release);
          sys::futex_wake(fired_, std::numeric_limits<int>::max());
        }
        continue;
      }
      sleeping_until_ = heap_.empty() ? never : heap_.front().when;
      const std::int64_t until = sleeping_until_;
      const std::uint32_t tick = tick_.load(std::memory_order_relaxed);
      lock_.unlock();
      sys::futex_wait(tick_, tick, until);
      lock_.lock();
    }
  }

  small_lock lock_;
  std::vector<entry> heap_;
  bool running_ = false;
  bool someone_waits_ = false;
  void* firing_ = nullptr;
  std::int64_t sleeping_until_ = 0;
  std::atomic<std::uint32_t> tick_{0};
  std::atomic<std::uint32_t> fired_{0};
};

/// Never destroyed: alarms may be set while the program exits.
alarm_clock& the_clock() noexcept {
  static alarm_clock* const made = new alarm_clock;
  return *made;
}

}  // namespace

void clock_set(std::int64_t when_ns, void (*fire)(void*, std::uint64_t) noexcept, void* object, std::uint64_t argument,
               std::atomic<std::uint32_t>& position) noexcept {
  the_clock().set({when_ns, fire, object, argument, &position});
}

void clock_clear(std::atomic<std::uint32_t>& position) noexcept { the_clock().clear(position); }

void clock_clear_and_wait(std::atomic<std::uint32_t>& position, void* object) noexcept {
  the_clock().clear_and_wait(position, object);
}

void clock_before_fork() noexcept { the_clock().before_fork(); }
void clock_after_fork(bool in_child) noexcept { the_clock().after_fork(in_child); }

void alarm::set(deadline when, void (*fire)(void*) noexcept, void* argument) noexcept {
  if (when.is_never()) return;
  fire_ = fire;
  argument_ = argument;
  clock_set(when.ns(), &alarm::ring, this, 0, position_);
}

void alarm::ring(void* self, std::uint64_t) noexcept {
  const auto* a = static_cast<alarm*>(self);
  a->fire_(a->argument_);
}

void alarm::clear() noexcept {
  if (fire_ == nullptr) return;
  clock_clear_and_wait(position_, this);
  fire_ = nullptr;
}

}  // namespace heddle::park
