#pragma once

#include <storefront/run/child.hpp>

#include <heddle/http/client.hpp>
#include <heddle/io/event_loop.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the tests of the whole need: the real programs on scratch folders, and a client to ask them.
namespace storefront::run::test {

using nlohmann::json;

/// About how much slower the programs are in this build than in a plain one.
inline constexpr int slowness = STOREFRONT_SLOWNESS;

/// A folder of the test's own, removed at the end.
class scratch_folder {
 public:
  scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Looks again and again, for at most two minutes, until `holds()`.
[[nodiscard]] bool eventually(const std::function<bool()>& holds);

/// Starts one of the storefront's programs; what it prints is read here.
[[nodiscard]] child start(const char* name, std::vector<std::string> arguments);

/// The port in the line with which a server says that it listens; fails the test and gives 0 when it does not come.
[[nodiscard]] std::uint16_t port_of(child& server);

/// A program that has ended, and what it printed.
struct finished {
  exit_status ended;
  std::vector<std::string> lines;

  [[nodiscard]] bool says(std::string_view text) const;
  /// The last line as JSON; discarded when it is none.
  [[nodiscard]] json figures() const;
};
[[nodiscard]] finished read_to_the_end(child& program);
[[nodiscard]] finished run(const char* name, std::vector<std::string> arguments);

/// Whether a process runs whose command line contains `text`.
[[nodiscard]] bool somebody_runs_with(std::string_view text);

/// Resident memory of a process in bytes; 0 when it cannot be read.
[[nodiscard]] std::uint64_t resident_bytes(pid_t process);

/// Asks one host, one thing after another.
class visitor {
 public:
  explicit visitor(std::uint16_t port) : port_{port} {}

  using fields = std::vector<std::pair<std::string, std::string>>;
  /// The answer; nothing when there was none within ten seconds.
  [[nodiscard]] std::optional<heddle::http::response> ask(std::string method, std::string target, std::string body = {},
                                                          const fields& more = {});
  [[nodiscard]] std::optional<heddle::http::response> get(std::string target) { return ask("GET", std::move(target)); }
  [[nodiscard]] std::optional<heddle::http::response> pay(const std::string& order, const std::string& key);
  /// Orders a piece; the order's id, or an empty text.
  [[nodiscard]] std::string order();
  [[nodiscard]] std::string state_of(const std::string& order);
  /// A figure of /metrics; -1 when it is not there.
  [[nodiscard]] double figure(std::string_view name);

 private:
  heddle::io::event_loop loop_{"visitor"};
  heddle::http::client client_{loop_};
  std::uint16_t port_;
};

}  // namespace storefront::run::test
