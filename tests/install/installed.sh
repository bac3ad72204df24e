# Sourced by the tests of the installed package: installs the build folder $1 into a scratch prefix, $prefix, which goes
# when the test ends; $scratch is room for the rest.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$1" --prefix "$prefix" >/dev/null

# only_what_it_needs <program>: fails if the program is linked with a library that the module does not need.
only_what_it_needs() {
  local found
  if found=$(ldd "$1" | grep -Ei 'libssl|libcrypto|sqlite|boost|spdlog|prometheus'); then
    echo "linked with what it does not need:"
    echo "$found"
    return 1
  fi
}
