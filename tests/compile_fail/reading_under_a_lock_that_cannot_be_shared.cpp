// refused: no matching member function for call to 'read'
#include <heddle/sync/guarded.hpp>

int f(heddle::guarded<int>& value) {
  value.read([](int n) { return n; });  // misuse
  return value.with([](int n) { return n; });
}
