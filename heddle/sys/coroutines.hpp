#pragma once

/// Included by every header whose use needs coroutines: refuses compilers that miscompile them.

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#error \
    "heddle: GCC before 14 miscompiles coroutines (symmetric transfer overflows the stack without optimisation and \
under sanitizers; temporaries in an awaited full expression are destroyed twice). Use Clang 19 or GCC 14 for headers \
with coroutines; locks, thread_pool and channel as threads use them work from GCC 12 on."
#endif

#include <coroutine>
