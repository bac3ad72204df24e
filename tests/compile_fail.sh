#!/usr/bin/env bash
# compile_fail.sh <compiler and flags> <file> <regex>
#
# Passes if the compiler refuses the file with a message that matches the extended regular expression, and takes it
# without the lines that end in `// misuse`. The second half shows that nothing else is wrong with the file.
set -uo pipefail
if message=$($1 -fsyntax-only "$2" 2>&1); then
  echo "$2 compiles, though it must not"
  exit 1
fi
if ! grep -Eq -- "$3" <<<"$message"; then
  echo "refused, but not with a message that matches: $3"
  echo "$message"
  exit 1
fi
if ! grep -q '// misuse$' "$2"; then
  echo "$2 marks no line with // misuse"
  exit 1
fi
if ! sed '/\/\/ misuse$/d' "$2" | $1 -fsyntax-only -x c++ -; then
  echo "$2 does not compile without its misuse either"
  exit 1
fi
