#include <heddle/watch/internal/symbols.hpp>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>
#include <source_location>
#include <string>
#include <thread>
#include <vector>

#include <heddle/park/internal/long_wait.hpp>
#include <heddle/park/internal/picture.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/sys/code.hpp>
#include <tests/support/waiting.hpp>

namespace heddle {
namespace {

using watch::place_of;
using watch::places_of;
using watch::short_name;

[[gnu::noinline]] const void* where_it_returns() { return __builtin_return_address(0); }

std::string this_file(unsigned line) { return "heddle/watch/internal/symbols.test.cpp:" + std::to_string(line); }

[[gnu::noinline]] std::string asks_for_its_place(unsigned& line) {
  line = std::source_location::current().line() + 1;
  const void* const at = where_it_returns();
  return place_of(at);
}

TEST(symbols, name_the_line_and_the_function) {
  unsigned line = 0;
  const std::string place = asks_for_its_place(line);
  EXPECT_EQ(place, this_file(line) + " (asks_for_its_place)");
  EXPECT_EQ(asks_for_its_place(line), place);
}

// Notes where it was taken, as a mutex does; virtual, so that it is called wherever its guard is inlined.
struct noting_lock {
  virtual ~noting_lock() = default;
  virtual void lock() noexcept { taken_at = __builtin_return_address(0); }
  virtual void unlock() noexcept {}
  const void* taken_at = nullptr;
};

// Inlines the guard also where the compiler does not optimise.
[[gnu::noinline, gnu::flatten]] unsigned takes_with_a_guard(noting_lock& lock) {
  const unsigned line = std::source_location::current().line() + 1;
  const std::lock_guard held{lock};
  return line;
}

TEST(symbols, name_a_guard_that_was_not_inlined_as_it_is_included) {
  noting_lock lock;
  using guard = std::lock_guard<noting_lock>;
  static guard* (*volatile make)(void*, noting_lock&) = [](void* room, noting_lock& of) {
    return new (room) guard{of};
  };
  alignas(guard) std::array<std::byte, sizeof(guard)> room{};
  make(room.data(), lock)->~guard();
  const std::string place = place_of(lock.taken_at);
  EXPECT_TRUE(place.starts_with("bits/std_mutex.h:") || place.starts_with("heddle/watch/")) << place;
}

TEST(symbols, skip_inlined_guards) {
  noting_lock lock;
  const unsigned line = takes_with_a_guard(lock);
  EXPECT_EQ(place_of(lock.taken_at), this_file(line) + " (takes_with_a_guard)");
}

TEST(symbols, name_the_object_where_there_is_no_debug_information) {
  // The kernel's own object has none, on any machine.
  void* const vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
  ASSERT_NE(vdso, nullptr);
  const auto* const address = static_cast<const char*>(dlsym(vdso, "__vdso_clock_gettime"));
  ASSERT_NE(address, nullptr);
  const std::string place = place_of(address + 1);
  EXPECT_TRUE(place.starts_with("linux-vdso.so.1+0x")) << place;
  EXPECT_TRUE(place.ends_with("clock_gettime)")) << place;
}

TEST(symbols, name_the_address_of_what_is_no_code) {
  static const int data = 0;
  EXPECT_EQ(place_of(nullptr), "");
  EXPECT_EQ(place_of(reinterpret_cast<const void*>(0x1235)), "0x1234");
  EXPECT_NE(place_of(&data), "");
}

int calls = 0;  // counted behind each call, so that none is the last thing its caller does

[[gnu::noinline]] void inner(std::vector<std::string>& out) {
  std::array<const void*, 24> stack{};
  const std::size_t n = sys::call_stack(stack);
  out = places_of(std::span{stack}.first(n));
  ++calls;
}

[[gnu::noinline]] unsigned outer(std::vector<std::string>& out) {
  const std::function<void()> through_the_library = [&out] {
    inner(out);
    ++calls;
  };
  through_the_library();
  ++calls;
  return std::source_location::current().line() - 5;
}

TEST(symbols, of_a_stack_are_the_users_functions) {
  std::vector<std::string> stack;
  const unsigned line_of_call = outer(stack);
  ASSERT_GE(stack.size(), 3U);
  EXPECT_TRUE(stack[0].ends_with("(inner)")) << stack[0];
  EXPECT_TRUE(stack[1].starts_with(this_file(line_of_call))) << stack[1];  // its name depends on what was inlined
  EXPECT_TRUE(stack[2].ends_with("(outer)")) << stack[2];
  for (const std::string& each : stack) {
    EXPECT_EQ(each.find("std_function.h"), std::string::npos) << each;
    EXPECT_EQ(each.find("libc.so"), std::string::npos) << each;
  }
}

[[gnu::noinline]] void waits_for_long(semaphore& s) {
  const auto permit = s.acquire();
  ++calls;
}

TEST(symbols, of_a_thread_that_has_waited_for_long_name_where_it_waits) {
  semaphore none{0};
  const std::jthread waiter{[&] { waits_for_long(none); }};
  std::vector<std::string> stack;
  ASSERT_TRUE(test::eventually([&] {
    for (const park::agent_view& view : park::picture::take().agents) {
      if (!view.waits || view.wait.resource != &none) continue;
      stack = places_of(park::stack_of(view.wait.agent, view.generation));
    }
    return !stack.empty();
  }));
  EXPECT_TRUE(stack[0].ends_with("(waits_for_long)")) << stack[0];
  EXPECT_TRUE(stack[0].starts_with("heddle/watch/internal/symbols.test.cpp:")) << stack[0];
  none.release();
}

TEST(symbols, are_shortened) {
  EXPECT_EQ(short_name("main"), "main");
  EXPECT_EQ(short_name("shop::reserve(int, std::string const&)"), "reserve");
  EXPECT_EQ(short_name("void shop::reserve<std::vector<int>, 3>(int (*)(long))"), "reserve");
  EXPECT_EQ(short_name("shop::(anonymous namespace)::orders::place() const"), "place");
  EXPECT_EQ(short_name("shop::orders::~orders()"), "~orders");
  EXPECT_EQ(short_name("shop::total(std::span<int const>) (.resume)"), "total");
  EXPECT_EQ(short_name("main::$_0::operator()() const"), "lambda in main");
  EXPECT_EQ(short_name("shop::run(int)::{lambda(auto:1)#1}::operator()<int>(int) const"), "lambda in run");
  EXPECT_EQ(short_name("shop::orders::run(int) const::{lambda()#2}::operator()() const"), "lambda in run");
  EXPECT_EQ(short_name("shop::less::operator()(int, int) const"), "less::operator()");
  EXPECT_EQ(short_name("shop::operator<<(std::ostream&, int)"), "operator<<");
  EXPECT_EQ(short_name("operator new(unsigned long)"), "operator new");
  EXPECT_EQ(short_name("std::pair<int, int> shop::both[abi:cxx11]()"), "both");
  EXPECT_EQ(short_name(""), "");
}

}  // namespace
}  // namespace heddle
