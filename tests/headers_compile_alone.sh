#!/usr/bin/env bash
# headers_compile_alone.sh <compiler and flags> <folder>: compiles each header of the folder by itself, included twice.
set -uo pipefail
bad=0
while IFS= read -r header; do
  printf '#include <%s>\n#include <%s>\n' "$header" "$header" | $1 -fsyntax-only -x c++ - ||
    { echo "$header does not compile alone"; bad=1; }
done < <(find "$2" -name '*.hpp' | sort)
exit $bad
