#pragma once

#include <heddle/sys/compiler.hpp>

#include <atomic>
#include <cstdint>

/// A compare and a store as a sequence that the kernel restarts when the thread is interrupted between the two: what a
/// compare-and-swap does, without its locked instruction, as long as the others heed restart_others().
/// Source: rseq(2); membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ.
namespace heddle::sys {

#if defined(__x86_64__)
inline constexpr bool restartable = !under_tsan;  // ThreadSanitizer sees no store that is made in assembly
#else
inline constexpr bool restartable = false;
#endif

/// Where the thread's area for restartable sequences lies from its thread pointer; 0 until allow_restarts(), and for
/// good where the system has none.
extern constinit std::int64_t restart_area;

/// Asks the kernel for what restart_others() needs. To be called once before other threads use it, and in a child.
void allow_restarts() noexcept;

/// Stores 0 in `word` (release) if it holds `expected` and nothing interrupts that.
/// @return false: it holds something else, there was an interruption, or the system has no such sequences. Nothing has
///   been stored.
/// A change that another thread makes between the look and the store is lost, unless that thread then calls
/// restart_others(), and looks whether its change is still there: from then on either it was lost already, or it is seen.
[[nodiscard, gnu::always_inline]] inline bool clear_if_equal(std::atomic<std::uint32_t>& word,
                                                             std::uint32_t expected) noexcept {
#if defined(__x86_64__)
  if constexpr (restartable) {
    const std::int64_t area = restart_area;
    if (area == 0) [[unlikely]]
      return false;
    // The descriptor names the sequence (from 1 to 2) and where to go instead (4), which is marked with the signature
    // that glibc has registered. 8 is the descriptor's place in the thread's area.
    asm goto volatile(
        ".pushsection __rseq_cs, \"aw\"\n"
        ".balign 32\n"
        "3: .long 0, 0\n"
        ".quad 1f, 2f - 1f, 4f\n"
        ".popsection\n"
        "leaq 3b(%%rip), %%rax\n"
        "movq %%rax, %%fs:8(%[area])\n"
        "1: cmpl %[expected], %[word]\n"
        "jne %l[not_stored]\n"
        "movl $0, %[word]\n"
        "2:\n"
        ".pushsection __rseq_failure, \"ax\"\n"
        ".byte 0x0f, 0xb9, 0x3d\n"  // an undefined instruction whose operand is the signature
        ".long 0x53053053\n"
        "4: jmp %l[not_stored]\n"
        ".popsection\n"
        :
        : [word] "m"(word), [expected] "r"(expected), [area] "r"(area)
        : "rax", "memory", "cc"
        : not_stored);
    return true;
  not_stored:
    return false;
  }
#endif
  return word.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed);
}

/// Stores 0 in `word` (release) if it holds `expected`, and before that the lower half of `guard`, masked, is `Is`, and
/// nothing interrupts that. Only where restart_area is not 0, and only if nobody else changes the word but such as have
/// first changed the guard and called restart_others().
/// @return false: something did not match, or there was an interruption. Nothing has been stored.
template <std::uint32_t Mask, std::uint32_t Is>
[[nodiscard, gnu::always_inline]] inline bool clear_if_guarded(const std::atomic<std::uint64_t>& guard,
                                                               std::atomic<std::uint64_t>& word,
                                                               std::uint64_t expected) noexcept {
#if defined(__x86_64__)
  // As above; the guard comes first, so that a word which is read after the guard has been opened again is seen as it
  // is by then.
  asm goto volatile(
      ".pushsection __rseq_cs, \"aw\"\n"
      ".balign 32\n"
      "3: .long 0, 0\n"
      ".quad 1f, 2f - 1f, 4f\n"
      ".popsection\n"
      "leaq 3b(%%rip), %%rax\n"
      "movq %%rax, %%fs:8(%[area])\n"
      "1: movl (%[guard]), %%eax\n"
      "andl %[mask], %%eax\n"
      "cmpl %[is], %%eax\n"
      "jne %l[not_stored]\n"
      "cmpq %[expected], (%[word])\n"
      "jne %l[not_stored]\n"
      "movq $0, (%[word])\n"
      "2:\n"
      ".pushsection __rseq_failure, \"ax\"\n"
      ".byte 0x0f, 0xb9, 0x3d\n"
      ".long 0x53053053\n"
      "4: jmp %l[not_stored]\n"
      ".popsection\n"
      :
      : [guard] "r"(&guard), [word] "r"(&word), [expected] "r"(expected), [area] "r"(restart_area), [mask] "i"(Mask),
        [is] "i"(Is)
      : "rax", "memory", "cc"
      : not_stored);
  return true;
not_stored:
  return false;
#else
  if ((static_cast<std::uint32_t>(guard.load(std::memory_order_acquire)) & Mask) != Is) return false;
  return word.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed);
#endif
}

/// Restarts the sequences in which other threads are, and orders what this thread did before against them.
/// Cost: a system call; some microseconds when other threads of the process run.
void restart_others() noexcept;

}  // namespace heddle::sys
