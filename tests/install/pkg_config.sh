#!/usr/bin/env bash
# pkg_config.sh <build folder> <compiler>: the same program, built by hand with what pkg-config says.
. "$(dirname "$0")/installed.sh"

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name heddle-sync.pc)")
flags=$(pkg-config --cflags --libs heddle-sync)
# shellcheck disable=SC2086
"$2" -std=c++23 "$here/consumer/main.cpp" -o "$scratch/consumer" $flags
"$scratch/consumer"
only_what_it_needs "$scratch/consumer"
pkg-config --exists --print-errors heddle
