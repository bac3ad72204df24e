// refused: 'value_' is a private member of
#include <heddle/sync/guarded.hpp>

int f(heddle::guarded<int>& balance) {
  return balance.value_;  // misuse
  return balance.with([](int& value) { return value; });
}
