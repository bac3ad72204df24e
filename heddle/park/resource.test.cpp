#include <heddle/park/resource.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace heddle {
namespace {

TEST(resource, every_kind_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (unsigned kind = 0; kind <= static_cast<unsigned>(resource_kind::other); ++kind) {
    names.insert(to_string(static_cast<resource_kind>(kind)));
  }
  EXPECT_EQ(names.size(), static_cast<unsigned>(resource_kind::other) + 1);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(to_string(resource_kind::condition), "condition");
  EXPECT_EQ(to_string(resource_kind::other), "other");
}

}  // namespace
}  // namespace heddle
