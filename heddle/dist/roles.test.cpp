// What the tests need of other processes: the test program starts itself again with a role in its environment, which
// is played before main() begins.

#include <heddle/dist/internal/test_support.hpp>
#include <heddle/dist/lock_service.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace heddle::dist::testing {
namespace {

constexpr const char* variable = "HEDDLE_DIST_TEST_ROLE";

void say(const std::string& text) {
  const std::string whole = text + '\n';
  if (::write(STDOUT_FILENO, whole.data(), whole.size()) < 0) std::_Exit(9);
}

void until_input_ends() {
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

// hold <locks> <name> <ttl ms>: takes a lock and keeps it.
int hold(const std::vector<std::string>& args) {
  thread_pool pool{{.threads = 2}};
  auto service = lock_service::open("sqlite://" + args[1], pool);
  if (!service) return 3;
  auto held = (*service)->lock_blocking(
      args[2], {.ttl = std::chrono::milliseconds{std::stoi(args[3])}, .until = {}, .stop = {}});
  if (!held) return 4;
  say(std::to_string(held->token()));
  until_input_ends();
  return 0;
}

// count <locks> <file> <times>: reads and rewrites a number in a file, each time under the lock.
int count(const std::vector<std::string>& args) {
  thread_pool pool{{.threads = 2}};
  auto service = lock_service::open("sqlite://" + args[1], pool);
  if (!service) return 3;
  std::int64_t last_token = 0;
  for (int i = std::stoi(args[3]); i > 0; --i) {
    auto held = (*service)->lock_blocking("count");
    if (!held || held->token() <= last_token) return 4;
    last_token = held->token();
    long value = 0;
    std::ifstream{args[2]} >> value;
    std::ofstream{args[2]} << value + 1;
    if (!held->release_blocking()) return 5;
  }
  say(std::to_string((*service)->stats().waited_remote));
  return 0;
}

task<void> write_for_ever(sqlite_store& store, int writer) {
  for (std::int64_t i = 0;; ++i) {
    const std::int64_t id = i * 1000 + writer;
    auto done = co_await store.write([&](sql_transaction& transaction) -> store_result<void> {
      for (const char* half : {"left", "right"}) {
        if (auto put = transaction.execute("INSERT INTO halves VALUES (?, ?)", id, half); !put) {
          return std::unexpected{put.error()};
        }
      }
      return {};
    });
    if (!done) std::_Exit(6);
    say(std::to_string(id));
  }
}

// write <store>: 20 writers write pairs of rows and say each that was answered.
int write(const std::vector<std::string>& args) {
  thread_pool pool{{.threads = 2}};
  auto store = sqlite_store::open({.path = args[1], .schema = {"CREATE TABLE halves (id INTEGER, half TEXT)"}}, pool);
  if (!store) return 3;
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int writer = 0; writer < 20; ++writer) s.spawn(write_for_ever(**store, writer));
    co_return;
  }));
  return 0;
}

// open <store>: opens it and keeps it.
int open(const std::vector<std::string>& args) {
  thread_pool pool{{.threads = 2}};
  auto store = sqlite_store::open({.path = args[1], .schema = {}}, pool);
  if (!store) return 3;
  say(std::to_string(::getpid()));
  until_input_ends();
  return 0;
}

int play(const std::vector<std::string>& args) {
  if (args[0] == "hold") return hold(args);
  if (args[0] == "count") return count(args);
  if (args[0] == "write") return write(args);
  if (args[0] == "open") return open(args);
  return 2;
}

const bool played = [] {
  const char* role = std::getenv(variable);
  if (role == nullptr) return false;
  std::vector<std::string> args;
  std::istringstream words{role};
  for (std::string word; words >> word;) args.push_back(word);
  std::_Exit(play(args));
}();

}  // namespace

scratch::scratch() {
  char pattern[] = "/tmp/heddle-dist-XXXXXX";
  if (::mkdtemp(pattern) == nullptr) std::abort();
  path_ = pattern;
}

scratch::~scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

child::child(const std::vector<std::string>& role) {
  EXPECT_FALSE(played);
  std::string words;
  for (const std::string& word : role) words += (words.empty() ? "" : " ") + word;
  const std::string assignment = std::string{variable} + '=' + words;
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) std::abort();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::vector<char*> environment;
  for (char** e = environ; *e != nullptr; ++e) environment.push_back(*e);
  environment.push_back(const_cast<char*>(assignment.c_str()));
  environment.push_back(nullptr);
  char program[] = "/proc/self/exe";
  char* arguments[] = {program, nullptr};
  if (::posix_spawn(&process_, program, &actions, nullptr, arguments, environment.data()) != 0) std::abort();
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
}

child::~child() {
  if (process_ > 0) kill();
  if (input_ >= 0) ::close(input_);
  ::close(output_);
}

std::string child::line() {
  for (;;) {
    if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
      std::string found = read_.substr(0, end);
      read_.erase(0, end + 1);
      return found;
    }
    char buffer[4096];
    const ssize_t got = ::read(output_, buffer, sizeof buffer);
    if (got <= 0) return {};
    read_.append(buffer, static_cast<std::size_t>(got));
  }
}

std::vector<std::string> child::rest() {
  std::vector<std::string> lines;
  for (std::string next = line(); !next.empty(); next = line()) lines.push_back(next);
  return lines;
}

void child::send_signal(int number) const { ::kill(process_, number); }

void child::kill() {
  send_signal(SIGKILL);
  (void)wait();
}

int child::wait() {
  if (input_ >= 0) ::close(std::exchange(input_, -1));
  int status = 0;
  if (::waitpid(std::exchange(process_, -1), &status, 0) < 0 || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace heddle::dist::testing
