// What ./run starts: tour, bank, storefront, load, and then the end, or serving until a signal comes.

#include <storefront/base/startup_error.hpp>
#include <storefront/run/child.hpp>
#include <storefront/run/config.hpp>
#include <storefront/run/tour.hpp>

#include <fmt/format.h>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace storefront::run {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto start_patience = 20s;
constexpr auto end_patience = 10s;

/// SIGINT and SIGTERM as something to wait for beside the children.
class signals {
 public:
  signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    sigprocmask(SIG_BLOCK, &set_, nullptr);
    descriptor_ = signalfd(-1, &set_, SFD_CLOEXEC);
    if (descriptor_ < 0) throw startup_error{"cannot wait for signals"};
  }
  signals(const signals&) = delete;
  signals& operator=(const signals&) = delete;
  ~signals() { close(descriptor_); }

  /// Whether one has come, or comes within the time.
  [[nodiscard]] bool within(std::chrono::milliseconds time) const {
    pollfd wanted{descriptor_, POLLIN, 0};
    return poll(&wanted, 1, static_cast<int>(time.count())) > 0;
  }

 private:
  sigset_t set_{};
  int descriptor_ = -1;
};

/// Where the stores are: the folder that was asked for, or one that goes with the program.
class workplace {
 public:
  explicit workplace(const std::string& wanted) : folder_{wanted}, keeps_{!wanted.empty()} {
    if (keeps_) {
      std::error_code failed;
      fs::create_directories(folder_, failed);
      if (failed) throw startup_error{fmt::format("cannot make the folder {}: {}", wanted, failed.message())};
      return;
    }
    std::string name = (fs::temp_directory_path() / "storefront-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw startup_error{fmt::format("cannot make a scratch folder like {}", name)};
    folder_ = name;
  }
  workplace(const workplace&) = delete;
  workplace& operator=(const workplace&) = delete;
  ~workplace() {
    std::error_code ignored;
    if (!keeps_) fs::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string path(const char* name) const { return (folder_ / name).string(); }

 private:
  fs::path folder_;
  bool keeps_;
};

// Waits for the line that says where the program listens; gives the URL.
std::string url_of(child& server, const char* name) {
  const auto line = server.read_line(start_patience);
  const std::size_t at = line ? line->find("http://") : std::string::npos;
  if (at != std::string::npos) return line->substr(at);
  const exit_status ended = server.end(1s);
  if (ended.code != 0) throw startup_error{fmt::format("{} {}", name, ended.text())};
  throw startup_error{fmt::format("{} does not get ready", name)};
}

child start_bank(const fs::path& programs, const config& settings, const workplace& place) {
  return child{
      programs / "storefront-bank",
      {"--listen", "127.0.0.1:0", "--ledger", place.path("bank.db"), "--faults", fmt::format("{}", settings.faults),
       "--clean-seconds", fmt::format("{}", settings.clean_seconds), "--seed", std::to_string(settings.seed)},
      child::output::read_here};
}

child start_storefront(const fs::path& programs, const config& settings, const workplace& place,
                       const std::string& bank) {
  std::vector<std::string> arguments{
      "--listen", fmt::format("127.0.0.1:{}", settings.port), "--store", place.path("store"), "--bank", bank, "--stock",
      "1000000"};
  if (!settings.unsafe.empty()) arguments.push_back("--unsafe=" + settings.unsafe);
  return child{programs / "storefront", std::move(arguments), child::output::read_here};
}

child start_load(const fs::path& programs, const config& settings, const workplace& place, const std::string& target) {
  std::vector<std::string> arguments;
  auto add = [&](const char* flag, const auto& value) {
    arguments.emplace_back(flag);
    arguments.push_back(fmt::format("{}", value));
  };
  add("--target", target);
  add("--clients", settings.clients);
  add("--seconds", settings.seconds);
  add("--clean-seconds", settings.clean_seconds);
  add("--rate", settings.rate);
  add("--seed", settings.seed);
  add("--store", place.path("store"));
  add("--ledger", place.path("bank.db"));
  add("--least-paid", settings.least_paid);
  add("--least-replays", settings.least_replays);
  add("--least-conflicts", settings.least_conflicts);
  add("--least-contended", settings.least_contended);
  return child{programs / "storefront-load", std::move(arguments), child::output::inherited};
}

// The load's exit code, or nothing when a signal came first.
std::optional<int> run_load(child& load, const signals& stop) {
  while (load.running()) {
    if (stop.within(100ms)) return std::nullopt;
  }
  const exit_status ended = load.wait();
  if (ended.signal != 0) throw startup_error{fmt::format("the load {}", ended.text())};
  return ended.code;
}

int run(const config& settings) {
  const signals stop;
  const fs::path programs = fs::read_symlink("/proc/self/exe").parent_path();
  bool kept = true;
  if (settings.tour) {
    fmt::print("One line for each concept, with what really happened:\n");
    kept = give_tour(programs);
  }

  const workplace place{settings.store};
  child bank = start_bank(programs, settings, place);
  const std::string bank_url = url_of(bank, "storefront-bank");
  child shop = start_storefront(programs, settings, place, bank_url);
  const std::string shop_url = url_of(shop, "storefront");
  fmt::print("\nThe storefront serves at {}, its bank at {} ({} % of its calls misbehave after {} s).\n", shop_url,
             bank_url, settings.faults, settings.clean_seconds);
  std::fflush(stdout);

  std::optional<int> code;
  {
    child load = start_load(programs, settings, place, shop_url);
    code = run_load(load, stop);
  }
  if (code && !settings.once) {
    fmt::print("\nServing at {} until Ctrl-C.\n", shop_url);
    std::fflush(stdout);
    while (shop.running() && !stop.within(500ms)) {
    }
  }
  const exit_status shop_ended = shop.end(end_patience);
  bank.end(end_patience);
  if (!shop_ended.fine()) throw startup_error{fmt::format("the storefront {}", shop_ended.text())};
  if (!code) return 128 + SIGINT;
  return *code == 0 && !kept ? EXIT_FAILURE : *code;
}

}  // namespace
}  // namespace storefront::run

int main(int argc, char** argv) {
  const auto settings = storefront::run::read_command_line(argc, argv);
  try {
    return storefront::run::run(settings);
  } catch (const storefront::startup_error& error) {
    fmt::print(stderr, "storefront-run: {}\n", error.what());
    return storefront::startup_error::exit_code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "storefront-run: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
