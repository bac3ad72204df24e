#pragma once

#include <heddle/dist/lock_error.hpp>
#include <heddle/dist/sql.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/sync/mutex.hpp>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace heddle::dist {

/// The resource's half of a lease: lets in a fencing token only if no newer one has been seen. In memory, so for a
/// resource that lives as long as this; for one in a store see admit_fenced.
///
/// - An older token is refused. [test: fence_guard.refuses_an_older_token]
/// - The newest is accepted again, but only from the same owner. [test: fence_guard.an_equal_token_needs_the_same_owner]
///
/// Thread-safety: any thread; blocks only as long as another call runs.
class fence_guard {
 public:
  /// @return stale_fence when `token` is older than the newest seen, or equal but another owner's.
  [[nodiscard]] std::expected<void, lock_error> admit(std::int64_t token, std::string_view owner);

  /// The newest token seen; 0 at first.
  [[nodiscard]] std::int64_t newest() const noexcept;

 private:
  mutable mutex mutex_{"fence_guard"};
  std::int64_t token_ = 0;  // under mutex_
  std::string owner_;       // under mutex_
};

/// Makes the table that admit_fenced keeps. Blocks; once per opening of the store.
[[nodiscard]] store_result<void> prepare_fences(sqlite_store& store);

/// fence_guard for a resource in a store: to be called in the write job that changes the resource, so that the token is
/// remembered together with the effect that it let in.
/// @return stale_fence; return it from the job, which undoes it.
/// - A stale token's effect is undone. [test: fence_guard.a_stale_job_in_a_store_is_undone]
[[nodiscard]] store_result<void> admit_fenced(sql_transaction& transaction, std::string_view resource,
                                              std::int64_t token, std::string_view owner);

}  // namespace heddle::dist
