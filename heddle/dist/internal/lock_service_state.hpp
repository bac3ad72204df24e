#pragma once

#include <heddle/dist/internal/lock_engine.hpp>
#include <heddle/dist/internal/lock_turn.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/dist/store_job.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace heddle::dist {

/// What a lease and its service share.
struct lease_state {
  enum class phase : std::uint8_t { held, releasing, lost };

  std::shared_ptr<lock_service::state> service;
  lock_turn* turn = nullptr;  ///< the lease has the turn while it is held or releasing
  std::string name;
  std::int64_t token = 0;
  std::int64_t ttl_ns = 0;
  bool renews = true;
  std::atomic<std::int64_t> valid_until_ns{0};
  std::stop_source stop;
  std::int64_t renew_at_ns = 0;  ///< under the service's mutex
  phase now = phase::held;       ///< under the service's mutex
};

/// The service behind lock_service, kept alive by its leases.
struct lock_service::state : std::enable_shared_from_this<lock_service::state> {
  state(std::unique_ptr<lock_engine> e, std::string id, lock_service_options o)
      : engine{std::move(e)}, owner{std::move(id)}, options{o} {}

  void start(executor& blocking);
  void shut_down();

  // --- turns ---
  [[nodiscard]] lock_turn& enter(const std::string& name);
  void leave(lock_turn& turn);
  void give_and_leave(lock_turn& turn);

  // --- leases ---
  /// @param sent_ns when the request that was granted was sent.
  [[nodiscard]] std::shared_ptr<lease_state> grant(lock_turn& turn, const lock_request& granted,
                                                   const lock_options& how, std::int64_t sent_ns);
  /// False: it is not held any more.
  [[nodiscard]] bool begin_release(lease_state& lease);
  /// Lets the heartbeat release it. The turn goes with it.
  void release_later(lock_turn& turn, std::int64_t token);
  void lose(const std::shared_ptr<lease_state>& lease);

  // --- the two that see to the leases ---
  [[nodiscard]] task<void> beat();
  [[nodiscard]] deadline collect(std::vector<lock_request>& requests,
                                 std::vector<std::shared_ptr<lease_state>>& renewing,
                                 std::vector<lock_turn*>& releasing);
  void apply(const std::vector<lock_request>& answers, const std::vector<std::shared_ptr<lease_state>>& renewing,
             const std::vector<lock_turn*>& releasing, std::int64_t sent_ns);
  void watch();
  void ring_heartbeat();  // under mutex
  void ring_watch();      // under mutex

  struct pending_release {
    lock_turn* turn;
    std::int64_t token;
  };

  std::unique_ptr<lock_engine> engine;
  const std::string owner;
  const lock_service_options options;

  mutex guard{"lock service"};
  std::unordered_map<std::string, std::unique_ptr<lock_turn>> turns;    // under guard
  std::unordered_map<lease_state*, std::shared_ptr<lease_state>> held;  // under guard
  std::vector<pending_release> releases;                                // under guard
  std::int64_t next_beat_ns = 0;                                        // under guard
  std::int64_t next_watch_ns = 0;                                       // under guard
  bool beat_rung = false;                                               // under guard
  bool watch_rung = false;                                              // under guard
  bool beat_used = false;   // under guard: a lease was granted since the heartbeat looked
  bool watch_used = false;  // under guard: likewise for the watch
  bool stopping = false;    // under guard
  semaphore beat_bell{0, "lock heartbeat"};
  semaphore watch_bell{0, "lease watch"};
  finish_line beat_ended{"lock heartbeat"};
  std::thread watcher;

  struct figures {
    std::atomic<std::uint64_t> acquired{0};
    std::atomic<std::uint64_t> waited{0};
    std::atomic<std::uint64_t> waited_local{0};
    std::atomic<std::uint64_t> waited_remote{0};
    std::atomic<std::uint64_t> timeouts{0};
    std::atomic<std::uint64_t> renewals{0};
    std::atomic<std::uint64_t> lost{0};
    std::atomic<std::uint64_t> taken_over{0};
    std::atomic<std::uint64_t> waiting{0};
  } count;
};

}  // namespace heddle::dist
