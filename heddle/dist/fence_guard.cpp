#include <heddle/dist/fence_guard.hpp>

#include <mutex>

namespace heddle::dist {

std::expected<void, lock_error> fence_guard::admit(std::int64_t token, std::string_view owner) {
  const std::lock_guard lock{mutex_};
  if (token < token_ || (token == token_ && owner != owner_)) return std::unexpected{lock_error::stale_fence};
  token_ = token;
  owner_ = owner;
  return {};
}

std::int64_t fence_guard::newest() const noexcept {
  const std::lock_guard lock{mutex_};
  return token_;
}

store_result<void> prepare_fences(sqlite_store& store) {
  return store.migrate("fences", {"CREATE TABLE heddle_fences (resource TEXT PRIMARY KEY, token INTEGER NOT NULL, "
                                  "owner TEXT NOT NULL) WITHOUT ROWID"});
}

store_result<void> admit_fenced(sql_transaction& transaction, std::string_view resource, std::int64_t token,
                                std::string_view owner) {
  auto seen =
      transaction.one<std::int64_t, std::string>("SELECT token, owner FROM heddle_fences WHERE resource = ?", resource);
  if (!seen) return std::unexpected{std::move(seen).error()};
  if (*seen) {
    const auto& [newest, by] = **seen;
    if (token == newest && owner == by) return {};
    if (token <= newest) {
      return std::unexpected{store_error{store_errc::stale_fence,
                                         "'" + std::string{resource} + "' has seen the fencing token " +
                                             std::to_string(newest) + ", so " + std::to_string(token) + " is refused"}};
    }
  }
  auto noted = transaction.execute(
      "INSERT INTO heddle_fences (resource, token, owner) VALUES (?, ?, ?) "
      "ON CONFLICT (resource) DO UPDATE SET token = excluded.token, owner = excluded.owner",
      resource, token, owner);
  if (!noted) return std::unexpected{std::move(noted).error()};
  return {};
}

}  // namespace heddle::dist
