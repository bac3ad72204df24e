#pragma once

#include <heddle/park/executor.hpp>
#include <heddle/park/holds.hpp>

#include <cstdint>

namespace heddle {

namespace park {
struct slot;
}

/// Whatever can wait and hold: an OS thread, or a task (a chain of coroutines that await each other).
///
/// Threads have one made for them at their first use of heddle, whoever started them. A task's is made by task/. The
/// agent's id is the index of its slot in the table of agents, taken at the first lock or wait; 0 means none yet.
///
/// - A thread takes a slot at its first lock or wait. [test: agent.a_thread_takes_a_slot_at_its_first_use]
/// - No two agents have the same id at a time. [test: agent.ids_are_not_shared]
/// - A child made by fork(2) has a table of its own for others to read, and goes on locking as the same agent.
///   [test: agent_fork.the_child_has_its_own_record_file_and_goes_on_locking]
/// - What other threads held when it was made stays held in the child.
///   [test: agent_fork.what_another_thread_held_stays_held_in_the_child]
///
/// A process has one table. A second copy of heddle in it, as in a shared object that has linked heddle for itself, ends
/// the program with that reason.
///
/// Thread-safety: an agent is used by the thread that runs it; only its slot is shared.
class agent {
 public:
  enum class kind : std::uint8_t { thread, task };

  /// @param name static text, or null; shown by the inspector.
  /// @param runs_on the executor that resumes it; for a thread the one whose items it runs, or null.
  constexpr agent(kind what, const char* name, executor* runs_on) noexcept
      : kind_{what}, name_{name}, executor_{runs_on} {}
  agent(const agent&) = delete;
  agent& operator=(const agent&) = delete;
  ~agent() = default;

  /// The index of its slot; takes a slot on the first call.
  [[nodiscard]] std::uint32_t id() noexcept { return id_ != 0 ? id_ : take_slot(); }

  /// The index of its slot, or 0 if it never locked nor waited.
  [[nodiscard]] std::uint32_t id_if_any() const noexcept { return id_; }

  [[nodiscard]] park::slot& slot() noexcept;
  [[nodiscard]] kind what() const noexcept { return kind_; }
  [[nodiscard]] const char* name() const noexcept { return name_; }
  [[nodiscard]] executor* runs_on() const noexcept { return executor_; }

  /// Moves a task to another executor: its next resumption runs there. For a thread: see executor_scope.
  void move_to(executor* other) noexcept;

  /// How many locks it holds now.
  [[nodiscard]] std::uint32_t held() const noexcept { return holds_ != nullptr ? holds_->count() : 0; }
  /// The locks that it holds; it must have an id.
  [[nodiscard]] const park::hold_list& holds() const noexcept { return *holds_; }

  /// It has taken a lock; it must have an id.
  /// @param taken_at the program counter of the call that took it.
  /// - What it holds is listed until it is given back. [test: agent.lists_what_it_holds]
  void now_holds(const void* lock, park::held_as how, const void* taken_at) noexcept {
    if (!holds_->add_first(lock, how, taken_at)) [[unlikely]] {
      holds_another(lock, how, taken_at);
    }
  }
  /// now_holds() in two halves, the first of them before the lock is taken, so that it is held for less long; see
  /// hold_list::prepare_first.
  [[nodiscard]] bool may_hold(const void* lock, park::held_as how, const void* taken_at) noexcept {
    return holds_->prepare_first(lock, how, taken_at);
  }
  /// @param prepared what may_hold() returned.
  void now_holds(bool prepared, const void* lock, park::held_as how, const void* taken_at) noexcept {
    if (!prepared) [[unlikely]] {
      holds_another(lock, how, taken_at);
      return;
    }
    holds_->list_first();
  }
  /// It gives the lock back. False when it is certain that it did not hold it.
  bool no_longer_holds(const void* lock) noexcept { return holds_->remove(lock); }

  /// For a task: what waits for its end, as the address of that wait's resource; null if nothing does. To be said before
  /// it first runs.
  void is_awaited_by(const void* join) noexcept { awaited_by_ = join; }

  /// How many awaits a task may make without waiting before it lets others of its executor run.
  static constexpr std::uint16_t awaits_in_a_turn = 128;

  /// A task is resumed by its executor: it may await so often again.
  void begin_turn() noexcept { awaits_left_ = awaits_in_a_turn; }
  /// One await more; false: it is others' turn.
  [[nodiscard]] bool may_await_on() noexcept {
    if (awaits_left_ != 0) --awaits_left_;
    return awaits_left_ != 0;
  }

  /// Gives the slot back. A task that ends while it holds a lock ends the program; a thread that does is reported on
  /// standard error and its slot is never used again, so that nobody can be taken for the holder.
  /// - The slot serves others afterwards. [test: agent.an_ended_one_gives_its_slot_back]
  /// - A task that holds a lock must not end. [test: mutex_misuse.a_task_that_ends_while_it_holds_a_lock_is_fatal]
  /// - A thread that holds a lock may, and is reported.
  ///   [test: mutex_misuse.a_thread_that_ends_while_it_holds_a_lock_is_reported]
  void end() noexcept;

 private:
  std::uint32_t take_slot() noexcept;
  void holds_another(const void* lock, park::held_as how, const void* taken_at) noexcept;
  [[gnu::noinline]] void tell_of_another(park::held_as how, std::uint64_t pair) noexcept;

  std::uint32_t id_{0};
  kind kind_;
  std::uint16_t awaits_left_{awaits_in_a_turn};
  std::uint64_t known_pair_{0};      // the last two locks, one taken under the other, of which watch knows; 0: none
  park::hold_list* holds_{nullptr};  // beside its slot
  const char* name_;
  executor* executor_;
  const void* awaited_by_{nullptr};
};

/// The agent on whose behalf the calling thread runs: the running task, else the thread itself.
///
/// Never inlined, because a coroutine may continue on another thread and a thread-local address must not be kept over
/// a suspension.
/// - It goes with the task from thread to thread. [test: agent.the_current_one_is_the_running_task,
///   mutex.a_lock_taken_by_a_task_goes_with_it_from_thread_to_thread]
[[nodiscard, gnu::noinline]] agent& current_agent() noexcept;

/// The calling thread's own agent, also while it runs a task.
[[nodiscard, gnu::noinline]] agent& thread_agent() noexcept;

/// Makes `which` the current agent for a scope; executors and resumptions use it.
/// - Afterwards the one before is current again. [test: agent.a_scope_puts_back_the_one_before]
class agent_scope {
 public:
  explicit agent_scope(agent& which) noexcept;
  ~agent_scope();
  agent_scope(const agent_scope&) = delete;
  agent_scope& operator=(const agent_scope&) = delete;

 private:
  agent* before_;
};

}  // namespace heddle
