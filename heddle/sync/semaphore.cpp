// The algorithm is the turnstile's (internal/turnstile.hpp), with the number of permits left as the value.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/internal/turnstile.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/watch/settings.hpp>

namespace heddle {
namespace {

[[maybe_unused]] const bool diagnosed = watch::begin();  // see mutex.cpp

}  // namespace

// [rule]
struct semaphore::rule {
  static constexpr bool shared = true;
  static constexpr bool restartable = false;
  static bool take(std::uint32_t value, std::uint32_t amount, std::uint32_t& after) noexcept {
    after = value - amount;
    return value >= amount;
  }
  static std::uint32_t give(std::uint32_t value, std::uint32_t amount) noexcept {
    if (amount > max_permits - value) too_many();
    return value + amount;
  }
  static sync::turnstile<rule> at(const void* object) noexcept {
    return of(*const_cast<semaphore*>(static_cast<const semaphore*>(object)));
  }
  static sync::turnstile<rule> of(semaphore& s) noexcept { return {s.word_, s.queue_}; }
};
// [/rule]

semaphore_permit& semaphore_permit::operator=(semaphore_permit&& other) noexcept {
  if (this != &other) {
    give_back();
    from_ = std::exchange(other.from_, nullptr);
    count_ = std::exchange(other.count_, 0);
  }
  return *this;
}

void semaphore_permit::give_back() noexcept {
  if (from_ != nullptr) std::exchange(from_, nullptr)->release(std::exchange(count_, 0));
}

semaphore_permit semaphore::acquire(std::uint32_t count, std::source_location site) noexcept {
  if (!rule::of(*this).try_take(checked(count))) [[unlikely]]
    acquire_slow(count, site);
  return {*this, count};
}

void semaphore::acquire_slow(std::uint32_t count, std::source_location site) noexcept {
  (void)rule::of(*this).take(count, resource(), deadline::never(), {}, site);
}

semaphore_permit semaphore::try_acquire(std::uint32_t count) noexcept {
  if (!rule::of(*this).try_take(checked(count))) return {};
  return {*this, count};
}

// [blocking]
std::expected<semaphore_permit, wait_error> semaphore::acquire_until(deadline until, const std::stop_token& stop,
                                                                     std::uint32_t count,
                                                                     std::source_location site) noexcept {
  const auto taken = rule::of(*this).take(checked(count), resource(), until, stop, site);
  if (!taken) return std::unexpected{taken.error()};
  return semaphore_permit{*this, count};
}

void semaphore::release(std::uint32_t count) noexcept {
  if (!rule::of(*this).try_give(count)) [[unlikely]]
    release_slow(count);
}
// [/blocking]

void semaphore::release_slow(std::uint32_t count) noexcept { rule::of(*this).give(count); }

park::resource semaphore::resource() const noexcept {
  return {resource_kind::semaphore, this, origin_, queue_.named(), nullptr, 0};
}

void semaphore::too_many() noexcept { fatal("a semaphore holds at most 134217727 permits"); }

void semaphore::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a semaphore was destroyed while it is waited for");
}

// --- tasks ---

template class sync::turnstile_wait<semaphore::rule>;

semaphore_acquire_awaiter semaphore::async_acquire(std::uint32_t count, std::source_location site) noexcept {
  return {*this, checked(count), site};
}

semaphore_acquire_until_awaiter semaphore::async_acquire_until(deadline until, std::stop_token stop,
                                                               std::uint32_t count,
                                                               std::source_location site) noexcept {
  return {*this, checked(count), until, std::move(stop), site};
}

semaphore_acquire_awaiter::semaphore_acquire_awaiter(semaphore& s, std::uint32_t count,
                                                     std::source_location site) noexcept
    : turnstile_wait{&s, count, s.resource(), deadline::never(), {}, site}, semaphore_{s}, count_{count} {}

// [awaitable]
semaphore_acquire_until_awaiter::semaphore_acquire_until_awaiter(semaphore& s, std::uint32_t count, deadline until,
                                                                 std::stop_token stop,
                                                                 std::source_location site) noexcept
    : turnstile_wait{&s, count, s.resource(), until, std::move(stop), site}, semaphore_{s}, count_{count} {}

std::expected<semaphore_permit, wait_error> semaphore_acquire_until_awaiter::await_resume() noexcept {
  if (error()) return std::unexpected{*error()};
  return semaphore_permit{semaphore_, count_};
}
// [/awaitable]

}  // namespace heddle
