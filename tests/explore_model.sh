#!/usr/bin/env bash
# explore_model.sh <model.pml>: has Spin explore all schedules of a model.
#
# The model must hold. Comments in it name its variants, by flags of Spin: `/* must hold: -DTASKS */` is explored as well;
# `/* must fail: -DFAULT=1 */` is a fault that has to be found, so that a model which no longer looks at anything is
# noticed. `/* pan: <flags> */` adds flags to the verifier's command line.
#
# Model and code name their steps alike: what a model has as an inline is a function somewhere in park, sync or exec, or one of
# those that `/* not in the code: <names> */` lists.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$1" "$scratch/"
cd "$scratch"
model=$(basename "$1")
cc=clang-19
spin() { command spin -P"$cc -E -x c -w" "$@"; }

# marked <word>: what the comments of that kind say, one a line.
marked() { sed -nE "s@^.*/\* $1: ([^*]*) \*/.*@\1@p" "$model"; }
pan_flags=$(marked pan)

# explore <flags of spin>...: prints the number of errors found.
explore() {
  rm -f pan* ./*.trail
  spin -a "$@" "$model" >spin.log 2>&1 || { cat spin.log >&2; return 1; }
  local safety=-DSAFETY
  ! grep -qE '^[[:space:]]*((ltl|never)\b|(progress|accept)[[:alnum:]_]*:)' "$model" || safety=
  # Most explorations take less time than it would take to optimise their verifier.
  $cc -O0 -w $safety -DCOLLAPSE -DMEMLIM=4096 -o pan pan.c
  # shellcheck disable=SC2086
  ./pan -m2000000 $pan_flags >pan.log 2>&1 || { cat pan.log >&2; return 1; }
  if grep -qE 'max search depth too small|out of memory|aborting' pan.log; then
    cat pan.log >&2
    return 1
  fi
  sed -nE 's/.*errors: ([0-9]+).*/\1/p' pan.log
}

# must <hold|fail> <flags of spin>...
must() {
  local wanted=$1 errors
  shift
  errors=$(explore "$@")
  printf '%s %s: %s errors, %s\n' "$model" "${*:-as it is}" "$errors" \
    "$(grep -oE '[0-9.e+]+ states, stored' pan.log | head -1)"
  if [ "$wanted" = hold ] && [ "$errors" != 0 ]; then
    spin -t "$@" "$model" 2>/dev/null | tail -60 || true
    exit 1
  elif [ "$wanted" = fail ] && [ "$errors" = 0 ]; then
    echo "this fault is not found"
    exit 1
  fi
}

marked "not in the code" | tr ' ' '\n' | sort >own
sed -nE 's/^inline ([a-z_]+)\(.*/\1/p' "$model" | sort | while read -r step; do
  grep -qx "$step" own || grep -rqE "\\b$step\\(" "$root/heddle/park" "$root/heddle/sync" "$root/heddle/exec" || {
    echo "nothing in park, sync or exec is called $step, as a step of this model is" >&2
    exit 1
  }
done

must hold
for wanted in hold fail; do
  while read -r flags; do
    # shellcheck disable=SC2086
    must $wanted $flags
  done < <(marked "must $wanted")
done
