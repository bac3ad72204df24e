#include <storefront/service/test_support.hpp>

#include <heddle/task/sync_wait.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace storefront::test {

namespace http = heddle::http;
using namespace std::chrono_literals;

namespace {

std::string contents_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

http::response answer_or_failure(std::expected<http::response, http::client_error> said) {
  if (said) return *std::move(said);
  ADD_FAILURE() << said.error().text;
  http::response none;
  none.status = 0;
  return none;
}

}  // namespace

scratch_folder::scratch_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "storefront-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool eventually(const std::function<bool()>& holds) {
  const heddle::deadline limit = heddle::deadline::after(60s);
  while (!holds()) {
    if (limit.has_passed()) return false;
    std::this_thread::yield();
  }
  return true;
}

program::program(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int how = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, (folder_.path() / "out").c_str(), how, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (folder_.path() / "err").c_str(), how, 0600);
  const int failed = posix_spawnp(&process_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    ADD_FAILURE() << "cannot start " << command[0];
    std::abort();
  }
}

program::~program() {
  if (ended_) return;
  signal(SIGKILL);
  wait();
}

void program::signal(int number) const { ::kill(process_, number); }

int program::wait() {
  if (!ended_) {
    int status = 0;
    while (waitpid(process_, &status, 0) < 0) {
    }
    ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return *ended_;
}

bool program::has_ended() {
  int status = 0;
  if (!ended_ && waitpid(process_, &status, WNOHANG) == process_) {
    ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return ended_.has_value();
}

std::string program::output() const { return contents_of(folder_.path() / "out"); }
std::string program::errors() const { return contents_of(folder_.path() / "err"); }

finished run(const std::vector<std::string>& command) {
  program started{command};
  const int code = started.wait();
  return {code, started.output(), started.errors()};
}

test_bank::test_bank(std::uint16_t port) {
  http::router routes;
  routes.add("POST", "/charges", [this](http::call& call) { return charge(call); });
  routes.add("GET", "/customers/{id}", [this](http::call& call) { return customer(call); });
  server_ = std::make_unique<http::server>(loop_, std::move(routes));
  if (auto fine = server_->listen("127.0.0.1", port); !fine) {
    ADD_FAILURE() << fine.error().text();
    std::abort();
  }
  port_ = server_->port();
  thread_ = std::thread{[this] { loop_.run(server_->run()); }};
}

test_bank::~test_bank() {
  server_->drain(0ms);
  thread_.join();
}

std::string test_bank::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

void test_bank::close_gate() { gate_closed_ = true; }

void test_bank::open_gate() {
  gate_closed_ = false;
  gate_.release(1'000);
}

heddle::task<void> test_bank::pass_gate() {
  if (!gate_closed_) co_return;
  ++at_gate_;
  const heddle::semaphore_permit passed = co_await gate_.async_acquire();
  --at_gate_;
}

heddle::task<http::response> test_bank::charge(http::call& call) {
  co_await pass_gate();
  const mood now = mood_;
  if (now == mood::refuses) co_return http::problem(402);
  if (now == mood::fails) co_return http::problem(500);
  const json asked = json::parse(call.request.body);
  const std::string key{call.request.headers.get("Idempotency-Key")};
  const taken wanted{asked.at("order_id"), asked.at("amount_cents")};
  const bool again = charges_.with([&](auto& charges) { return !charges.emplace(key, wanted).second; });
  if (now == mood::loses_answer) co_return http::problem(500);
  co_return http::text_response(again ? 200 : 201, "application/json",
                                json{{"charge_id", "charge-" + key}, {"order_id", wanted.order_id}}.dump());
}

heddle::task<http::response> test_bank::customer(http::call& call) {
  co_await pass_gate();
  const std::string id{call.value("id")};
  if (id == "404") co_return http::problem(404);
  if (mood_ != mood::good) co_return http::problem(500);
  co_return http::text_response(200, "application/json", json{{"id", std::stoll(id)}, {"name", "Ann " + id}}.dump());
}

std::map<std::string, test_bank::taken> test_bank::charges() {
  return charges_.with([](auto& charges) { return charges; });
}

std::size_t test_bank::charges_of(std::string_view order_id) {
  std::size_t found = 0;
  for (const auto& [key, one] : charges()) found += one.order_id == order_id ? 1 : 0;
  return found;
}

heddle::task<std::expected<http::response, http::client_error>> browser::ask(std::string method, std::string target,
                                                                             std::string body, const fields& more) {
  http::request sent;
  sent.method = std::move(method);
  sent.target = std::move(target);
  sent.body = std::move(body);
  for (const auto& [name, value] : more) sent.headers.add(name, value);
  return client_.send("127.0.0.1", port_, std::move(sent), {.until = heddle::deadline::after(30s)});
}

http::response browser::get(std::string target) { return answer_or_failure(run(ask("GET", std::move(target)))); }

http::response browser::post(std::string target, std::string body, const fields& more) {
  return answer_or_failure(run(ask("POST", std::move(target), std::move(body), more)));
}

service::service(const std::filesystem::path& store, const std::string& bank_url,
                 const std::vector<std::string>& more) {
  std::vector<std::string> command{service_program(), "--listen", "127.0.0.1:0", "--store",
                                   store.string(),    "--bank",   bank_url};
  command.insert(command.end(), more.begin(), more.end());
  process_ = std::make_unique<program>(command);
  const bool ready = eventually([&] { return process_->has_ended() || process_->output().ends_with('\n'); });
  const std::string line = process_->output();
  const std::size_t colon = line.rfind(':');
  if (!ready || process_->has_ended() || colon == std::string::npos) {
    ADD_FAILURE() << "the service does not start: " << process_->errors();
    std::abort();
  }
  port_ = static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1)));
}

std::string service::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

void service::kill() {
  process_->signal(SIGKILL);
  process_->wait();
}

int service::stop() {
  process_->signal(SIGTERM);
  return process_->wait();
}

std::string storefront_fixture::order(std::int64_t product_id, std::int64_t quantity) {
  const http::response made =
      web.post("/orders", json{{"customer_id", 7}, {"product_id", product_id}, {"quantity", quantity}}.dump());
  EXPECT_EQ(made.status, 201U) << made.body;
  return made.status == 201 ? json::parse(made.body).at("id").get<std::string>() : std::string{};
}

http::response storefront_fixture::pay(const std::string& order_id, const std::string& key, const std::string& card) {
  return web.post("/orders/" + order_id + "/pay", json{{"card", card}}.dump(), {{"Idempotency-Key", key}});
}

double storefront_fixture::figure(std::string_view name) {
  const std::string all = '\n' + web.get("/metrics").body;
  const std::size_t at = all.find(fmt::format("\n{} ", name));
  return at == std::string::npos ? -1 : std::stod(all.substr(at + name.size() + 2));
}

std::string service_program() { return HEDDLE_STOREFRONT_PROGRAM; }

}  // namespace storefront::test
