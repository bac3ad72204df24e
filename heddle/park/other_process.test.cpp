#include <heddle/park/internal/slot.hpp>
#include <heddle/park/other_process.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/sync/mutex.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>

namespace heddle {
namespace {

using park::agent_info;
using park::held_lock;
using park::process_snapshot;
using park::read_agents_of;
using park::read_error;
using test::eventually;

// --- what the processes do that are looked at: this program once more, which never comes to its main() ---

constexpr const char* part = "HEDDLE_TEST_OTHER_PROCESS";

// Tells the parent that it has come so far.
void is_ready() { (void)!::write(STDOUT_FILENO, "!", 1); }

[[noreturn]] void hang() {
  is_ready();
  for (;;) ::pause();
}

[[noreturn]] void deadlock() {
  static mutex ledger{"ledger"};
  static mutex stock{"stock"};
  static std::latch both{2};
  const auto takes = [](mutex& first, mutex& second) {
    const std::lock_guard held{first};
    both.arrive_and_wait();
    const std::lock_guard never{second};
  };
  const std::thread one{takes, std::ref(ledger), std::ref(stock)};
  const std::thread other{takes, std::ref(stock), std::ref(ledger)};
  hang();
}

void* make_file(std::uint32_t version, bool sealed) {
  const int file = ::memfd_create(park::record_file_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (::ftruncate(file, static_cast<off_t>(park::record_file_size)) != 0) std::abort();
  if (sealed && ::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) != 0) std::abort();
  void* const memory = ::mmap(nullptr, park::record_file_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  auto* const head = new (memory) park::file_head{};
  head->is = park::file_head::magic;
  head->written_in = version;
  head->records = park::max_slots;
  return memory;
}

[[noreturn]] void tells_nonsense() {
  void* const memory = make_file(park::file_head::version, true);
  static_cast<park::file_head*>(memory)->end = 0xffff'ffff;
  // Everything is set: texts stand nowhere, kinds do not exist, more locks are held than there is room for.
  std::memset(static_cast<std::byte*>(memory) + sizeof(park::record), 0x7e, 100 * sizeof(park::record));
  auto* const holds = static_cast<std::byte*>(memory) + sizeof(park::record) * park::max_slots;
  std::memset(holds, 0x7e, 100 * sizeof(park::hold_list));
  auto* const records = static_cast<park::record*>(memory);
  for (unsigned i = 1; i < 50; ++i) records[i].info = 0x7e7e'7e02;  // a task, for all that
  hang();
}

[[maybe_unused]] const bool is_the_test = [] {
  const char* asked = std::getenv(part);
  if (asked == nullptr) return true;
  const std::string_view play{asked};
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (play == "deadlock") deadlock();
  if (play == "nonsense") tells_nonsense();
  if (play == "newer") (void)make_file(park::file_head::version + 1, true);
  if (play == "shrinks") (void)make_file(park::file_head::version, false);
  if (play == "secret") ::prctl(PR_SET_DUMPABLE, 0);
  hang();
}();

// --- and who looks ---

class other {
 public:
  explicit other(const char* play) {
    std::array<int, 2> ready{};
    if (::pipe2(ready.data(), O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ready[1], STDOUT_FILENO);
    std::string program = "/proc/self/exe";
    std::string asked = std::string{part} + '=' + play;
    std::array<char*, 2> arguments{program.data(), nullptr};
    std::array<char*, 2> environment{asked.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&id_, program.c_str(), &actions, nullptr, arguments.data(), environment.data()), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ready[1]);
    char word = 0;
    EXPECT_EQ(::read(ready[0], &word, 1), 1) << "it has not come so far";
    ::close(ready[0]);
  }
  ~other() { end(); }
  other(const other&) = delete;
  other& operator=(const other&) = delete;

  [[nodiscard]] std::uint32_t id() const { return static_cast<std::uint32_t>(id_); }
  void stop() const {
    ASSERT_EQ(::kill(id_, SIGSTOP), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(id_, &status, WUNTRACED), id_);
    ASSERT_TRUE(WIFSTOPPED(status));
  }
  void end() {
    if (id_ == 0) return;
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
    id_ = 0;
  }

 private:
  pid_t id_ = 0;
};

// Those who wait for the lock with that name.
const agent_info* who_waits_for(const process_snapshot& all, std::string_view lock) {
  const auto found =
      std::ranges::find_if(all.agents, [&](const auto& each) { return each.waits && each.wait.resource_name == lock; });
  return found == all.agents.end() ? nullptr : &*found;
}

void shows_the_deadlock(const process_snapshot& all) {
  const agent_info* const for_stock = who_waits_for(all, "stock");
  const agent_info* const for_ledger = who_waits_for(all, "ledger");
  ASSERT_NE(for_stock, nullptr);
  ASSERT_NE(for_ledger, nullptr);
  EXPECT_EQ(for_stock->wait.holder, for_ledger->wait.agent);
  EXPECT_EQ(for_ledger->wait.holder, for_stock->wait.agent);
  for (const auto& [waiter, holds] : {std::pair{for_stock, "ledger"}, std::pair{for_ledger, "stock"}}) {
    EXPECT_EQ(waiter->wait.kind, agent::kind::thread);
    EXPECT_EQ(waiter->wait.waits_for, resource_kind::mutex);
    EXPECT_NE(waiter->wait.thread, 0U);
    EXPECT_EQ(waiter->wait.until, std::nullopt);
    EXPECT_LE(waiter->wait.since, std::chrono::steady_clock::now());
    EXPECT_NE(waiter->wait.site.find(':'), std::string::npos) << waiter->wait.site;
    ASSERT_EQ(waiter->holds.size(), 1U);
    const held_lock& held = waiter->holds.front();
    EXPECT_EQ(held.name, holds);
    EXPECT_EQ(held.kind, resource_kind::mutex);
    EXPECT_EQ(held.mode, park::hold_mode::exclusive);
    EXPECT_NE(held.taken_at, nullptr);
  }
  EXPECT_EQ(for_stock->holds.front().lock, for_ledger->wait.resource);
  EXPECT_EQ(for_ledger->holds.front().lock, for_stock->wait.resource);
}

bool shows_both_waits(const other& process) {
  const auto all = read_agents_of(process.id());
  return all && who_waits_for(*all, "stock") != nullptr && who_waits_for(*all, "ledger") != nullptr;
}

TEST(other_process, its_deadlock_is_read_from_outside) {
  const other process{"deadlock"};
  ASSERT_TRUE(eventually([&] { return shows_both_waits(process); }));
  const auto all = read_agents_of(process.id());
  ASSERT_TRUE(all.has_value());
  shows_the_deadlock(*all);
  EXPECT_EQ(all->torn, 0U);
}

TEST(other_process, a_stopped_one_is_read_as_well) {
  const other process{"deadlock"};
  ASSERT_TRUE(eventually([&] { return shows_both_waits(process); }));
  process.stop();
  const auto all = read_agents_of(process.id());
  ASSERT_TRUE(all.has_value());
  shows_the_deadlock(*all);
}

TEST(other_process, may_be_this_one) {
  mutex here;
  const std::lock_guard held{here};
  const std::jthread waiter{[&](const std::stop_token& stop) {
    EXPECT_FALSE(here.lock_until(deadline::after(std::chrono::hours{1}), stop).has_value());
  }};
  ASSERT_TRUE(test::waited_for(here));
  const auto all = read_agents_of(static_cast<std::uint32_t>(::getpid()));
  ASSERT_TRUE(all.has_value());
  const auto seen = std::ranges::find_if(
      all->agents, [&](const auto& each) { return each.waits && each.wait.resource == static_cast<void*>(&here); });
  ASSERT_NE(seen, all->agents.end());
  EXPECT_EQ(seen->wait.holder, current_agent().id());
  EXPECT_EQ(seen->wait.resource_name.find("heddle/park/other_process.test.cpp:"), 0U) << seen->wait.resource_name;
  EXPECT_TRUE(seen->wait.until.has_value());
}

TEST(other_process, one_that_is_not_there_is_told) {
  other process{"idle"};
  const std::uint32_t id = process.id();
  process.end();
  const auto all = read_agents_of(id);
  ASSERT_FALSE(all.has_value());
  EXPECT_EQ(all.error(), read_error::no_such_process);
}

TEST(other_process, one_without_heddle_is_told) {
  const other process{"idle"};
  const auto all = read_agents_of(process.id());
  ASSERT_FALSE(all.has_value());
  EXPECT_EQ(all.error(), read_error::no_agents);
}

TEST(other_process, one_with_another_version_is_told) {
  for (const char* play : {"newer", "shrinks"}) {
    const other process{play};
    const auto all = read_agents_of(process.id());
    ASSERT_FALSE(all.has_value()) << play;
    EXPECT_EQ(all.error(), read_error::other_version) << play;
  }
}

// Root may look into every process, so whoever looks gives its rights up first, in a process of its own.
TEST(other_process, one_of_somebody_else_is_told) {
  const other process{"secret"};
  const pid_t looking = ::fork();
  ASSERT_GE(looking, 0);
  if (looking == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    const auto all = read_agents_of(process.id());
    ::_exit(!all && all.error() == read_error::not_permitted ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(looking, &status, 0), looking);
  EXPECT_EQ(status, 0);
}

TEST(other_process, what_it_says_is_not_trusted) {
  const other process{"nonsense"};
  const auto all = read_agents_of(process.id());
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->agents.size(), 49U);
  for (const agent_info& each : all->agents) {
    EXPECT_EQ(each.wait.holder, 0U);
    EXPECT_EQ(each.wait.resource_name, "");
    EXPECT_TRUE(is_known(each.wait.waits_for));
    EXPECT_LE(each.holds.size(), std::size_t{park::hold_list::capacity});
  }
  EXPECT_EQ(all->torn, 51U);
}

TEST(other_process, every_error_has_words_of_its_own) {
  std::vector<std::string_view> words;
  for (const read_error each : {read_error::no_such_process, read_error::not_permitted, read_error::no_agents,
                                read_error::other_version, read_error::unreadable}) {
    words.push_back(to_string(each));
  }
  std::ranges::sort(words);
  EXPECT_EQ(std::ranges::adjacent_find(words), words.end());
}

}  // namespace
}  // namespace heddle
