#!/usr/bin/env bash
# tidy.sh <build folder> <folder>: clang-tidy over the sources of the folder, tests and benchmarks left out.
set -euo pipefail
mapfile -t files < <(find "$2" -name '*.cpp' ! -name '*.test.cpp' ! -name '*.bench.cpp' ! -name '*.check.cpp' | sort)
[ ${#files[@]} -gt 0 ] || { echo "no sources"; exit 0; }
clang-tidy-19 -p "$1" --quiet "${files[@]}" 2> >(grep -v "warnings generated" >&2)
