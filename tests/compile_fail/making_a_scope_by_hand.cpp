// refused: calling a private constructor of class 'heddle::scope'
#include <heddle/task/scope.hpp>

void f(heddle::executor& where, const heddle::task_context& outer) {
  heddle::scope open{where, outer, heddle::scope_policy::fail_fast};  // misuse
  static_cast<void>(where);
  static_cast<void>(outer);
}
