// refused: cannot assign to return value because function 'operator\*' returns a const value
#include <heddle/sync/guarded.hpp>
#include <heddle/sync/shared_mutex.hpp>

void f(heddle::guarded<int, heddle::shared_mutex>& value) {
  *value.read_lock() = 1;  // misuse
  *value.lock() = 1;
}
