#pragma once

#include <heddle/http/client.hpp>
#include <heddle/http/server.hpp>
#include <heddle/io/event_loop.hpp>
#include <heddle/sync/guarded.hpp>
#include <heddle/sync/semaphore.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// What the tests of the service need: the program as a process, a bank that misbehaves when told, and a client.
namespace storefront::test {

using nlohmann::json;

/// A folder of the test's own, removed at the end.
class scratch_folder {
 public:
  scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Looks again and again, for at most a minute, until `holds()`.
[[nodiscard]] bool eventually(const std::function<bool()>& holds);

/// A program that runs beside the test. It is killed when this is destroyed.
class program {
 public:
  /// Starts `command[0]` with the rest as its arguments; what it writes goes to files.
  explicit program(const std::vector<std::string>& command);
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program();

  void signal(int number) const;
  /// Waits for its end. Gives its exit code; minus the signal's number when a signal ended it.
  int wait();
  [[nodiscard]] bool has_ended();
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string errors() const;
  [[nodiscard]] int process() const noexcept { return process_; }

 private:
  scratch_folder folder_;
  int process_ = -1;
  std::optional<int> ended_;
};

/// Runs a command to its end; its exit code and what it wrote.
struct finished {
  int code = 0;
  std::string output;
  std::string errors;
};
[[nodiscard]] finished run(const std::vector<std::string>& command);

/// A bank in a thread of the test: takes money once for each key, and misbehaves as told.
class test_bank {
 public:
  enum class mood : std::uint8_t {
    good,
    refuses,      ///< 402, nothing taken
    fails,        ///< 500, nothing taken
    loses_answer  ///< takes the money, then says 500
  };
  struct taken {
    std::string order_id;
    std::int64_t amount_cents = 0;
  };

  /// @param port 0 for any free one
  explicit test_bank(std::uint16_t port = 0);
  test_bank(const test_bank&) = delete;
  test_bank& operator=(const test_bank&) = delete;
  /// Stops listening and breaks off what is being answered.
  ~test_bank();

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url() const;
  void be(mood now) noexcept { mood_ = now; }
  /// From now on every request waits, until open_gate().
  void close_gate();
  void open_gate();
  /// Requests that wait at the gate.
  [[nodiscard]] int at_gate() const noexcept { return at_gate_; }
  /// By key, what was taken.
  [[nodiscard]] std::map<std::string, taken> charges();
  [[nodiscard]] std::size_t charges_of(std::string_view order_id);

 private:
  heddle::task<heddle::http::response> charge(heddle::http::call& call);
  heddle::task<heddle::http::response> customer(heddle::http::call& call);
  heddle::task<void> pass_gate();

  heddle::io::event_loop loop_{"test bank"};
  std::unique_ptr<heddle::http::server> server_;
  std::uint16_t port_ = 0;
  std::atomic<mood> mood_{mood::good};
  std::atomic<bool> gate_closed_{false};
  std::atomic<int> at_gate_{0};
  heddle::semaphore gate_{0, "bank's gate"};
  heddle::guarded<std::map<std::string, taken>> charges_{std::map<std::string, taken>{}};
  std::thread thread_;
};

/// A client of one host: sends a request and gives the answer.
class browser {
 public:
  explicit browser(std::uint16_t port) : port_{port} {}

  using fields = std::vector<std::pair<std::string, std::string>>;
  heddle::http::response get(std::string target);
  heddle::http::response post(std::string target, std::string body, const fields& more = {});

  /// The same for tasks; they run in run().
  [[nodiscard]] heddle::task<std::expected<heddle::http::response, heddle::http::client_error>> ask(
      std::string method, std::string target, std::string body = {}, const fields& more = {});
  template <class T>
  T run(heddle::task<T> work) {
    return loop_.run(std::move(work));
  }

 private:
  heddle::io::event_loop loop_{"browser"};
  heddle::http::client client_{loop_, {.max_connections = 64}};
  std::uint16_t port_;
};

/// The service as a process, on a free port, with a store of its own.
class service {
 public:
  /// Starts it and waits until it listens. Fails the test when it does not.
  /// @param more further arguments
  service(const std::filesystem::path& store, const std::string& bank_url, const std::vector<std::string>& more = {});

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url() const;
  [[nodiscard]] program& process() noexcept { return *process_; }

  /// kill -9.
  void kill();
  /// SIGTERM; waits for the end and gives the exit code.
  int stop();

 private:
  std::unique_ptr<program> process_;
  std::uint16_t port_ = 0;
};

/// The service with a bank beside it, and a client.
struct storefront_fixture {
  scratch_folder folder;
  test_bank gateway;
  service shop;
  browser web;

  explicit storefront_fixture(const std::vector<std::string>& more = {})
      : shop{folder.path() / "store", gateway.url(), more}, web{shop.port()} {}

  /// A reserved order's id.
  std::string order(std::int64_t product_id = 1, std::int64_t quantity = 1);
  heddle::http::response pay(const std::string& order_id, const std::string& key, const std::string& card = "4242");
  /// A figure of /metrics; -1 when it is not there.
  double figure(std::string_view name);
};

/// Where the service's program is.
[[nodiscard]] std::string service_program();

}  // namespace storefront::test
