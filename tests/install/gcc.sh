#!/usr/bin/env bash
# gcc.sh <build folder> <compiler>: what threads use of heddle, in a program compiled by GCC 12 and linked with the
# libraries that Clang built.
. "$(dirname "$0")/installed.sh"

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name heddle-sync.pc)")
for part in "$here"/thread_side/*.cpp; do
  modules=$(sed -n 's@^// uses: @@p' "$part")
  # shellcheck disable=SC2046,SC2086
  g++-12 -std=c++23 -O1 -Wall -Wextra -Werror "$part" -o "$scratch/part" $(pkg-config --cflags --libs $modules)
  echo "$(basename "$part"): built with $modules"
  "$scratch/part"
  only_what_it_needs "$scratch/part"
done
