#pragma once

#include <heddle/park/executor.hpp>

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
/// Thread-safety: an agent is used by the thread that runs it; only its slot is shared.
class agent {
 public:
  enum class kind : std::uint8_t { thread, task };

  /// @param name static text, or null; shown by the inspector.
  /// @param runs_on the executor that resumes it; null for a thread.
  constexpr agent(kind what, const char* name, executor* runs_on) noexcept
      : name_{name}, executor_{runs_on}, kind_{what} {}
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

  /// Moves a task to another executor: its next resumption runs there.
  void move_to(executor& other) noexcept { executor_ = &other; }

  /// How many locks it holds now.
  [[nodiscard]] std::uint32_t held() const noexcept { return held_; }
  void now_holds() noexcept { ++held_; }
  void no_longer_holds() noexcept { --held_; }

  /// Gives the slot back. A task that ends while it holds a lock ends the program; a thread that does is reported on
  /// standard error and its slot is never used again, so that nobody can be taken for the holder.
  void end() noexcept;

 private:
  std::uint32_t take_slot() noexcept;

  std::uint32_t id_{0};
  std::uint32_t held_{0};
  const char* name_;
  executor* executor_;
  kind kind_;
};

/// The agent on whose behalf the calling thread runs: the running task, else the thread itself.
///
/// Never inlined, because a coroutine may continue on another thread and a thread-local address must not be kept over
/// a suspension.
[[nodiscard, gnu::noinline]] agent& current_agent() noexcept;

/// The calling thread's own agent, also while it runs a task.
[[nodiscard, gnu::noinline]] agent& thread_agent() noexcept;

/// Makes `which` the current agent for a scope; executors and resumptions use it.
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
