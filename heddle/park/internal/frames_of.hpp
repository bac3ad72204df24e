#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace heddle::park {

struct async_frame;

/// Where the coroutines of a chain await each other, the innermost first, at most `most`.
[[nodiscard]] std::vector<std::source_location> places_of_frames(const async_frame* innermost, std::size_t most = 64);

/// The frames of the suspended task that waits in the slot; empty if the wait of that generation is over, blocks a
/// thread, or belongs to coroutines without frames (see async_frame). Any thread. Cost: the wait is pinned meanwhile.
[[nodiscard]] std::vector<std::source_location> frames_of(std::uint32_t index, std::uint64_t generation,
                                                          std::size_t most = 64);

/// "storefront/orders.cpp:40 (reserve)".
[[nodiscard]] std::string frame_text(const std::source_location& place);

/// The same for each.
[[nodiscard]] std::vector<std::string> frame_texts(const std::vector<std::source_location>& places);

}  // namespace heddle::park
