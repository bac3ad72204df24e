#include <heddle/dist/store_job.hpp>
#include <heddle/park/internal/slot.hpp>

namespace heddle::dist {

void finish_line::cross() noexcept {
  park::slot* waiter = nullptr;
  {
    park::queue_guard guard{queue_};
    crossed_ = true;
    waiter = guard.first();
    if (waiter != nullptr) {
      // Nothing else ends this wait, so the claim succeeds.
      (void)park::claim(*waiter);
      guard.remove(*waiter);
    }
  }
  if (waiter != nullptr) park::publish(*waiter, park::phase::granted);
}

bool finish_line::crossed() noexcept {
  const park::queue_guard guard{queue_};  // whoever sees it crossed may destroy it: cross() has let go of the queue
  return crossed_;
}

bool finish_line::enqueue(park::slot& node) noexcept {
  park::queue_guard guard{queue_};
  if (crossed_) return false;
  guard.push_back(node);
  return true;
}

park::resource finish_line::resource() const noexcept { return park::resource::of(resource_kind::future, this, name_); }

void finish_line::wait(std::source_location site) noexcept {
  if (crossed()) return;
  park::thread_wait wait{resource(), deadline::never(), site};
  if (enqueue(wait.node())) (void)wait.park(deadline::never(), {});
}

finish_awaiter finish_line::async_wait(std::source_location site) noexcept { return {*this, site}; }

finish_awaiter::finish_awaiter(finish_line& line, std::source_location site) noexcept
    : task_wait{line.resource(), deadline::never(), {}, site}, line_{line} {
  ignore_context();
}

}  // namespace heddle::dist
