#pragma once

/// What differs between compilers, in one place. Clang's thread-safety annotations; GCC ignores them.

#if defined(__clang__)
#define HEDDLE_THREAD_SAFETY(x) __attribute__((x))
#else
#define HEDDLE_THREAD_SAFETY(x)
#endif

#include <cstddef>

namespace heddle::sys {

/// Tells the core that this is a spin-wait loop.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif
#else
inline constexpr bool under_tsan = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool under_asan = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif
#else
inline constexpr bool under_asan = false;
#endif

// The sanitizer's own names. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" void __asan_poison_memory_region(void const volatile*, std::size_t);
extern "C" void __asan_unpoison_memory_region(void const volatile*, std::size_t);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

/// From here on AddressSanitizer reports each access to the memory; for memory that is kept to be used again.
inline void poison([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
  if constexpr (under_asan) __asan_poison_memory_region(memory, size);
}
/// And no more.
inline void unpoison([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
  if constexpr (under_asan) __asan_unpoison_memory_region(memory, size);
}

}  // namespace heddle::sys
