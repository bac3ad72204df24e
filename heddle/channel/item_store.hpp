#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace heddle::channels {

/// Where a channel keeps its items: one ring of a fixed size, or a chain of blocks that grows as needed.
///
/// The back belongs to whoever holds the channel's back lock, the front to whoever holds its front lock; that there is an
/// item, or room in a ring, they know from the line's counts. Emptied blocks are freed, but for one.
template <class T>
class item_store {
 public:
  /// @param places the size of the ring; `chain` for a chain.
  explicit item_store(std::size_t places) : per_block_{places == chain ? items_of_a_link : places} {
    if (places == 0) return;
    front_.in = back_.in = make_block();
    is_chain_ = places == chain;
  }
  item_store(const item_store&) = delete;
  item_store& operator=(const item_store&) = delete;

  /// The items must be gone.
  ~item_store() {
    free_block(spare_.load(std::memory_order_relaxed));
    for (block* b = front_.in; b != nullptr;) free_block(std::exchange(b, b->next));
  }

  static constexpr std::size_t chain = SIZE_MAX;

  /// Puts an item at the back. If its move throws, or there is no memory for another block, nothing has changed.
  void push(T&& item) {
    if (back_.at == per_block_) extend();
    std::construct_at(back_.in->items + back_.at, std::move(item));
    ++back_.at;
  }

  /// The oldest item; there must be one.
  [[nodiscard]] T& front() noexcept {
    if (front_.at == per_block_) follow();
    return front_.in->items[front_.at];
  }

  /// Destroys the oldest item.
  void pop() noexcept {
    std::destroy_at(std::addressof(front()));
    ++front_.at;
  }

 private:
  // Items may be pointers. NOLINTNEXTLINE(bugprone-sizeof-expression)
  static constexpr std::size_t items_of_a_link = std::max<std::size_t>(8, 2048 / sizeof(T));

  struct block {
    block* next;  // written at the back before the next block's first item counts, read at the front after that
    T* items;
  };
  struct alignas(64) end {
    block* in = nullptr;
    std::size_t at = 0;
  };

  [[nodiscard]] block* make_block() const {
    auto made = std::make_unique<block>(nullptr, nullptr);
    made->items = std::allocator<T>{}.allocate(per_block_);
    return made.release();
  }
  void free_block(block* b) const noexcept {
    if (b == nullptr) return;
    std::allocator<T>{}.deallocate(b->items, per_block_);
    delete b;
  }

  void extend() {
    if (is_chain_) {
      block* b = spare_.exchange(nullptr, std::memory_order_acquire);
      if (b == nullptr) b = make_block();
      b->next = nullptr;
      back_.in->next = b;
      back_.in = b;
    }
    back_.at = 0;
  }
  void follow() noexcept {
    if (is_chain_) {
      block* const emptied = std::exchange(front_.in, front_.in->next);
      free_block(spare_.exchange(emptied, std::memory_order_acq_rel));
    }
    front_.at = 0;
  }

  end back_;
  end front_;
  alignas(64) std::atomic<block*> spare_{nullptr};
  std::size_t per_block_;  // constant, as is what follows
  bool is_chain_ = false;
};

}  // namespace heddle::channels
