#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <thread>

namespace heddle::sys {

/// Lets other threads of the processor run first, if there are any. Source: sched_yield(2).
void yield() noexcept;

/// Starts a thread with the given name (the kernel shows its first 15 characters).
/// @throws std::system_error when the system has no thread to give.
[[nodiscard]] std::thread start_thread(std::string name, std::function<void()> body);

/// Starts a thread that serves the whole process: nobody waits for its end, and it has the processors of the process's main
/// thread and no real-time priority, whatever those of the caller are.
/// @param name static text.
/// @return false when the system has no thread to give.
/// - [test: service_thread.has_nothing_of_its_starters_priority_and_processors]
[[nodiscard]] bool start_service_thread(const char* name, void (*run)(void*), void* argument) noexcept;

/// Writes the calling thread's name into `buffer` (at least 16 bytes).
void thread_name(char* buffer, std::size_t size) noexcept;

/// Names the calling thread; longer names are cut to 15 characters.
void set_thread_name(const char* name) noexcept;

/// Blocks every signal in the calling thread, so that a helper thread never runs a user's handler; but for
/// sample_signal(), whose handler is heddle's.
void block_all_signals() noexcept;

/// The signal by which a thread is asked for its stack; see sample.hpp.
[[nodiscard]] int sample_signal() noexcept;

/// Whether the calling thread has a real-time policy (SCHED_FIFO, SCHED_RR, SCHED_DEADLINE). Costs a system call.
[[nodiscard]] bool has_real_time_policy() noexcept;

/// Calls `last(argument)` when the calling thread ends, in the last round of thread-specific destructors, so after
/// almost all thread_local objects are gone. Up to four calls, the last one registered first.
void at_thread_exit(void (*last)(void*), void* argument) noexcept;

/// Registers handlers around fork(2); see pthread_atfork(3).
void at_fork(void (*prepare)(), void (*parent)(), void (*child)()) noexcept;

}  // namespace heddle::sys
