# What ./run, ./test and ./bench share: installing what is missing, configuring and building, with progress.
# Sourced by them with the project's root as the working directory.

if [ -t 1 ]; then
  say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
else
  say() { printf '==> %s\n' "$*"; }
fi
fail() {
  printf '%s\n' "$*" >&2
  exit 2
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "Installing packages needs root, and there is no sudo: run as root: $*"
  fi
}

# need_packages <command>: installs the packages that tools/packages.txt lists for it, as far as they are missing.
need_packages() {
  local package commands missing=()
  while read -r package commands; do
    case " $commands " in *" all "* | *" $1 "*) ;; *) continue ;; esac
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done < <(grep -v '^#' tools/packages.txt)
  [ ${#missing[@]} -gt 0 ] || return 0

  command -v apt-get >/dev/null || fail "Missing Debian packages, and there is no apt-get: ${missing[*]}"
  say "installing Debian packages for ./$1: ${missing[*]}"
  local log
  log=$(mktemp)
  as_root apt-get -q -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${missing[@]}" 2>&1 | tee "$log" | show_apt_progress ||
    { tail -20 "$log" >&2; fail "apt-get install failed"; }
  rm -f "$log"
}

# Reads apt-get's output; of it, writes what is to come and one line for every tenth package.
show_apt_progress() {
  local line total='?' unpacked=0 ready=0
  while IFS= read -r line; do
    case $line in
      *' newly installed'*) total=${line#*upgraded, } total=${total%% *} ;;
      'Need to get '* | 'Fetched '*) echo "    $line" ;;
      'Unpacking '*) [ $((++unpacked % 10)) -ne 0 ] || echo "    unpacked $unpacked of $total packages" ;;
      'Setting up '*) [ $((++ready % 10)) -ne 0 ] || echo "    set up $ready of $total packages" ;;
    esac
  done
}

# build <preset> [<target>...]: configures build/<preset> and builds the targets, or everything.
build() {
  local preset=$1 started=$SECONDS log
  shift
  log=$(mktemp)
  cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; fail "configuring $preset failed"; }
  rm -f "$log"
  say "building $preset${*:+: $*}"
  NINJA_STATUS="[%f/%t, %es] " cmake --build "build/$preset" ${*:+--target "$@"} || fail "building $preset failed"
  say "built $preset in $((SECONDS - started)) s"
}
