#pragma once

#include <heddle/park/agent.hpp>

namespace heddle::watch {

/// The agent has taken a lock, not by trying, while it holds others: see diagnosis_hooks::took_another. Never waits for
/// anything that heddle watches. True: the chain is known by its classes.
bool study_order(agent& self) noexcept;

/// Whether study_order() does anything.
void switch_order_study(bool on) noexcept;

}  // namespace heddle::watch
