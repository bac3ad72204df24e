#include <heddle/park/foreign_wait.hpp>
#include <heddle/park/internal/slot.hpp>

namespace heddle::park {

// Parked at once: whoever looks cannot tell where it sleeps. The node stands in no queue, so that nobody claims it.
foreign_wait::foreign_wait(const resource& what, deadline until, std::source_location site) noexcept
    : wait_{what, until, site} {
  (void)commit(wait_.node(), phase::parked);
}

void foreign_wait::pause(deadline until) noexcept {
  wait_.rearm();
  (void)wait_.park(until, {});
  wait_.rearm();
  (void)commit(wait_.node(), phase::parked);
}

}  // namespace heddle::park
