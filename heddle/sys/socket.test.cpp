#include <heddle/sys/socket.hpp>

#include <gtest/gtest.h>

#include <string>

namespace heddle::sys {
namespace {

TEST(socket_address, addresses_of_both_families_are_read_and_written) {
  EXPECT_EQ(address_text(parse_address("127.0.0.1", 80).value()), "127.0.0.1:80");
  EXPECT_EQ(address_text(parse_address("localhost", 0).value()), "127.0.0.1:0");
  EXPECT_EQ(address_text(parse_address("::1", 8080).value()), "[::1]:8080");
  EXPECT_EQ(address_text(parse_address("[2001:db8::7]", 65535).value()), "[2001:db8::7]:65535");
  EXPECT_EQ(address_port(parse_address("::1", 8080).value()), 8080);
}

TEST(socket_address, names_and_nonsense_are_not_looked_up) {
  for (const char* host : {"", "example.com", "127.0.0.1.2", "127.0.0", "[::1", ":::", "1.2.3.4 ", "[]"}) {
    EXPECT_EQ(parse_address(host, 1).error(), std::errc::invalid_argument) << host;
  }
  EXPECT_FALSE(parse_address(std::string(1000, '1'), 1));
  EXPECT_FALSE(parse_address(std::string_view{"127.0.0.1\0.2", 12}, 1));
}

}  // namespace
}  // namespace heddle::sys
