#pragma once

#include <heddle/dist/lock_error.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/task/task.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::dist {

/// One question to an engine, and its answer.
struct lock_request {
  enum class what : std::uint8_t { acquire, renew, release };

  what ask{};
  std::string name;
  std::int64_t token = 0;   ///< renew, release: the lease's; acquire: the granted one, when it was
  std::int64_t ttl_ns = 0;  ///< acquire, renew

  bool done = false;                ///< acquire: granted. renew: extended. release: it was ours and is free
  bool taken_over = false;          ///< acquire: from a holder that is dead
  std::int64_t held_until_ns = 0;   ///< acquire, not done: when the holder's lease ends, on the boot clock
  std::optional<lock_error> error;  ///< the engine could not do its part

  [[nodiscard]] static lock_request acquire(std::string name, std::int64_t ttl_ns) {
    return make(what::acquire, std::move(name), 0, ttl_ns);
  }
  [[nodiscard]] static lock_request renew(std::string name, std::int64_t token, std::int64_t ttl_ns) {
    return make(what::renew, std::move(name), token, ttl_ns);
  }
  [[nodiscard]] static lock_request release(std::string name, std::int64_t token) {
    return make(what::release, std::move(name), token, 0);
  }

 private:
  static lock_request make(what ask, std::string name, std::int64_t token, std::int64_t ttl_ns) {
    lock_request made;
    made.ask = ask;
    made.name = std::move(name);
    made.token = token;
    made.ttl_ns = ttl_ns;
    return made;
  }
};

/// What keeps the locks of a service. It knows nothing of waiting, of heartbeats, or of other locks of the same name
/// asked for by the same service: lock_service sees to these.
///
/// Rules for every engine: a token is larger than all that were granted for the name before; acquire succeeds only when
/// the lock is free, its lease has ended, or its holder is dead; renew succeeds only with the right token and time left;
/// release changes nothing unless the token is right. Thread-safety: all members from any thread.
class lock_engine {
 public:
  lock_engine() = default;
  lock_engine(const lock_engine&) = delete;
  lock_engine& operator=(const lock_engine&) = delete;
  virtual ~lock_engine() = default;

  [[nodiscard]] virtual engine_traits traits() const noexcept = 0;

  /// Answers all requests. When the task is stopped before they were sent, it unwinds and nothing is done; once sent,
  /// the answers are waited for.
  [[nodiscard]] virtual task<void> ask(std::span<lock_request> requests) = 0;
  virtual void ask_blocking(std::span<lock_request> requests) = 0;
};

[[nodiscard]] std::unique_ptr<lock_engine> make_memory_locks();
[[nodiscard]] store_result<std::unique_ptr<lock_engine>> make_sqlite_locks(const std::string& path, std::string owner,
                                                                           executor& blocking);

}  // namespace heddle::dist
