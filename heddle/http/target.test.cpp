#include <heddle/http/target.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using namespace heddle::http;
using strings = std::vector<std::string>;
using pairs = std::vector<std::pair<std::string, std::string>>;

TEST(target, splits_path_and_query) {
  const auto parsed = parse_target("/a/b?x=1&y=2");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->path, "/a/b");
  EXPECT_EQ(parsed->segments, (strings{"a", "b"}));
  EXPECT_EQ(parsed->parameters, (pairs{{"x", "1"}, {"y", "2"}}));
  EXPECT_EQ(parsed->parameter("y"), "2");
  EXPECT_FALSE(parsed->parameter("z"));
}

TEST(target, the_root_has_one_empty_segment) {
  for (const char* text : {"/", "", "/?a=b", "?a=b", "http://host", "http://host/", "http://host?a=b"}) {
    const auto parsed = parse_target(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->path, "/") << text;
    EXPECT_EQ(parsed->segments, strings{""}) << text;
  }
}

TEST(target, segments_are_decoded_after_the_split) {
  const auto parsed = parse_target("/orders/7%2F8/%c3%a4+b//");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->path, "/orders/7%2F8/%c3%a4+b//");
  EXPECT_EQ(parsed->segments, (strings{"orders", "7/8", "\xc3\xa4+b", "", ""}));
}

TEST(target, parameters_are_decoded_after_the_split) {
  const auto parsed = parse_target("/?a=b%26c%3Dd&e+f=g+h%2B&i&j=&=k&&l=m=n?/");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->parameters,
            (pairs{{"a", "b&c=d"}, {"e f", "g h+"}, {"i", ""}, {"j", ""}, {"", "k"}, {"l", "m=n?/"}}));
}

TEST(target, the_first_of_repeated_parameters_counts) {
  const auto parsed = parse_target("/?a=1&a=2");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->parameter("a"), "1");
  EXPECT_EQ(parsed->parameters.size(), 2U);
}

TEST(target, an_absolute_target_loses_scheme_and_host) {
  const auto parsed = parse_target("http://host:80/a?b=http://c/");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->path, "/a");
  EXPECT_EQ(parsed->parameter("b"), "http://c/");
}

TEST(target, an_address_inside_the_path_is_path) {
  const auto parsed = parse_target("/go/http://c/");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->path, "/go/http://c/");
}

TEST(target, asterisk_and_authority_are_their_own_path) {
  EXPECT_EQ(parse_target("*")->path, "*");
  EXPECT_EQ(parse_target("host:443")->path, "host:443");
}

TEST(target, broken_encoding_is_refused) {
  for (const char* text : {"/%", "/%4", "/%4g", "/%zz", "/%00", "/a?b=%", "/a?%2=c", "/a?b=%00"}) {
    EXPECT_FALSE(parse_target(text)) << text;
  }
}

TEST(target, percent_encoding_and_decoding_undo_each_other) {
  std::string all;
  for (int c = 1; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_decode(percent_encode(all), true), all);
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a b/\xff"), "a%20b%2F%FF");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
}

}  // namespace
