#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace storefront::run {

/// How a process ended.
struct exit_status {
  int code = 0;    ///< its exit code, if it ended by itself
  int signal = 0;  ///< else the signal that ended it
  [[nodiscard]] bool fine() const noexcept { return code == 0 && signal == 0; }
  [[nodiscard]] std::string text() const;
};

/// A child process. Its standard error is this program's; its standard output too, unless it is read here.
///
/// A child that still runs when this is destroyed is killed. It is killed as well when this program dies.
class child {
 public:
  enum class output : bool { inherited, read_here };

  /// Starts a program. @throws startup_error with one sentence.
  child(const std::filesystem::path& program, std::vector<std::string> arguments, output where);
  child(child&& other) noexcept;
  child& operator=(child&&) = delete;
  ~child();

  /// The next line of its output, without the line's end, or nothing when there is no more or `within` is over.
  [[nodiscard]] std::optional<std::string> read_line(std::chrono::milliseconds within);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void send(int signal) noexcept;
  [[nodiscard]] bool running() noexcept;

  /// Waits for its end.
  exit_status wait();

  /// Asks it to end, and kills it when it has not within `patience`.
  exit_status end(std::chrono::milliseconds patience);

 private:
  void reap(int options);

  pid_t pid_ = -1;
  int output_ = -1;
  std::string unread_;
  std::optional<exit_status> ended_;
};

}  // namespace storefront::run
