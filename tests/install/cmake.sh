#!/usr/bin/env bash
# cmake.sh <build folder> <compiler>: a project finds component sync, builds with it, runs, and is linked with no more.
. "$(dirname "$0")/installed.sh"

cmake -S "$here/consumer" -B "$scratch/build" -G Ninja -DCMAKE_CXX_COMPILER="$2" -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$scratch/build"
"$scratch/build/consumer"
only_what_it_needs "$scratch/build/consumer"

if [ -n "$(find "$prefix" -path '*/internal/*')" ]; then
  echo "private headers are installed"
  exit 1
fi
