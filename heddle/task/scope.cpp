#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/task/scope.hpp>

namespace heddle {

scope_errors::scope_errors(std::vector<std::exception_ptr> errors) noexcept : errors_{std::move(errors)} {}

const char* scope_errors::what() const noexcept { return "tasks of a scope have failed; see errors()"; }

nested_context::nested_context(const task_context& outer, deadline until)
    : context_{source_.get_token(), until < outer.until ? until : outer.until} {
  if (outer.stop.stop_possible()) outer_watch_.emplace(outer.stop, pass_on{source_});
  if (!until.is_never()) {  // also after the outer deadline: not everybody enforces that
    alarm_.set(
        until,
        [](void* self) noexcept {
          auto& nested = *static_cast<nested_context*>(self);
          if (nested.source_.stop_requested()) return;
          nested.expired_.store(true, std::memory_order_release);
          nested.source_.request_stop();
        },
        this);
  }
}

scope::~scope() {
  if (running_ != 0) fatal("a scope was destroyed while children run in it");
}

std::size_t scope::running() const noexcept {
  const park::queue_guard guard{joiner_};
  return running_;
}

// Makes room for the child's failure now, where running out of memory can still be told.
void scope::begin_child() {
  const park::queue_guard guard{joiner_};
  if (errors_.capacity() < errors_.size() + running_ + 2) errors_.reserve(2 * (errors_.size() + running_ + 2));
  ++running_;
}

void scope::note(bool succeeded, std::exception_ptr error) noexcept {
  bool stops = false;
  {
    const park::queue_guard guard{joiner_};
    if (error) errors_.push_back(std::move(error));
    if (succeeded) succeeded_ = true;
    stops = (policy_ == scope_policy::fail_fast && !errors_.empty()) ||
            (policy_ == scope_policy::first_success && succeeded_);
  }
  if (stops) nested_.stop();
}

// The scope may be gone as soon as the last child has been counted out.
void scope::child_ended(bool succeeded, std::exception_ptr error) noexcept {
  note(succeeded, std::move(error));
  park::slot* joiner = nullptr;
  {
    park::queue_guard guard{joiner_};
    if (--running_ == 0) {
      joiner = guard.first();
      if (joiner != nullptr && park::claim(*joiner)) {
        guard.remove(*joiner);
      } else {
        joiner = nullptr;
      }
    }
  }
  if (joiner != nullptr) park::publish(*joiner, park::phase::woken);
}

scope::join_awaiter scope::join(std::source_location site) noexcept { return join_awaiter{*this, site}; }

bool scope::join_awaiter::enqueue() noexcept {
  park::queue_guard guard{scope_.joiner_};
  if (scope_.running_ == 0) return false;
  guard.push_back(node());
  return true;
}

void scope::throw_what_failed() {
  if (errors_.empty()) return;
  switch (policy_) {
    case scope_policy::fail_fast: std::rethrow_exception(errors_.front());
    case scope_policy::collect_all: throw scope_errors{std::move(errors_)};
    case scope_policy::first_success:
      if (!succeeded_) throw scope_errors{std::move(errors_)};
  }
}

}  // namespace heddle
