#include <storefront/base/json_body.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace storefront {
namespace {

using nlohmann::json;

TEST(storefront_json_body, a_body_that_is_no_object_is_malformed) {
  for (const char* body : {"", "{", "[1]", "7", "{\"a\":}", "\xff", "{}{}"}) {
    const auto found = parse_object(body);
    ASSERT_FALSE(found) << body;
    EXPECT_EQ(found.error().status, 400U) << body;
    EXPECT_EQ(found.error().headers.get("Content-Type"), "application/problem+json");
  }
  EXPECT_TRUE(parse_object("{\"a\":1}"));
}

TEST(storefront_json_body, an_integer_is_within_its_range) {
  const json object = json::parse(R"({"low":0,"good":3,"huge":18446744073709551615,"float":1.0,"text":"1"})");
  EXPECT_EQ(integer_member(object, "good", 1, 10), 3);
  for (const char* name : {"low", "huge", "float", "text", "missing"}) {
    const auto found = integer_member(object, name, 1, 10);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().status, 422U) << name;
  }
}

TEST(storefront_json_body, a_text_is_neither_empty_nor_too_long) {
  const json object = json::parse(R"({"good":"abc","empty":"","long":"abcdef","number":1})");
  EXPECT_EQ(text_member(object, "good", 5), "abc");
  for (const char* name : {"empty", "long", "number", "missing"}) EXPECT_FALSE(text_member(object, name, 5)) << name;
}

TEST(storefront_json_body, text_cannot_break_out_of_its_quotes) { EXPECT_EQ(json_text("a\"b\\\n"), R"("a\"b\\\n")"); }

}  // namespace
}  // namespace storefront
