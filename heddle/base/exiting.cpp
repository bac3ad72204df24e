// Handlers and destructors of static objects run in the reverse order of their registration. So what was made after the
// first agent goes before the handler here has run; then the calls on the stack tell whether exit(3) is at work.

#include <heddle/base/exiting.hpp>

#include <dlfcn.h>
#include <unwind.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace heddle {
namespace {

constinit std::atomic<bool> exiting{false};

_Unwind_Reason_Code look_for_exit(_Unwind_Context* context, void* found) noexcept {
  const _Unwind_Ptr return_address = _Unwind_GetIP(context);
  if (return_address == 0) return _URC_END_OF_STACK;
  Dl_info place{};
  const auto* const call = reinterpret_cast<const void*>(return_address - 1);  // NOLINT(performance-no-int-to-ptr)
  if (dladdr(call, &place) != 0 && place.dli_sname != nullptr && std::strcmp(place.dli_sname, "exit") == 0) {
    *static_cast<bool*>(found) = true;
    return _URC_END_OF_STACK;
  }
  return _URC_NO_REASON;
}

}  // namespace

bool process_is_exiting() noexcept {
  if (exiting.load(std::memory_order_relaxed)) return true;
  bool called_by_exit = false;
  _Unwind_Backtrace(&look_for_exit, &called_by_exit);
  return called_by_exit;
}

void watch_for_exit() noexcept {
  std::atexit([] { exiting.store(true, std::memory_order_relaxed); });
}

}  // namespace heddle
