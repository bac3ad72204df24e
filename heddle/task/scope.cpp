#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/task/scope.hpp>

namespace heddle {

scope_errors::scope_errors(std::vector<std::exception_ptr> errors) noexcept : errors_{std::move(errors)} {}

const char* scope_errors::what() const noexcept { return "tasks of a scope have failed; see errors()"; }

nested_context::nested_context(const task_context& outer, deadline until)
    : context_{source_.get_token(), until < outer.until ? until : outer.until, outer.locals} {
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

/// A child. It stays after its end when it has failed, to keep the exception.
class scope::child final : public tasks::chain {
 public:
  child(executor& where, std::coroutine_handle<> frame, promise_base& first, const char* name, scope& in) noexcept
      : chain{where, name, &in}, frame_{frame}, promise_{first}, in_{in} {
    first.begins(*this, in.context());
    run = [](work_item* item) noexcept {
      auto& started = *static_cast<child*>(item);
      const agent_scope as{started.self()};
      started.frame_.resume();
    };
  }

  static void* operator new(std::size_t size) { return tasks::allocate_frame(size); }
  static void operator delete(void* gone, std::size_t size) noexcept { tasks::free_frame(gone, size); }

 private:
  void first_has_ended() noexcept override {
    scope& in = in_;
    const bool succeeded = promise_.has_value();
    failure_.error = promise_.take_error();
    frame_.destroy();
    self().end();
    failure* failed = nullptr;
    if (failure_.error) {
      failure_.of = this;
      failed = &failure_;
    } else {
      delete this;
    }
    in.child_ended(succeeded, failed);
  }

  std::coroutine_handle<> frame_;
  promise_base& promise_;
  scope& in_;
  failure failure_;
};

scope::~scope() {
  if (running() != 0) fatal("a scope was destroyed while children run in it");
  while (failures_ != nullptr) {
    failure* const gone = failures_;
    failures_ = gone->next;
    if (gone->of != nullptr) delete gone->of;
  }
}

std::size_t scope::running() const noexcept { return running_.load(std::memory_order_acquire) & (body_counts - 1); }

void scope::start(executor& where, std::coroutine_handle<> frame, promise_base& first, const char* name) {
  child* started = nullptr;
  try {
    started = new child{where, frame, first, name != nullptr ? name : name_, *this};
  } catch (...) {
    frame.destroy();  // it never began
    throw;
  }
  running_.fetch_add(1, std::memory_order_relaxed);  // whoever may spawn is counted itself
  where.post(*started);
}

void scope::note(bool succeeded, failure* failed) noexcept {
  {
    const park::queue_guard guard{joiner_};
    if (failed != nullptr) failures_ = (failed->next = failures_, failed);
    if (succeeded) succeeded_ = true;
  }
  if (policy_ == scope_policy::fail_fast ? failed != nullptr : policy_ == scope_policy::first_success && succeeded) {
    nested_.stop();
  }
}

void scope::body_failed(std::exception_ptr error) noexcept {
  body_failure_.error = std::move(error);
  note(false, &body_failure_);
}

// The scope may be gone as soon as the child has been counted out; but for the last one, for whom the joiner waits: it has
// counted the body out before.
void scope::child_ended(bool succeeded, failure* failed) noexcept {
  if (failed != nullptr || (succeeded && policy_ == scope_policy::first_success)) {
    const agent_scope as{thread_agent()};  // a stop runs others' callbacks, and the child's agent is gone
    note(succeeded, failed);
  }
  if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) last_has_ended();
}

void scope::last_has_ended() noexcept {
  const agent_scope as{thread_agent()};
  park::slot* joiner = nullptr;
  {
    park::queue_guard guard{joiner_};
    all_ended_ = true;
    joiner = guard.first();
    if (joiner != nullptr && park::claim(*joiner)) {
      guard.remove(*joiner);
    } else {
      joiner = nullptr;
    }
  }
  if (joiner != nullptr) park::publish(*joiner, park::phase::woken);
}

scope::join_awaiter scope::join(std::source_location site) noexcept { return join_awaiter{*this, site}; }

bool scope::join_awaiter::enqueue() noexcept {
  park::queue_guard guard{scope_.joiner_};
  if (scope_.all_ended_) return false;
  guard.push_back(node());
  return true;
}

void scope::throw_what_failed() {
  if (failures_ == nullptr || (policy_ == scope_policy::first_success && succeeded_)) return;
  std::size_t count = 0;
  const failure* first = failures_;
  for (const failure* each = failures_; each != nullptr; each = each->next, ++count) first = each;
  if (policy_ == scope_policy::fail_fast) std::rethrow_exception(first->error);
  std::vector<std::exception_ptr> errors(count);
  for (const failure* each = failures_; each != nullptr; each = each->next) errors[--count] = each->error;
  throw scope_errors{std::move(errors)};
}

}  // namespace heddle
