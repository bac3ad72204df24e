#include <heddle/io/tcp_listener.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/task/scope.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

// Counts allocations. A sanitizer brings its own operator new, which must win (hence weak), and a hook instead.
extern "C" [[gnu::weak]] int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                                       void (*)(const volatile void*));

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* made = std::malloc(size != 0 ? size : 1)) return made;
  throw std::bad_alloc{};
}

void count_with_the_sanitizer() {
  if (&__sanitizer_install_malloc_and_free_hooks == nullptr) return;
  __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t) { allocations.fetch_add(1, std::memory_order_relaxed); },
      [](const volatile void*) {});
}

}  // namespace

[[gnu::weak]] void* operator new(std::size_t size) { return counted(size); }
[[gnu::weak]] void* operator new[](std::size_t size) { return counted(size); }
[[gnu::weak]] void operator delete(void* gone) noexcept { std::free(gone); }
[[gnu::weak]] void operator delete[](void* gone) noexcept { std::free(gone); }
[[gnu::weak]] void operator delete(void* gone, std::size_t) noexcept { std::free(gone); }
[[gnu::weak]] void operator delete[](void* gone, std::size_t) noexcept { std::free(gone); }

namespace heddle::io {
namespace {

using namespace std::chrono_literals;

task<void> echo(tcp_stream& stream) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const auto got = co_await stream.read_some(buffer, deadline::after(10min));
    if (!got || *got == 0) co_return;
    (void)co_await stream.write_all(std::span{buffer}.first(*got), deadline::after(10min));
  }
}

TEST(tcp_cost, reading_and_writing_allocate_nothing) {
  count_with_the_sanitizer();
  const std::size_t before = allocations.load();
  event_loop loop;
  EXPECT_GT(allocations.load(), before) << "the count does not work";
  auto listener = tcp_listener::bind(loop, "127.0.0.1", 0).value();
  std::size_t made = 0;
  std::size_t failed = 0;
  auto body = [&]() -> task<void> {
    tcp_stream here = (co_await tcp_stream::connect(loop, "127.0.0.1", listener.port())).value();
    tcp_stream there = (co_await listener.accept()).value();
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn(echo(there));
      std::array<std::byte, 64> buffer{};
      std::stop_source unused;
      for (int round = 0; round < 1100; ++round) {
        if (round == 100) allocations.store(0);  // slots, stacks and caches are there by now
        if (!co_await here.write_all(buffer)) ++failed;
        if (!co_await here.read_some(buffer, deadline::after(1h), unused.get_token())) ++failed;
      }
      made = allocations.load();
      here.close();
    });
  };
  loop.run(body());
  EXPECT_EQ(failed, 0U);
  EXPECT_EQ(made, 0U);
}

}  // namespace
}  // namespace heddle::io
