// Thousands of idle connections, clients that are too slow, and far more requests than can be served.

#include <storefront/base/descriptors.hpp>
#include <storefront/run/whole_support.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

namespace storefront::run::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// A connection that does what it is told, byte by byte.
class raw_connection {
 public:
  explicit raw_connection(std::uint16_t port) : socket_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_ = socket_ >= 0 && connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  raw_connection(raw_connection&& other) noexcept : socket_{std::exchange(other.socket_, -1)}, open_{other.open_} {}
  raw_connection& operator=(raw_connection&&) = delete;
  ~raw_connection() {
    if (socket_ >= 0) close(socket_);
  }

  [[nodiscard]] bool open() const noexcept { return open_; }
  void send(std::string_view bytes) const { (void)::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  /// What comes until the other side closes, or until a minute is over.
  [[nodiscard]] std::string read_to_the_end() const {
    std::string all;
    pollfd wanted{socket_, POLLIN, 0};
    while (poll(&wanted, 1, 60'000) > 0) {
      char buffer[4096];
      const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
      if (count <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(count));
    }
    ADD_FAILURE() << "the connection stays open";
    return all;
  }

 private:
  int socket_;
  bool open_ = false;
};

/// The storefront and its bank on a scratch folder.
struct storefront_crowd : testing::Test {
  scratch_folder folder;
  child bank = start("storefront-bank", {"--listen", "127.0.0.1:0", "--ledger", folder.file("bank.db")});
  child shop = start("storefront", {"--listen", "127.0.0.1:0", "--store", folder.file("store"), "--bank",
                                    fmt::format("http://127.0.0.1:{}", port_of(bank)), "--stock", "1000000"});
  std::uint16_t port = port_of(shop);
  visitor web{port};
};

TEST_F(storefront_crowd, ten_thousand_idle_connections_take_bounded_memory_and_hurt_nobody) {
  constexpr std::size_t many = 10'000;
  constexpr std::uint64_t most_bytes_each = slowness == 1 ? 8'192 : 65'536;
  allow_many_descriptors();
  ASSERT_NE(web.order(), "");
  const std::uint64_t before = resident_bytes(shop.pid());
  std::vector<raw_connection> idle;
  for (std::size_t i = 0; i < many; ++i) {
    idle.emplace_back(port);
    ASSERT_TRUE(idle.back().open()) << "connection " << i;
    if (i % 2 == 1) idle.back().send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");  // was served once, and stays
  }
  ASSERT_TRUE(eventually([&] { return web.figure("storefront_connections") >= many; }));
  const std::uint64_t grown = resident_bytes(shop.pid()) - before;
  fmt::print("{} idle connections: {} KiB resident before, {} KiB more, {} bytes each\n", many, before / 1024,
             grown / 1024, grown / many);
  RecordProperty("bytes_each", static_cast<int>(grown / many));
  ASSERT_GT(before, 0U);
  EXPECT_LE(grown, many * most_bytes_each);

  const auto asked = clock::now();
  const std::string order = web.order();
  ASSERT_NE(order, "");
  const auto paid = web.pay(order, "key");
  ASSERT_TRUE(paid);
  EXPECT_EQ(paid->status, 200U);
  EXPECT_LT(clock::now() - asked, 2s * slowness);

  idle.clear();
  EXPECT_TRUE(eventually([&] { return web.figure("storefront_connections") < 10; })) << "they are let go";
}

TEST_F(storefront_crowd, clients_that_are_too_slow_are_cut_off) {
  std::vector<raw_connection> slow;
  for (int i = 0; i < 50; ++i) {
    slow.emplace_back(port).send(i % 2 == 0 ? "POST /orders HTTP/1.1\r\nHos"
                                            : "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{");
  }
  EXPECT_NE(web.order(), "") << "the others do not notice";
  for (const raw_connection& one : slow) EXPECT_TRUE(one.read_to_the_end().starts_with("HTTP/1.1 408 "));
}

TEST_F(storefront_crowd, overload_is_shed_with_503_and_the_service_recovers) {
  child load = start("storefront-load", {"--target", fmt::format("http://127.0.0.1:{}", port), "--seconds", "4",
                                         "--clients", "3000", "--rate", std::to_string(40'000 / slowness), "--store",
                                         folder.file("store"), "--ledger", folder.file("bank.db")});
  EXPECT_TRUE(eventually([&] { return web.figure("storefront_requests_shed_total") >= 100; }));
  const auto health = web.get("/healthz");
  ASSERT_TRUE(health) << "it says that it lives, also now";
  EXPECT_EQ(health->status, 200U);
  const finished ended = read_to_the_end(load);
  const json figures = ended.figures();
  ASSERT_TRUE(figures.is_object()) << testing::PrintToString(ended.lines);
  EXPECT_EQ(ended.ended.code, 3) << "so many requests were shed that the load proves nothing; " << figures;
  EXPECT_EQ(figures.at("invariants"), "held") << testing::PrintToString(ended.lines);
  EXPECT_GT(figures.at("ok"), 0);

  const auto asked = clock::now();
  const std::string order = web.order();
  ASSERT_NE(order, "");
  const auto paid = web.pay(order, "key");
  ASSERT_TRUE(paid);
  EXPECT_EQ(paid->status, 200U);
  EXPECT_LT(clock::now() - asked, 2s * slowness) << "it has recovered";
}

}  // namespace
}  // namespace storefront::run::test
