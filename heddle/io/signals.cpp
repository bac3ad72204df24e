#include <heddle/io/internal/loop_core.hpp>
#include <heddle/io/signals.hpp>
#include <heddle/sys/signals.hpp>

#include <cerrno>
#include <system_error>

namespace heddle::io {
namespace {

sys::signal_bits bits_of(std::initializer_list<int> signals) noexcept {
  sys::signal_bits bits = 0;
  for (const int signal : signals) bits |= sys::signal_bits{1} << (signal - 1);
  return bits;
}

}  // namespace

signal_set::signal_set(event_loop& loop, std::initializer_list<int> signals)
    : handle_{nullptr}, unblock_{sys::block_signals(bits_of(signals))} {
  const auto descriptor = sys::open_signal_descriptor(bits_of(signals));
  std::error_code error = descriptor ? std::error_code{} : descriptor.error();
  if (descriptor) handle_ = loop.core().open(*descriptor, "signals", true, error);
  if (handle_ == nullptr) {
    sys::unblock_signals(unblock_);
    throw std::system_error{error, "signals cannot be received"};
  }
}

signal_set::~signal_set() {
  while (sys::take_signal(handle_->descriptor) > 0) {
  }
  handle_->core.release(*handle_);
  sys::unblock_signals(unblock_);
}

signal_awaiter signal_set::next(deadline until, std::stop_token stop, std::source_location site) noexcept {
  return {handle_, until, std::move(stop), site};
}

signal_awaiter::signal_awaiter(handle* h, deadline until, std::stop_token stop, std::source_location site) noexcept
    : handle_wait{resource_kind::signal, "signals", &h->core, h, side::read, until, std::move(stop), site} {}

handle_wait::progress signal_awaiter::attempt() noexcept {
  std::atomic<bool>& ready = watched_side().ready;
  ready.store(false, std::memory_order_seq_cst);
  const int got = sys::take_signal(watched()->descriptor);
  if (got == -EAGAIN) return progress::blocked;
  ready.store(true, std::memory_order_seq_cst);  // there may be more
  if (got > 0) {
    result_ = got;
  } else {
    result_ = std::unexpected{make_io_error(std::error_code{-got, std::system_category()}, "wait for a signal")};
  }
  return progress::done;
}

void signal_awaiter::ended(io_errc why) noexcept {
  result_ = std::unexpected{io_error{.kind = why, .code = {}, .operation = "wait for a signal", .transferred = 0}};
}

}  // namespace heddle::io
