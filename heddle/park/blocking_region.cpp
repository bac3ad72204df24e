#include <heddle/park/blocking_region.hpp>

namespace heddle {
namespace {

constinit thread_local blocking_observer* observer_of_thread = nullptr;
constinit thread_local unsigned depth = 0;

}  // namespace

bool park::thread_is_replaced() noexcept { return depth != 0 && observer_of_thread != nullptr; }

void blocking_observer::watch_this_thread(blocking_observer* observer) noexcept { observer_of_thread = observer; }

blocking_region::blocking_region() noexcept {
  if (depth++ == 0 && observer_of_thread != nullptr) observer_of_thread->before_blocking();
}

blocking_region::~blocking_region() {
  if (--depth == 0 && observer_of_thread != nullptr) observer_of_thread->after_blocking();
}

}  // namespace heddle
