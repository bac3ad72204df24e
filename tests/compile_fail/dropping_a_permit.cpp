// refused: ignoring .*'nodiscard'
#include <heddle/sync/semaphore.hpp>

void f(heddle::semaphore& places) {
  places.acquire();  // misuse
  const heddle::semaphore_permit held = places.acquire();
}
