#pragma once

#include <cstddef>

namespace heddle::tasks {

/// Frames of this size and more are refused with std::bad_alloc; whoever needs that much keeps it elsewhere.
inline constexpr std::size_t largest_frame = std::size_t{1} << 30U;

/// Memory for a coroutine frame. What is freed is kept by the thread that frees it, up to a limit for each size, and given
/// to the other threads in batches beyond it; what all together keep is limited, too. Larger frames than 1 KiB are not
/// kept. When there is no memory, or the frame is too large, whoever called the coroutine gets std::bad_alloc.
/// - [test: frame_memory.without_memory_for_a_frame_the_call_throws,
///   frame_memory.without_memory_for_a_child_the_scope_goes_on]
///
/// - Memory that was freed serves the next frame of the same size. [test: frame_memory.what_was_freed_is_used_again]
/// - What one thread frees serves another. [test: frame_memory.what_one_thread_frees_serves_another]
/// - A thread that ends leaves its memory to the others. [test: frame_memory.a_thread_that_ends_leaves_it_to_others]
///
/// Thread-safety: any thread. Cost: a few loads and stores; one short lock in 64 calls when threads only allocate or only
/// free; else as operator new.
/// @throws std::bad_alloc
[[nodiscard, gnu::noinline]] void* allocate_frame(std::size_t size);

/// @param size as it was allocated with.
[[gnu::noinline]] void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace heddle::tasks
