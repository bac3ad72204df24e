// State. A thread keeps two stacks of free blocks for each size: `now`, from which it takes and to which it gives, and
//   `full`, which holds a whole batch or nothing. The common store holds whole batches for each size, and what is left of
//   threads that have ended.
// Invariants.
//   I1  `now` holds at most a batch; so a thread exchanges batches with the store at most every `batch` calls, whatever
//       order they come in.
//   I2  A block is in one stack, or in use. The first words of a free block are the links; under AddressSanitizer the rest
//       is poisoned.
//   I3  The store keeps at most `most_stored` bytes; what would be more goes back to operator delete.
// Edges. The store's lock hands a block from the thread that freed it to the one that takes it.
// Cost. Within a thread no atomic operation. The functions are never inlined, as a coroutine may go on on another thread
//   and must not keep a thread-local address.
// Rejected. One list of foreign blocks for each thread, to which others push: a thread that only starts tasks gets its blocks
//   back one by one, with a contended exchange for each.

#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/task/frame_memory.hpp>

#include <mutex>
#include <new>
#include <utility>

namespace heddle::tasks {
namespace {

constexpr std::size_t step = 32;
constexpr std::size_t largest = 1024;
constexpr std::size_t sizes = largest / step;
constexpr std::size_t batch = 64;
constexpr std::size_t most_stored = std::size_t{64} << 20U;

struct block {
  block* next;
  block* next_stack;  // of the first block of a stack in the store
  std::size_t count;  // likewise: how many blocks the stack has
};
static_assert(sizeof(block) <= step);

struct stack {
  block* top = nullptr;
  std::size_t count = 0;

  void push(block* b) noexcept {
    b->next = top;
    top = b;
    ++count;
  }
  block* pop() noexcept {
    block* const b = top;
    top = b->next;
    --count;
    return b;
  }
};

// What all threads share.
constinit park::small_lock store_lock;
constinit block* stored[sizes] = {};     // under store_lock
constinit std::size_t bytes_stored = 0;  // under store_lock

std::size_t class_of(std::size_t size) noexcept { return (size - 1) / step; }
std::size_t bytes_of(std::size_t which) noexcept { return (which + 1) * step; }

void store(std::size_t which, stack given) noexcept {
  if (given.count == 0) return;
  const std::size_t bytes = given.count * bytes_of(which);
  {
    const std::lock_guard guard{store_lock};
    if (bytes_stored + bytes <= most_stored) {  // I3
      bytes_stored += bytes;
      given.top->count = given.count;
      given.top->next_stack = stored[which];
      stored[which] = given.top;
      return;
    }
  }
  while (given.count != 0) {
    block* const b = given.pop();
    sys::unpoison(b, bytes_of(which));
    ::operator delete(b);
  }
}

stack take_stored(std::size_t which) noexcept {
  const std::lock_guard guard{store_lock};
  block* const top = stored[which];
  if (top == nullptr) return {};
  stored[which] = top->next_stack;
  bytes_stored -= top->count * bytes_of(which);
  return {top, top->count};
}

struct cache {
  enum class phase : unsigned char { unused, in_use, gone };
  struct one_size {
    stack now;
    stack full;
  };
  one_size of[sizes];
  phase is = phase::unused;
};

constinit thread_local cache own{};

void leave(void* of_thread) noexcept {
  auto& mine = *static_cast<cache*>(of_thread);
  mine.is = cache::phase::gone;
  for (std::size_t i = 0; i < sizes; ++i) {
    store(i, std::exchange(mine.of[i].now, {}));
    store(i, std::exchange(mine.of[i].full, {}));
  }
}

// False: the thread ends, nothing would be given back any more.
bool begin(cache& mine) noexcept {
  if (mine.is == cache::phase::gone) return false;
  mine.is = cache::phase::in_use;
  static const bool watched = [] {
    sys::at_fork([] { store_lock.lock(); }, [] { store_lock.unlock(); }, [] { store_lock.unlock(); });
    return true;
  }();
  (void)watched;
  sys::at_thread_exit([](void* self) { leave(self); }, &mine);
  return true;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  if (size > largest || size == 0) {
    if (size >= largest_frame) throw std::bad_alloc{};
    return ::operator new(size);
  }
  const std::size_t which = class_of(size);
  cache::one_size& mine = own.of[which];
  if (mine.now.count == 0) [[unlikely]] {
    std::swap(mine.now, mine.full);
    if (mine.now.count == 0 && (own.is == cache::phase::in_use || begin(own))) mine.now = take_stored(which);
    if (mine.now.count == 0) return ::operator new(bytes_of(which));
  }
  block* const taken = mine.now.pop();
  sys::unpoison(taken, bytes_of(which));
  return taken;
}

void free_frame(void* frame, std::size_t size) noexcept {
  if (size > largest || size == 0) return ::operator delete(frame);
  const std::size_t which = class_of(size);
  cache& all = own;
  if (all.is != cache::phase::in_use && !begin(all)) return ::operator delete(frame);
  cache::one_size& mine = all.of[which];
  if (mine.now.count == batch) [[unlikely]] {  // I1
    store(which, std::exchange(mine.full, std::exchange(mine.now, {})));
  }
  mine.now.push(static_cast<block*>(frame));
  sys::poison(static_cast<std::byte*>(frame) + sizeof(block), bytes_of(which) - sizeof(block));
}

}  // namespace heddle::tasks
