#include <heddle/watch/internal/symbols.hpp>

#include <dlfcn.h>
#include <gtest/gtest.h>

namespace heddle {
namespace {

[[gnu::noinline]] const void* where_it_returns() { return __builtin_return_address(0); }

TEST(symbols, find_what_was_loaded_later) {
  const void* const here = where_it_returns();
  EXPECT_TRUE(watch::place_of(here).starts_with("tests/loaded_later/symbols.test.cpp:")) << watch::place_of(here);

  void* const object = dlopen(HEDDLE_LOADED_LATER, RTLD_NOW);
  ASSERT_NE(object, nullptr) << dlerror();
  using asked = const void* (*)();
  const auto place = reinterpret_cast<asked>(dlsym(object, "place_in_loaded_object"));
  ASSERT_NE(place, nullptr);
  EXPECT_EQ(watch::place_of(place()), "tests/loaded_later/place.cpp:12 (place_in_loaded_object)");
  EXPECT_TRUE(watch::place_of(here).starts_with("tests/loaded_later/symbols.test.cpp:"));
}

}  // namespace
}  // namespace heddle
