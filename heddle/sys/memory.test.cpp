#include <heddle/sys/memory.hpp>

#include <gtest/gtest.h>

#include <cstddef>

namespace heddle::sys {
namespace {

TEST(memory, that_prefers_huge_pages_is_as_empty_and_writable_as_any_other) {
  constexpr std::size_t bytes = std::size_t{8} << 20U;
  auto* const all = static_cast<char*>(reserve_private(bytes));
  all[0] = 'a';
  prefer_huge_pages(all + 100, bytes - 300);
  prefer_huge_pages(all, 10);
  prefer_huge_pages(all, 0);
  EXPECT_EQ(all[0], 'a');
  for (std::size_t i = 1; i < bytes; i += 4'001) {
    EXPECT_EQ(all[i], 0);
    all[i] = 'b';
  }
  EXPECT_EQ(all[bytes - 1], 0);
}

}  // namespace
}  // namespace heddle::sys
