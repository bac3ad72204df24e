#include <heddle/base/fatal.hpp>
#include <heddle/io/handle_wait.hpp>
#include <heddle/io/internal/loop_core.hpp>
#include <heddle/park/internal/slot.hpp>

#include <utility>

namespace heddle::io {

handle_wait::handle_wait(resource_kind kind, const char* name, loop_core* core, handle* watched, side which,
                         deadline until, std::stop_token stop, std::source_location site) noexcept
    : task_wait{park::resource::of(kind, watched != nullptr ? static_cast<const void*>(watched) : this, name), until,
                std::move(stop), site},
      core_{core},
      handle_{watched},
      side_{which} {
  timer_.owner = this;
  timer_.fire = [](timer_entry& entry) noexcept {
    park::cancel_current(static_cast<timer&>(entry).owner->node(), park::phase::timed_out);
  };
}

bool handle_wait::ready() noexcept {
  on_loop_ = core_ != nullptr && current_agent().runs_on() == &core_->owner();
  if (on_loop_) {
    keeps_own_time();
    if (handle_ != nullptr && !core_->spend() && !until().has_passed()) {
      gives_way_ = true;
      return false;
    }
  }
  return try_once() == progress::done;
}

handle_side& handle_wait::watched_side() const noexcept { return side_ == side::read ? handle_->read : handle_->write; }

handle_wait::progress handle_wait::try_once() noexcept {
  if (handle_ != nullptr && !watched_side().ready.load(std::memory_order_seq_cst)) return progress::blocked;
  return attempt();
}

bool handle_wait::stand(bool even_if_ready) noexcept {
  handle_side& here = watched_side();
  park::queue_guard guard{here.waiters};
  if (!even_if_ready && here.ready.load(std::memory_order_seq_cst)) return false;
  const void* occupant = here.occupant.load(std::memory_order_relaxed);
  if (occupant != nullptr && occupant != this) {
    fatal("two tasks wait at once to read, or at once to write, one descriptor");
  }
  here.occupant.store(this, std::memory_order_relaxed);
  guard.push_back(node());
  return true;
}

bool handle_wait::try_or_stand(bool after_a_claim) noexcept {
  for (;;) {
    const progress how = try_once();
    if (how == progress::done) return false;
    if (how == progress::paused) retry_ = deadline::after(pause);
    if (std::exchange(after_a_claim, false)) rearm();
    if (stand(how == progress::paused)) break;
  }
  set_timer();
  return true;
}

bool handle_wait::enqueue() noexcept {
  if (!gives_way_) return try_or_stand(false);
  gives_way_ = false;
  (void)stand(true);
  set_timer();
  core_->nudge(*handle_);
  return true;
}

void handle_wait::set_timer() noexcept {
  if (!on_loop_) {
    if (!retry_.is_never()) recheck_at(retry_);
    return;
  }
  const deadline when = retry_ < until() ? retry_ : until();
  if (!when.is_never()) core_->set_timer(timer_, when);
}

park::task_wait::step handle_wait::claimed(park::phase result) noexcept {
  if (on_loop_) core_->clear_timer(timer_);
  if (result != park::phase::woken && result != park::phase::closed) {
    park::queue_guard guard{watched_side().waiters};
    guard.remove(node());
  }
  if (result == park::phase::woken || (result == park::phase::timed_out && !until().has_passed())) {
    retry_ = deadline::never();
    if (try_or_stand(true)) return step::wait;
    watched_side().occupant.store(nullptr, std::memory_order_release);
    return step::resume;
  }
  watched_side().occupant.store(nullptr, std::memory_order_release);
  if (result == park::phase::cancelled) return step::unwind;
  refused(result);
  return step::resume;
}

void handle_wait::refused(park::phase result) noexcept {
  ended(result == park::phase::timed_out ? io_errc::timeout
        : result == park::phase::closed  ? io_errc::closed
                                         : io_errc::stopped);
}

}  // namespace heddle::io
