#pragma once

#include <heddle/watch/settings.hpp>

namespace heddle::watch {

/// Connects watch with the wait core, or takes it out if nothing is to be looked for.
void plug_in(const settings& wanted) noexcept;

}  // namespace heddle::watch
