#pragma once

#include <heddle/park/internal/slot.hpp>

#include <cstdint>
#include <limits>
#include <vector>

namespace heddle::park {

/// A thread that has waited for so long notes down its stack, once, if what it waits for is telling and somebody diagnoses.
inline constexpr std::int64_t long_wait_ns = 5'000'000;

/// When a wait that has just begun is to note down its stack; the largest value: never.
[[nodiscard]] std::int64_t stack_is_due_at(const slot& s, resource_kind kind) noexcept;

/// By the waiting thread itself: notes down its stack for this wait.
void keep_stack(const slot& s) noexcept;
/// And that the wait is over.
void drop_stack(const slot& s) noexcept;

/// The stack of the thread that waits in the slot, as return addresses, the innermost first, heddle's own included;
/// empty if the wait of that generation is over or has kept none. Any thread; no pin is needed.
[[nodiscard]] std::vector<const void*> stack_of(std::uint32_t index, std::uint64_t generation);

/// Reserves the room; called when the tables are made.
void reserve_stacks() noexcept;

}  // namespace heddle::park
