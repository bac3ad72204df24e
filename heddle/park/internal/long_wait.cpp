// The stacks of threads that have waited for long: what a report shows of them.
//
// State. A table parallel to the slots, whose pages are touched by such waits only. `since` is the generation of the wait
//   when its stack was kept, 0 while there is none.
// Invariants.
//   I1  Only the waiting thread writes. Frames are written while `since` is 0: a reader that sees the same `since`
//       before and after has read the frames that belong to it.
//   I2  A kept stack is dropped before its wait ends. So what is kept from generation g on belongs to every later
//       generation of the slot for which it is found: attempts and redirections change the generation, not the stack.
// Edges. E1 since, frames: release by the waiter, acquire by readers.
// Rejected. A signal that makes the thread tell its stack: it would interrupt the user's system calls. Walking the other
//   thread's stack from outside: it may run meanwhile.

#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/park/internal/long_wait.hpp>
#include <heddle/sys/code.hpp>
#include <heddle/sys/memory.hpp>

#include <array>
#include <atomic>

namespace heddle::park {
namespace {

constexpr std::size_t most_frames = 24;

struct alignas(64) kept_stack {
  std::atomic<std::uint64_t> since;
  std::atomic<std::uint32_t> size;
  std::atomic<const void*> frames[most_frames];
};

constinit kept_stack* table = nullptr;

}  // namespace

void reserve_stacks() noexcept {
  table = static_cast<kept_stack*>(sys::reserve_private(sizeof(kept_stack) * max_slots));
}

std::int64_t stack_is_due_at(const slot& s, resource_kind kind) noexcept {
  const bool of_use = is_telling(kind) && diagnosis.load(std::memory_order_relaxed) != nullptr;
  return of_use ? s.since_ns + long_wait_ns : std::numeric_limits<std::int64_t>::max();
}

void keep_stack(const slot& s) noexcept {
  std::array<const void*, most_frames> frames{};
  const std::size_t n = sys::call_stack(frames);
  kept_stack& to = table[s.index];
  for (std::size_t i = 0; i < n; ++i) to.frames[i].store(frames[i], std::memory_order_release);  // I1
  to.size.store(static_cast<std::uint32_t>(n), std::memory_order_release);
  to.since.store(record_at(s.index).generation.load(std::memory_order_relaxed), std::memory_order_release);  // E1
}

void drop_stack(const slot& s) noexcept { table[s.index].since.store(0, std::memory_order_release); }  // I2

std::vector<const void*> stack_of(std::uint32_t index, std::uint64_t generation) {
  std::vector<const void*> result;
  const kept_stack& from = table[index];
  const std::uint64_t since = from.since.load(std::memory_order_acquire);  // E1
  if (since == 0 || since > generation) return result;
  const std::uint32_t n = from.size.load(std::memory_order_acquire);
  for (std::uint32_t i = 0; i < n; ++i) result.push_back(from.frames[i].load(std::memory_order_acquire));
  if (from.since.load(std::memory_order_relaxed) != since) result.clear();
  return result;
}

}  // namespace heddle::park
