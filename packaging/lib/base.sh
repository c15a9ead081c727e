# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by quickstart, tests/run, tests/bench and every host test: packages, builds, the sandbox, figures.

FLOE_CACHE=${FLOE_CACHE:-/var/cache/floe}
export FLOE_CACHE

say() { printf '%s: %s\n' "${NAME:-floe}" "$*" >&2; }
die() { printf '%s: FAILED: %s\n' "${NAME:-floe}" "$*" >&2; exit 1; }
# quietly COMMAND...: for `... | quietly grep X`: grep -q would end at the first match, and under pipefail whoever still writes to it fails.
quietly() { "$@" >/dev/null; }
# figure NAME VALUE [UNIT]: the one form of every number that counts.
figure() { echo "figure: $1 = $2${3:+ $3}"; }
# wait_for SECONDS WHAT COMMAND...: polls; dies naming WHAT. SECONDS are a machine's that has nothing else to do: FLOE_PATIENCE times as many where that is set.
wait_for() {
  local end=$((SECONDS + $1 * ${FLOE_PATIENCE:-1})) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "gave up waiting for $what"
    sleep 0.2
  done
}

# pictures_differ A B: whether more than 5,000 pixels of two pictures differ by more than a shade.
pictures_differ() {
  local pixels
  # It answers 1 for pictures that differ, and with an exponent for many pixels.
  pixels=$(compare -metric AE -fuzz 5% "$1" "$2" null: 2>&1 || true)
  awk -v n="${pixels%% *}" 'BEGIN { exit !(n + 0 > 5000) }'
}

# with_progress WHAT LOG COMMAND...: runs COMMAND with its output in LOG, a line every 15 seconds; shows LOG's end when it fails.
with_progress() {
  local what=$1 log=$2 started=$SECONDS pid status=0; shift 2
  say "$what"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # A shell's background jobs ignore Ctrl-C.
  trap 'kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null; say interrupted; exit 130' INT TERM HUP
  while kill -0 $pid 2>/dev/null; do
    for _ in $(seq 75); do
      kill -0 $pid 2>/dev/null || break
      sleep 0.2
    done
    kill -0 $pid 2>/dev/null && say "  $what: $((SECONDS - started)) s, $(tail -c 300 "$log" | tr '\r' '\n' | grep -v '^ *$' | tail -n 1 | cut -c1-100)"
  done
  wait $pid || status=$?
  trap - INT TERM HUP
  [ $status = 0 ] || { tail -n 25 "$log" >&2; die "$what (status $status; the whole log is $log)"; }
}

# install_packages SET...: what packaging/packages lists under these headings; touches the network only when something is missing.
install_packages() {
  local wanted=() perhaps=() name
  [ "$(id -u)" = 0 ] || die 'run as root: packages, namespaces and network rules need it'
  command -v apt-get >/dev/null || die 'apt-get is not here: Debian 12 or 13 is needed'
  while read -r name; do
    dpkg-query -W -f '${db:Status-Status}\n' "${name%\?}" 2>/dev/null | quietly grep -x installed && continue
    case $name in *\?) perhaps+=("${name%\?}") ;; *) wanted+=("$name") ;; esac
  done < <(awk -v sets=" $* " '/^#/ || /^$/ { next } /^\[/ { on = index(sets, " " substr($0, 2, length($0) - 2) " "); next } on' \
    "$SOURCE/packaging/packages")
  [ ${#wanted[@]} -gt 0 ] || [ ${#perhaps[@]} -gt 0 ] || return 0
  mkdir -p "$SOURCE/build"
  # What this release has is known only with its lists.
  if [ ${#wanted[@]} -gt 0 ] || ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
    with_progress "package lists" "$SOURCE/build/apt-update.log" apt-get update -q
  fi
  for name in "${perhaps[@]}"; do
    case $(apt-cache policy "$name" 2>/dev/null | awk '/Candidate:/ { print $2 }') in
      '' | '(none)') ;;
      *) wanted+=("$name") ;;
    esac
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  with_progress "${#wanted[@]} packages: ${wanted[*]:0:6} ..." "$SOURCE/build/apt-install.log" \
    env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${wanted[@]}"
}

# build_tree DIRECTORY CMAKE_OPTION...: configures once, builds what changed.
build_tree() {
  local directory=$1; shift
  mkdir -p "$directory"
  if [ ! -e "$directory/build.ninja" ]; then
    with_progress "configuring $(basename "$directory")" "$directory/configure.log" cmake -G Ninja -S "$SOURCE" -B "$directory" "$@"
  fi
  with_progress "building $(basename "$directory")" "$directory/build.log" ninja -C "$directory"
}

# unshare blocks SIGTERM while it waits for its child; killed, it takes the child with it, which is the namespace's first process, and so all.
end_sandbox() {
  local first
  first=$(pgrep -P "$sandbox" || true)
  say 'interrupted: ending all that was started'
  kill -KILL "$sandbox" 2>/dev/null || true
  while [ -n "$first" ] && kill -0 "$first" 2>/dev/null; do sleep 0.1; done
}

# enter_sandbox SCRIPT ARGUMENT...: runs SCRIPT again in PID, mount, network, IPC and UTS namespaces of its own with FLOE_SANDBOX set, and
# exits with its status. Whatever it starts, mounts or adds ends with it, also when it is killed, so nothing has to be
# cleaned up by pattern. $WORK is an empty directory on disk, removed at the end unless FLOE_KEEP is set.
enter_sandbox() {
  local script=$1 status=0; shift
  [ "$(id -u)" = 0 ] || die 'run as root: namespaces are needed'
  mkdir -p "$SOURCE/build/work"
  WORK=$(mktemp -d "$SOURCE/build/work/$(basename "$script" .sh).XXXXXX")
  export WORK
  # The shell must outlive Ctrl-C, to remove $WORK.
  trap end_sandbox INT TERM HUP
  FLOE_SANDBOX=1 unshare --pid --mount --net --ipc --uts --fork --kill-child=KILL --mount-proc \
    bash "$script" "$@" </dev/null &
  sandbox=$!
  wait $sandbox 2>/dev/null || status=$?
  # A second wait: the first one ends when a trap runs.
  if kill -0 $sandbox 2>/dev/null; then wait $sandbox 2>/dev/null || status=$?; fi
  trap - INT TERM HUP
  [ -n "${FLOE_KEEP:-}" ] || rm -rf "$WORK"
  exit $status
}

# sandbox_ready: first call inside. /run, /tmp and /dev/shm are fresh tmpfs, lo is up, the working directory is $WORK.
sandbox_ready() {
  local kept
  # A display's authority is kept by host name.
  [ -n "${DISPLAY:-}" ] || hostname floe-sandbox
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock /run/netns
  # X servers and their locks want /tmp; what is already in use below it (a checkout, a display's socket) stays visible.
  mkdir -m 1777 /run/tmp
  mount -t tmpfs -o mode=1777 tmpfs /run/tmp
  for kept in "$SOURCE" "${BUILD:-}" "$FLOE_CACHE" ${DISPLAY:+/tmp/.X11-unix}; do
    case $kept in
      /tmp/*)
        [ -d "$kept" ] || continue
        mkdir -p "/run/tmp${kept#/tmp}"
        mount --bind "$kept" "/run/tmp${kept#/tmp}" ;;
    esac
  done
  mount --rbind /run/tmp /tmp
  # Semaphores and shared memory are named by process ids, which a sandbox has again.
  [ ! -d /dev/shm ] || mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  ip link set lo up
  cd "$WORK"
}
