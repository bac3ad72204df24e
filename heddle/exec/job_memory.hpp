#pragma once

#include <cstddef>
#include <new>

namespace heddle::pools {

/// Memory for what a pool queues, which one thread takes and another gives back: from the calling thread's own stock, which
/// is exchanged with other threads 64 blocks at a time. Blocks go back to the stock, never to the system. Larger than
/// 128 bytes, or under AddressSanitizer: the usual memory. @throws std::bad_alloc
/// - What is given back is used again, by whatever thread. [test: job_memory.blocks_wander_between_threads]
[[nodiscard]] void* take_block(std::size_t size);
void give_block_back(void* block, std::size_t size) noexcept;

/// For classes that live there.
struct in_job_memory {
  static void* operator new(std::size_t size) { return take_block(size); }
  static void* operator new(std::size_t size, std::align_val_t align) { return ::operator new(size, align); }
  static void operator delete(void* block, std::size_t size) noexcept { give_block_back(block, size); }
  static void operator delete(void* block, std::size_t size, std::align_val_t align) noexcept {
    ::operator delete(block, size, align);
  }
};

}  // namespace heddle::pools
