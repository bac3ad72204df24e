#include <heddle/http/headers.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

using heddle::http::equal_ignoring_case;
using heddle::http::headers;

std::string text(const headers& fields) {
  std::string out;
  for (const auto [name, value] : fields) out.append(name).append("=").append(value).append(";");
  return out;
}

TEST(headers, keep_their_order_and_repetitions) {
  headers fields;
  EXPECT_TRUE(fields.empty());
  fields.add("B", "1");
  fields.add("a", "2");
  fields.add("b", "3");
  EXPECT_EQ(text(fields), "B=1;a=2;b=3;");
  EXPECT_EQ(fields.size(), 3U);
  EXPECT_EQ(fields[1].name, "a");
}

TEST(headers, names_compare_without_case) {
  headers fields;
  fields.add("Content-Type", "x");
  EXPECT_EQ(fields.find("content-TYPE"), "x");
  EXPECT_TRUE(fields.contains("CONTENT-TYPE"));
  EXPECT_FALSE(fields.find("content-typ").has_value());
  EXPECT_EQ(fields.get("other"), "");
  EXPECT_EQ(fields.get("other", "none"), "none");
  EXPECT_TRUE(equal_ignoring_case("aZ[", "Az["));
  EXPECT_FALSE(equal_ignoring_case("@", "`")) << "only letters have a case";
  EXPECT_FALSE(equal_ignoring_case("a", "ab"));
}

TEST(headers, find_gives_the_first_and_count_counts_all) {
  headers fields;
  fields.add("X", "1");
  fields.add("x", "2");
  EXPECT_EQ(fields.find("x"), "1");
  EXPECT_EQ(fields.count("X"), 2U);
  EXPECT_EQ(fields.count("Y"), 0U);
}

TEST(headers, set_leaves_one_field_at_the_first_place) {
  headers fields;
  fields.add("X", "1");
  fields.add("Y", "2");
  fields.add("x", "3");
  fields.set("x", "four");
  EXPECT_EQ(text(fields), "x=four;Y=2;");
  fields.set("Z", "5");
  EXPECT_EQ(text(fields), "x=four;Y=2;Z=5;");
}

TEST(headers, erase_removes_every_field_of_the_name) {
  headers fields;
  fields.add("X", "1");
  fields.add("Y", "2");
  fields.add("x", "3");
  EXPECT_EQ(fields.erase("X"), 2U);
  EXPECT_EQ(fields.erase("X"), 0U);
  EXPECT_EQ(text(fields), "Y=2;");
  fields.clear();
  EXPECT_TRUE(fields.empty());
  EXPECT_FALSE(fields.contains("Y"));
}

TEST(headers, a_field_may_be_made_of_another_ones_text) {
  headers fields;
  fields.add("X", "a value long enough to make the buffer grow when it is doubled");
  for (int i = 0; i < 6; ++i) fields.add("Copy", fields[0].value);
  fields.set("Copy", fields[0].value);
  EXPECT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields[1].value, fields[0].value);
}

TEST(headers, has_token_looks_into_lists) {
  headers fields;
  fields.add("Connection", "TE,\t Close ,");
  fields.add("connection", "upgrade");
  EXPECT_TRUE(fields.has_token("connection", "close"));
  EXPECT_TRUE(fields.has_token("Connection", "te"));
  EXPECT_TRUE(fields.has_token("connection", "Upgrade"));
  EXPECT_FALSE(fields.has_token("connection", "clos"));
  EXPECT_FALSE(fields.has_token("connection", "keep-alive"));
  EXPECT_FALSE(fields.has_token("other", "close"));
}

TEST(headers, are_equal_if_names_values_and_order_are) {
  headers left;
  headers right;
  EXPECT_EQ(left, right);
  left.add("X", "1");
  EXPECT_NE(left, right);
  right.add("x", "1");
  EXPECT_EQ(left, right);
  left.add("Y", "2");
  right.add("Y", "3");
  EXPECT_NE(left, right);
}

}  // namespace
