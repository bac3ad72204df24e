#include <heddle/sys/code.hpp>

#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include <utility>

namespace heddle::sys {
namespace {

struct walk {
  std::span<const void*> into;
  std::size_t count;
  bool in_call_stack;
};

}  // namespace

// Not backtrace(3): its first call loads a library, which must wait for whoever is loading one; that one may wait for
// the caller.
std::size_t call_stack(std::span<const void*> into) noexcept {
  walk state{into, 0, true};
  _Unwind_Backtrace(
      [](_Unwind_Context* context, void* argument) {
        walk& to = *static_cast<walk*>(argument);
        const _Unwind_Ptr pc = _Unwind_GetIP(context);
        if (pc == 0 || to.count == to.into.size()) return _URC_END_OF_STACK;
        if (!std::exchange(to.in_call_stack, false)) {
          to.into[to.count++] = reinterpret_cast<const void*>(pc);
        }
        return _URC_NO_REASON;
      },
      &state);
  return state.count;
}

code_place find_code(const void* address) {
  Dl_info found{};
  if (::dladdr(address, &found) == 0) return {{}, reinterpret_cast<std::uintptr_t>(address), {}};
  return {found.dli_fname != nullptr ? found.dli_fname : "",
          reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(found.dli_fbase),
          found.dli_sname != nullptr ? found.dli_sname : ""};
}

std::uint64_t loaded_objects_version() noexcept {
  std::uint64_t version = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {
        *static_cast<std::uint64_t*>(result) = info->dlpi_adds + info->dlpi_subs;
        return 1;
      },
      &version);
  return version;
}

}  // namespace heddle::sys
