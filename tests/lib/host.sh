# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by every host test and benchmark. Re-executes the test in PID, mount, network, IPC and UTS namespaces of its own: whatever
# it starts, mounts or adds ends with it, also when it is killed, so nothing needs to be cleaned up by pattern.
# Inside: /run and /var/lib/floe are fresh tmpfs, lo is up, $WORK is an empty directory on disk removed at the end, $BUILD has the programs.

set -euo pipefail
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${FLOE_BUILD:-$SOURCE/build/gcc}
FLOE_CACHE=${FLOE_CACHE:-/var/cache/floe}
export SOURCE BUILD FLOE_CACHE PATH="$BUILD/bin:$PATH" LC_ALL=C.UTF-8

say() { printf '%s: %s\n' "${NAME:-host}" "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }
# skip REASON: for hardware that is missing here; CI counts a skip as a failure unless ALLOWED_SKIPS in tests/run names the test.
skip() { echo "skipped: $*"; exit 77; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is not installed: packaging/packages should name its package"; }
# figure NAME VALUE [UNIT]: the one form of every number that counts.
figure() { echo "figure: $1 = $2${3:+ $3}"; }
# wait_for SECONDS WHAT COMMAND...: polls; dies naming WHAT.
wait_for() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "gave up waiting for $what"
    sleep 0.2
  done
}

if [ -z "${FLOE_SANDBOX:-}" ]; then
  [ "$(id -u)" = 0 ] || skip 'root is needed for namespaces'
  mkdir -p "$SOURCE/build/work"
  FLOE_WORK=$(mktemp -d "$SOURCE/build/work/$(basename "$0" .sh).XXXXXX")
  status=0
  FLOE_SANDBOX=1 WORK=$FLOE_WORK unshare --pid --mount --net --ipc --uts --fork --kill-child --mount-proc \
    bash "$0" "$@" || status=$?
  [ -n "${FLOE_KEEP:-}" ] || rm -rf "$FLOE_WORK"
  exit $status
fi
NAME=$(basename "$0" .sh)
hostname floe-test
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
mkdir -p /var/lib/floe 2>/dev/null && mount -t tmpfs -o mode=755 tmpfs /var/lib/floe
ip link set lo up
cd "$WORK"
