#!/usr/bin/env bash
# gcc_headers.sh: GCC 12 compiles each public header, or is refused it with the reason: coroutines. What threads
# use must be among those that compile, and task.hpp among those that do not.
set -uo pipefail
bad=0
compiled=
refused=
for header in heddle/*/*.hpp; do
  if message=$(echo "#include <$header>" | g++-12 -std=c++23 -Wall -Wextra -Werror -I. -fsyntax-only -x c++ - 2>&1); then
    compiled+=" $header"
  elif grep -q 'GCC before 14 miscompiles coroutines' <<<"$message"; then
    refused+=" $header"
  else
    echo "$header: neither compiles nor is refused with the reason"
    head -5 <<<"$message"
    bad=1
  fi
done
for header in heddle/{sync/{mutex,semaphore,condition_variable,guarded},exec/thread_pool,channel/channel,task/future}.hpp; do
  case "$compiled " in *" $header "*) ;; *) echo "$header cannot be used by GCC 12" && bad=1 ;; esac
done
case "$refused " in *" heddle/task/task.hpp "*) ;; *) echo "GCC 12 is not refused heddle/task/task.hpp" && bad=1 ;; esac
echo "compiled:$compiled"
echo "refused:$refused"
exit $bad
