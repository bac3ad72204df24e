#include <storefront/run/whole_support.hpp>

#include <heddle/base/deadline.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace storefront::run::test {

namespace fs = std::filesystem;
namespace http = heddle::http;
using namespace std::chrono_literals;

namespace {

std::string contents_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

scratch_folder::scratch_folder() {
  std::string name = (fs::temp_directory_path() / "storefront-whole-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

bool eventually(const std::function<bool()>& holds) {
  const heddle::deadline limit = heddle::deadline::after(120s);
  while (!holds()) {
    if (limit.has_passed()) return false;
    poll(nullptr, 0, 10);  // leaves the processor to the programs that are waited for
  }
  return true;
}

child start(const char* name, std::vector<std::string> arguments) {
  return child{fs::path{STOREFRONT_PROGRAMS} / name, std::move(arguments), child::output::read_here};
}

std::uint16_t port_of(child& server) {
  const auto line = server.read_line(60s);
  const std::size_t at = line ? line->rfind(':') : std::string::npos;
  std::uint16_t port = 0;
  if (at != std::string::npos) std::from_chars(line->data() + at + 1, line->data() + line->size(), port);
  if (port == 0) ADD_FAILURE() << "it does not listen: " << line.value_or("nothing was said");
  return port;
}

bool finished::says(std::string_view text) const {
  for (const std::string& line : lines) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

json finished::figures() const {
  return lines.empty() ? json(json::value_t::discarded) : json::parse(lines.back(), nullptr, false);
}

finished read_to_the_end(child& program) {
  finished seen;
  while (auto line = program.read_line(300s)) seen.lines.push_back(*std::move(line));
  seen.ended = program.wait();
  return seen;
}

finished run(const char* name, std::vector<std::string> arguments) {
  child program = start(name, std::move(arguments));
  return read_to_the_end(program);
}

bool somebody_runs_with(std::string_view text) {
  std::error_code gone;
  for (const auto& process : fs::directory_iterator{"/proc"}) {
    if (contents_of(process.path() / "cmdline").find(text) != std::string::npos) return true;
  }
  return false;
}

std::uint64_t resident_bytes(pid_t process) {
  std::istringstream status{contents_of(fmt::format("/proc/{}/status", process))};
  for (std::string word; status >> word;) {
    std::uint64_t kilobytes = 0;
    if (word == "VmRSS:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

std::optional<http::response> visitor::ask(std::string method, std::string target, std::string body,
                                           const fields& more) {
  http::request message;
  message.method = std::move(method);
  message.target = std::move(target);
  if (!body.empty()) message.headers.add("Content-Type", "application/json");
  for (const auto& [name, value] : more) message.headers.add(name, value);
  message.body = std::move(body);
  auto came = loop_.run(
      client_.send("127.0.0.1", port_, std::move(message), {.until = heddle::deadline::after(10s * slowness)}));
  if (!came) return std::nullopt;
  return *std::move(came);
}

std::optional<http::response> visitor::pay(const std::string& order, const std::string& key) {
  return ask("POST", fmt::format("/orders/{}/pay", order), R"({"card":"card-4242"})", {{"Idempotency-Key", key}});
}

std::string visitor::order() {
  const auto made = ask("POST", "/orders", R"({"customer_id":1,"product_id":50,"quantity":1})");
  return made && made->status == 201 ? json::parse(made->body).value("id", "") : "";
}

std::string visitor::state_of(const std::string& order) {
  const auto found = get("/orders/" + order);
  return found && found->status == 200 ? json::parse(found->body).value("state", "") : "";
}

double visitor::figure(std::string_view name) {
  const auto all = get("/metrics");
  if (!all) return -1;
  std::istringstream lines{all->body};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(fmt::format("{} ", name))) return std::strtod(line.c_str() + name.size(), nullptr);
  }
  return -1;
}

}  // namespace storefront::run::test
