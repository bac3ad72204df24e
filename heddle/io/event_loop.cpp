#include <heddle/io/event_loop.hpp>
#include <heddle/io/internal/loop_core.hpp>
#include <heddle/park/internal/slot.hpp>

namespace heddle::io {

event_loop::event_loop(const char* name)
    : name_{name}, core_{std::make_unique<loop_core>(*this, name, make_epoll_backend())} {}

event_loop::~event_loop() = default;

void event_loop::post(work_item& item) noexcept { core_->post(item); }
void event_loop::run() noexcept { core_->run_until_stopped(); }
void event_loop::run_until(const bool& ended) noexcept { core_->run_until(ended); }
void event_loop::stop() noexcept { core_->stop(); }
std::uint64_t event_loop::turns() const noexcept { return core_->turns(); }

sleep_awaiter event_loop::sleep_until(deadline when, std::source_location site) noexcept {
  return {*core_, when, site};
}

sleep_awaiter::sleep_awaiter(loop_core& core, deadline when, std::source_location site) noexcept
    : task_wait{park::resource::of(resource_kind::timer, &core.owner(), core.owner().name()), when, {}, site},
      core_{core} {
  timer_.owner = this;
  timer_.fire = [](timer_entry& entry) noexcept {
    park::cancel_current(static_cast<timer&>(entry).owner->node(), park::phase::timed_out);
  };
}

bool sleep_awaiter::ready() noexcept {
  // The wheel belongs to the loop's thread; a task that runs elsewhere is woken by park's clock.
  on_loop_ = current_agent().runs_on() == &core_.owner();
  if (on_loop_) keeps_own_time();
  return until().has_passed();
}

bool sleep_awaiter::enqueue() noexcept {
  if (on_loop_ && !until().is_never()) core_.set_timer(timer_, until());
  return true;
}

park::task_wait::step sleep_awaiter::claimed(park::phase result) noexcept {
  if (on_loop_) core_.clear_timer(timer_);
  return result == park::phase::cancelled ? step::unwind : step::resume;
}

}  // namespace heddle::io
