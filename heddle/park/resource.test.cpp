#include <heddle/park/resource.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace heddle {
namespace {

TEST(resource, every_kind_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  constexpr auto last = static_cast<unsigned>(resource_kind::shared_mutex);
  for (unsigned kind = 0; kind <= last; ++kind) {
    names.insert(to_string(static_cast<resource_kind>(kind)));
  }
  EXPECT_EQ(names.size(), last + 1);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(to_string(resource_kind::condition), "condition");
  EXPECT_EQ(to_string(resource_kind::other), "other");
  EXPECT_EQ(to_string(static_cast<resource_kind>(last)), "shared_mutex");
}

}  // namespace
}  // namespace heddle
