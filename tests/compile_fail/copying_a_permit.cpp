// refused: call to .*deleted copy constructor of .*semaphore_permit|call to implicitly-deleted copy constructor
#include <heddle/sync/semaphore.hpp>

void f(heddle::semaphore& places) {
  const heddle::semaphore_permit held = places.acquire();
  const heddle::semaphore_permit copy = held;  // misuse
}
