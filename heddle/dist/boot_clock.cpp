#include <heddle/dist/boot_clock.hpp>
#include <heddle/sys/identity.hpp>

namespace heddle::dist {

boot_clock::time_point boot_clock::now() noexcept { return time_point{duration{sys::boot_now_ns()}}; }

}  // namespace heddle::dist
