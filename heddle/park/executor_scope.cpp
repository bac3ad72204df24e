#include <heddle/park/agent.hpp>
#include <heddle/park/executor_scope.hpp>
#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/park/internal/running.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>

#include <mutex>

namespace heddle {
namespace {

constinit thread_local executor_scope* innermost = nullptr;

// The list of all scopes.
constinit park::small_lock all_lock;
constinit executor_scope* all = nullptr;

}  // namespace

// The child of a fork keeps the scopes of the forking thread: the others' threads are gone.
struct executor_scope::after_fork {
  static void watch() {
    static const bool once = [] {
      sys::at_fork([] { all_lock.lock(); }, [] { all_lock.unlock(); }, [] { keep_own(); });
      return true;
    }();
    (void)once;
  }
  static void keep_own() noexcept {
    all = nullptr;
    for (executor_scope* each = innermost; each != nullptr; each = each->outer_) {
      each->thread_ = sys::thread_id();
      each->previous_ = nullptr;
      each->next_ = all;
      if (all != nullptr) all->previous_ = each;
      all = each;
    }
    all_lock.unlock();
  }
};

executor_scope::executor_scope(executor& where) noexcept
    : where_{where},
      before_{thread_agent().runs_on()},
      outer_{innermost},
      thread_{sys::thread_id()},
      previous_{nullptr} {
  thread_agent().move_to(&where);
  paused_outer_ = outer_ != nullptr && outer_->items_.load(std::memory_order_relaxed) % 2 != 0;
  if (paused_outer_) outer_->end();
  innermost = this;
  after_fork::watch();
  const std::lock_guard guard{all_lock};
  next_ = all;
  if (next_ != nullptr) next_->previous_ = this;
  all = this;
}

executor_scope::~executor_scope() {
  {
    const std::lock_guard guard{all_lock};
    (previous_ != nullptr ? previous_->next_ : all) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }
  innermost = outer_;
  if (paused_outer_) outer_->end();  // the item goes on
  thread_agent().move_to(before_);
}

void executor_scope::begin() noexcept {
  items_.store(items_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  park::tell_of_item();
}

std::vector<running_threads::one> running_threads::busy() {
  std::vector<one> found;
  const std::lock_guard guard{all_lock};
  for (const executor_scope* each = all; each != nullptr; each = each->next_) {
    const std::uint64_t items = each->items_.load(std::memory_order_acquire);
    if (items % 2 != 0) found.push_back({each->thread_, each->where_.name(), &each->where_, items});
  }
  return found;
}

}  // namespace heddle
