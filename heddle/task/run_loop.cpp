#include <heddle/base/fatal.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/executor_scope.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/task/run_loop.hpp>

namespace heddle {
namespace {

// Claims and takes out the sleeping thread, if there is one.
park::slot* choose_sleeper(park::queue_guard& guard) noexcept {
  park::slot* sleeper = guard.first();
  if (sleeper == nullptr || !park::claim(*sleeper)) return nullptr;
  guard.remove(*sleeper);
  return sleeper;
}

}  // namespace

run_loop::~run_loop() {
  if (first_ != nullptr) fatal("a run_loop was destroyed with work in it; call finish() and let run() return first");
}

void run_loop::post(work_item& item) noexcept {
  park::slot* sleeper = nullptr;
  {
    park::queue_guard guard{sleeper_};
    item.next = nullptr;
    *last_ = &item;
    last_ = &item.next;
    sleeper = choose_sleeper(guard);
  }
  if (sleeper != nullptr) park::publish(*sleeper, park::phase::woken);
}

void run_loop::finish() noexcept {
  park::slot* sleeper = nullptr;
  {
    park::queue_guard guard{sleeper_};
    finished_ = true;
    sleeper = choose_sleeper(guard);
  }
  if (sleeper != nullptr) park::publish(*sleeper, park::phase::woken);
}

void run_loop::run() noexcept {
  executor_scope here{*this};
  while (work_item* item = take()) here.run(item);
}

work_item* run_loop::take() noexcept {
  for (;;) {
    {
      const park::queue_guard guard{sleeper_};
      if (first_ != nullptr) {
        work_item* item = first_;
        first_ = item->next;
        if (first_ == nullptr) last_ = &first_;
        return item;
      }
      if (finished_) {
        finished_ = false;
        return nullptr;
      }
    }
    const blocking_region region;
    park::thread_wait wait{park::resource::of(resource_kind::pool, this, name_), deadline::never(),
                           std::source_location::current()};
    {
      park::queue_guard guard{sleeper_};
      if (first_ != nullptr || finished_) continue;
      guard.push_back(wait.node());
    }
    (void)wait.park(deadline::never(), {});
  }
}

}  // namespace heddle
