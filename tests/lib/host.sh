# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by every host test and benchmark: the test runs again in a sandbox of its own (packaging/lib/base.sh), where nothing it
# starts, mounts or adds can outlive it. Inside: /run is fresh, lo is up, $WORK is an empty directory on disk and
# the working directory, $BUILD has the programs.

set -euo pipefail
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${FLOE_BUILD:-$SOURCE/build/gcc}
NAME=$(basename "$0" .sh)
# Others run beside it, and what a machine does is not the slower for having been waited for longer.
export FLOE_PATIENCE=${FLOE_PATIENCE:-4}
export SOURCE BUILD PATH="$BUILD/bin:$PATH" LC_ALL=C.UTF-8
. "$SOURCE/packaging/lib/base.sh"

# skip REASON: for hardware that is missing here; a failure in CI unless ALLOWED_SKIPS in tests/run names the test.
skip() { echo "skipped: $*"; exit 77; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is not installed: packaging/packages should name its package"; }

if [ -z "${FLOE_SANDBOX:-}" ]; then
  [ "$(id -u)" = 0 ] || skip 'root is needed for namespaces'
  # What needs the machine's own network (a tree from the archive) is made before; it is for caches only.
  if declare -F before_sandbox >/dev/null; then before_sandbox; fi
  # tests/run has what is kept made ahead of the test.
  [ -z "${FLOE_PREPARE:-}" ] || exit 0
  enter_sandbox "$0" "$@"
fi
sandbox_ready
