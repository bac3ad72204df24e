#!/usr/bin/env bash
# gcc_refuses_coroutines.sh: GCC 12 is refused every header that has coroutines in it, and is told why.
set -uo pipefail
bad=0
headers=$(grep -l 'heddle/sys/coroutines.hpp' heddle/*/*.hpp | sort)
[ -n "$headers" ] || { echo "no header includes heddle/sys/coroutines.hpp"; exit 1; }
for header in $headers; do
  message=$(echo "#include <$header>" | g++-12 -std=c++23 -I. -fsyntax-only -x c++ - 2>&1)
  if [ $? -eq 0 ]; then
    echo "$header: taken by GCC 12"
    bad=1
  elif ! grep -q 'GCC before 14 miscompiles coroutines' <<<"$message"; then
    echo "$header: refused without the reason"
    bad=1
  fi
done
exit $bad
