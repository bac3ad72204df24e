#include <heddle/watch/internal/detector.hpp>
#include <heddle/watch/settings.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>

namespace heddle::watch {
namespace {

struct state {
  std::mutex lock;
  settings now;             // under lock
  bool configured = false;  // under lock
};

/// Never destroyed: waits may begin while the program exits.
state& the_state() {
  static state* const made = new state;
  return *made;
}

}  // namespace

settings settings::off() noexcept {
  settings none;
  none.deadlocks = none.lock_order = none.starvation = none.priority_inversion = none.livelock = none.stalls = false;
  return none;
}

settings settings::from_environment() noexcept {
  settings result;
  const char* const asked = std::getenv("HEDDLE_WATCH");
  const std::string_view word = asked != nullptr ? asked : "report";
  if (word == "off") return off();
  if (word == "break") {
    result.on_deadlock = policy::break_it;
  } else if (word == "abort") {
    result.on_deadlock = policy::abort;
  } else if (word != "report") {
    std::fprintf(stderr, "heddle: HEDDLE_WATCH=%s means nothing; it can be off, report, break or abort\n", asked);
  }
  return result;
}

void configure(const settings& wanted) noexcept {
  state& here = the_state();
  const std::lock_guard guard{here.lock};
  here.now = wanted;
  here.configured = true;
  plug_in(wanted);
}

settings current_settings() noexcept {
  state& here = the_state();
  const std::lock_guard guard{here.lock};
  return here.now;
}

bool begin() noexcept {
  state& here = the_state();
  const std::lock_guard guard{here.lock};
  if (!here.configured) {
    here.now = settings::from_environment();
    here.configured = true;
    plug_in(here.now);
  }
  return true;
}

}  // namespace heddle::watch
