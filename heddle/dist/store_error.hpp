#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace heddle::dist {

/// Why an operation on a store failed.
enum class store_errc : std::uint8_t {
  in_use,           ///< another process, or another part of this one, has opened the store
  unreadable,       ///< the file cannot be opened, read or written
  corrupt,          ///< the file is no database, or a damaged one
  full,             ///< no room on the file system
  busy,             ///< another process held the database for too long
  constraint,       ///< a constraint of the schema refused the change
  refused,          ///< the statement is wrong: syntax, unknown table, wrong number of arguments
  rolled_back,      ///< the group that the job was in could not be committed; nothing of it was done
  outcome_unknown,  ///< the commit failed in a way that leaves open whether it is on the disk
  closed,           ///< the store is being closed
  timeout,          ///< the deadline came first
  stopped,          ///< the stop_token that was passed fired first
  stale_attempt,    ///< the attempt was taken over by a later one; what it wrote was refused
  stale_fence,      ///< a newer token has been seen
};

/// The error's name in lower case, as in the enum.
[[nodiscard]] std::string_view to_string(store_errc code) noexcept;

/// What failed, and one sentence for the person who has to do something about it.
struct store_error {
  store_errc code{};
  std::string text;
};

template <class T>
using store_result = std::expected<T, store_error>;

}  // namespace heddle::dist
