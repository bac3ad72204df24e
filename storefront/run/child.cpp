#include <storefront/run/child.hpp>

#include <storefront/base/startup_error.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace storefront::run {

using clock = std::chrono::steady_clock;

namespace {

int poll_for(int descriptor, clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
  pollfd wanted{descriptor, POLLIN, 0};
  return poll(&wanted, 1, left > 0 ? static_cast<int>(left) : 0);
}

}  // namespace

std::string exit_status::text() const {
  return signal != 0 ? fmt::format("was ended by signal {}", signal) : fmt::format("ended with exit code {}", code);
}

child::child(const std::filesystem::path& program, std::vector<std::string> arguments, output where) {
  std::array<int, 2> out{-1, -1};
  if (where == output::read_here && pipe2(out.data(), O_CLOEXEC) != 0) {
    throw startup_error{fmt::format("cannot make a pipe: {}", std::strerror(errno))};
  }
  const std::string path = program.string();
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (access(path.c_str(), X_OK) != 0) throw startup_error{fmt::format("there is no program {}", path)};

  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw startup_error{fmt::format("cannot start {}: {}", path, std::strerror(errno))};
  if (pid_ == 0) {
    // Nobody is left behind when this program is killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);  // Ctrl-C reaches this program alone, which then ends its children in order
    if (out[1] >= 0) dup2(out[1], STDOUT_FILENO);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  output_ = out[0];
  if (out[1] >= 0) close(out[1]);
}

child::child(child&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      output_{std::exchange(other.output_, -1)},
      unread_{std::move(other.unread_)},
      ended_{other.ended_} {}

child::~child() {
  if (pid_ > 0 && running()) {
    send(SIGKILL);
    wait();
  }
  if (output_ >= 0) close(output_);
}

std::optional<std::string> child::read_line(std::chrono::milliseconds within) {
  const auto until = clock::now() + within;
  for (;;) {
    if (const std::size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    const int ready = poll_for(output_, until);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    std::array<char, 4096> buffer;
    const ssize_t count = read(output_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    unread_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

void child::send(int signal) noexcept {
  if (!ended_) kill(pid_, signal);
}

void child::reap(int options) {
  int status = 0;
  pid_t found = 0;
  while ((found = waitpid(pid_, &status, options)) < 0 && errno == EINTR) {
  }
  if (found != pid_) return;
  ended_ = WIFSIGNALED(status) ? exit_status{0, WTERMSIG(status)} : exit_status{WEXITSTATUS(status), 0};
}

bool child::running() noexcept {
  if (!ended_) reap(WNOHANG);
  return !ended_;
}

exit_status child::wait() {
  if (!ended_) reap(0);
  return ended_.value_or(exit_status{});
}

exit_status child::end(std::chrono::milliseconds patience) {
  if (!running()) return wait();
  const int process = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  send(SIGTERM);
  if (process >= 0) {
    const auto until = clock::now() + patience;
    int ready = 0;
    while ((ready = poll_for(process, until)) < 0 && errno == EINTR) {
    }
    close(process);
    if (ready == 0) send(SIGKILL);
  }
  return wait();
}

}  // namespace storefront::run
