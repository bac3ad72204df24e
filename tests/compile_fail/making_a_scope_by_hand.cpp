// refused: calling a private constructor of class 'heddle::scope'
#include <heddle/task/scope.hpp>

void f(const heddle::agent& opener, const heddle::task_context& outer) {
  heddle::scope open{opener, outer, heddle::scope_policy::fail_fast};  // misuse
  static_cast<void>(opener);
  static_cast<void>(outer);
}
