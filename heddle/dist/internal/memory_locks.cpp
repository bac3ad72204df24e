#include <heddle/dist/internal/lock_engine.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sys/identity.hpp>

#include <mutex>
#include <unordered_map>

namespace heddle::dist {
namespace {

class memory_locks final : public lock_engine {
 public:
  [[nodiscard]] engine_traits traits() const noexcept override {
    return {"memory", fence::advisory, true, "one boot clock"};
  }

  [[nodiscard]] task<void> ask(std::span<lock_request> requests) override {
    ask_blocking(requests);
    co_return;
  }

  void ask_blocking(std::span<lock_request> requests) override {
    const std::lock_guard lock{mutex_};
    for (lock_request& request : requests) answer(request);
  }

 private:
  struct row {
    std::int64_t token = 0;
    std::int64_t until_ns = 0;
  };

  void answer(lock_request& request) {
    const std::int64_t now = sys::boot_now_ns();
    const auto found = rows_.find(request.name);
    const bool held = found != rows_.end() && found->second.until_ns > now;
    if (request.ask == lock_request::what::acquire) {
      if (held) {
        request.held_until_ns = found->second.until_ns;
        return;
      }
      request.token = ++last_token_;
      rows_[request.name] = {request.token, now + request.ttl_ns};
    } else {
      if (!held || found->second.token != request.token) return;
      if (request.ask == lock_request::what::renew) {
        found->second.until_ns = now + request.ttl_ns;
      } else {
        rows_.erase(found);
      }
    }
    request.done = true;
  }

  mutex mutex_{"memory locks"};
  std::unordered_map<std::string, row> rows_;  // under mutex_; the locks that are held, or were lost
  std::int64_t last_token_ = 0;                // under mutex_; one count for all names, so that rows can go
};

}  // namespace

std::unique_ptr<lock_engine> make_memory_locks() { return std::make_unique<memory_locks>(); }

}  // namespace heddle::dist
