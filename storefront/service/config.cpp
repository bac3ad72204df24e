#include <storefront/service/config.hpp>

#include <storefront/base/startup_error.hpp>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <map>
#include <string>

namespace storefront {

namespace {

// An option that a parser turns into a value, with the parser's sentence when it cannot.
template <class Value, class Parse>
void add_parsed(CLI::App& app, const std::string& flag, Value& into, Parse parse, const std::string& help) {
  app.add_option_function<std::string>(
      flag,
      [&into, parse](const std::string& text) {
        auto found = parse(text);
        if (!found) throw CLI::ValidationError(found.error());
        into = *std::move(found);
      },
      help);
}

}  // namespace

config read_command_line(int argc, char** argv) {
  config read;
  std::int64_t drain_ms = read.drain.count();
  std::string store = read.store.string();
  CLI::App app{"The storefront: products, orders, payments and receipts over HTTP, on an embedded store."};
  add_parsed(app, "--listen", read.listen, parse_address, "HOST:PORT to serve at; port 0 picks one [127.0.0.1:8080]");
  app.add_option("--store", store, "Folder of the store, made if it is missing")->capture_default_str();
  add_parsed(app, "--bank", read.bank, parse_http_url, "URL of the payment gateway [http://127.0.0.1:8081]");
  app.add_option("--products", read.products, "Products that a new store begins with")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--stock", read.stock, "Pieces of each product that a new store begins with")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
      ->capture_default_str();
  const std::map<std::string, storefront::unsafe> names{
      {"no-lock", unsafe::no_lock}, {"no-idempotency", unsafe::no_idempotency}, {"no-version", unsafe::no_version}};
  app.add_option("--unsafe", read.unsafe, "Leave one protection out, to see what breaks")
      ->transform(CLI::Transformer(names))
      ->option_text("no-lock|no-idempotency|no-version");
  app.add_option("--ready-fd", read.ready_fd, "Descriptor that gets a line when the service listens [standard output]");
  app.add_option("--drain-ms", drain_ms, "The longest that ending may take, in milliseconds")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
  app.add_flag("--verbose", read.verbose, "Log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : startup_error::exit_code);
  }
  read.store = store;
  read.drain = std::chrono::milliseconds{drain_ms};
  return read;
}

}  // namespace storefront
