#!/usr/bin/env bash
# explore_model.sh <model.pml>: has Spin explore all schedules of a model.
#
# The model must hold. For each comment line `/* must fail: <flags of spin> */` in it, such as `-DDROP_STEP_3`, the model
# changed that way must not hold: so a model that no longer looks at anything is noticed. `/* pan: <flags> */` adds flags
# to the verifier's command line.
set -euo pipefail
model=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
pan_flags=$(sed -nE 's@.*/\* pan: (.*) \*/.*@\1@p' "$model")

# explore <flags of spin>...: prints the number of errors found.
explore() {
  rm -f pan* ./*.trail
  spin -a "$@" "$model" >spin.log 2>&1 || { cat spin.log >&2; return 1; }
  local safety=-DSAFETY
  ! grep -qE '^[[:space:]]*(ltl|never)\b|progress|accept' "$model" || safety=
  "${CC:-clang-19}" -O2 -w $safety -DCOLLAPSE -DMEMLIM=4096 -o pan pan.c
  # shellcheck disable=SC2086
  ./pan -m2000000 $pan_flags >pan.log 2>&1 || { cat pan.log >&2; return 1; }
  if grep -qE 'max search depth too small|out of memory|aborting' pan.log; then
    cat pan.log >&2
    return 1
  fi
  sed -nE 's/.*errors: ([0-9]+).*/\1/p' pan.log
}

errors=$(explore)
grep -E 'State-vector|states, stored|errors' pan.log || true
if [ "$errors" != 0 ]; then
  echo "the model does not hold"
  spin -t "$model" 2>/dev/null | tail -60 || true
  exit 1
fi
sed -nE 's@.*/\* must fail: (.*) \*/.*@\1@p' "$model" | while read -r flags; do
  # shellcheck disable=SC2086
  errors=$(explore $flags)
  if [ "$errors" = 0 ]; then
    echo "the model holds even with $flags"
    exit 1
  fi
  echo "with $flags it fails, as it must"
done
