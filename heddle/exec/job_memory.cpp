#include <heddle/exec/job_memory.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/compiler.hpp>

#include <array>
#include <mutex>
#include <utility>

// A thread keeps two stacks of at most 64 blocks for each size: it works on one, and exchanges it for the other when it
// is empty or full; only when that does not help it goes to the depot that all share, for a whole stack. So a thread that
// only takes and one that only gives back meet there every 64 blocks.

namespace heddle::pools {
namespace {

constexpr std::size_t sizes[] = {64, 128};
constexpr unsigned stack_room = 64;

struct block {
  block* next;        // in its stack
  block* next_stack;  // of the first in a stack, in the depot
};

struct stack {
  block* first = nullptr;
  unsigned count = 0;

  void push(void* memory) noexcept {
    first = ::new (memory) block{first, nullptr};
    ++count;
  }
  void* pop() noexcept {
    --count;
    return std::exchange(first, first->next);
  }
};

struct depot {
  park::small_lock lock;
  block* stacks = nullptr;

  // A stack of 64, or of none.
  stack take() noexcept {
    const std::lock_guard guard{lock};
    if (stacks == nullptr) return {};
    block* const first = std::exchange(stacks, stacks->next_stack);
    return {first, stack_room};
  }
  void give(stack full) noexcept {
    const std::lock_guard guard{lock};
    full.first->next_stack = std::exchange(stacks, full.first);
  }
};

struct stock {
  stack current;
  stack other;
};

constinit std::array<depot, std::size(sizes)> depots;
constinit thread_local std::array<stock, std::size(sizes)> stocks;
constinit thread_local bool ended = false;

// Of a thread that ends: what it has goes to the system.
void give_all_back() noexcept {
  ended = true;
  for (std::size_t kind = 0; kind < std::size(sizes); ++kind) {
    for (stack* each : {&stocks[kind].current, &stocks[kind].other}) {
      while (each->count != 0) ::operator delete(each->pop());
    }
  }
}

void know_this_thread() {
  struct last_rites {
    ~last_rites() { give_all_back(); }
  };
  thread_local const last_rites rites;
  (void)rites;
}

[[gnu::noinline]] void* take_slow(std::size_t kind) {
  stock& mine = stocks[kind];
  std::swap(mine.current, mine.other);
  if (mine.current.count == 0 && !ended) {
    know_this_thread();
    mine.current = depots[kind].take();
  }
  return mine.current.count != 0 ? mine.current.pop() : ::operator new(sizes[kind]);
}

[[gnu::noinline]] void give_slow(std::size_t kind) {
  know_this_thread();
  stock& mine = stocks[kind];
  std::swap(mine.current, mine.other);
  if (mine.current.count == stack_room) depots[kind].give(std::exchange(mine.current, {}));
}

constexpr std::size_t kind_of(std::size_t size) noexcept { return size <= sizes[0] ? 0 : size <= sizes[1] ? 1 : 2; }

}  // namespace

void* take_block(std::size_t size) {
  const std::size_t kind = kind_of(size);
  if (sys::under_asan || kind == std::size(sizes)) return ::operator new(size);
  stack& mine = stocks[kind].current;
  return mine.count != 0 ? mine.pop() : take_slow(kind);
}

void give_block_back(void* memory, std::size_t size) noexcept {
  const std::size_t kind = kind_of(size);
  if (sys::under_asan || kind == std::size(sizes) || ended) {
    ::operator delete(memory);
    return;
  }
  if (stocks[kind].current.count == stack_room) give_slow(kind);
  stocks[kind].current.push(memory);
}

}  // namespace heddle::pools
