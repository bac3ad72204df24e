#include <storefront/base/address.hpp>

#include <gtest/gtest.h>

namespace storefront {
namespace {

TEST(storefront_address, reads_hosts_and_ports) {
  const auto plain = parse_address("127.0.0.1:8080");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 8080);
  EXPECT_EQ(plain->text(), "127.0.0.1:8080");
  const auto six = parse_address("[::1]:0");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->text(), "[::1]:0");
}

TEST(storefront_address, refuses_what_is_neither) {
  for (const char* text :
       {"", ":", "8080", ":8080", "localhost", "localhost:", "localhost:70000", "localhost:80x", "::1:8080", "[]:80"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(storefront_address, reads_urls) {
  EXPECT_EQ(parse_http_url("http://localhost:9000/")->text(), "localhost:9000");
  EXPECT_EQ(parse_http_url("http://127.0.0.1")->port, 80);
  EXPECT_EQ(parse_http_url("http://[::1]:7")->text(), "[::1]:7");
  EXPECT_FALSE(parse_http_url("https://localhost:1"));
  EXPECT_FALSE(parse_http_url("http://"));
  EXPECT_FALSE(parse_http_url("http://localhost:9000/path"));
}

}  // namespace
}  // namespace storefront
