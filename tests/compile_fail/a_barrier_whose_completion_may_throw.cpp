// refused: a barrier's completion must be noexcept
#include <heddle/sync/barrier.hpp>

struct may_throw {
  void operator()() const;
};

void f() {
  heddle::barrier<may_throw> meeting{2};  // misuse
}
