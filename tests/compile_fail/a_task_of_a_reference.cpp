// refused: a task gives a value; let it give a pointer instead of a reference
#include <heddle/task/task.hpp>

int global = 0;
heddle::task<int&> f() { co_return global; }  // misuse
