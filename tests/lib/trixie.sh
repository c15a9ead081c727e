#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Debian 13 tree, made once with mmdebstrap and kept under $FLOE_CACHE. Source it for trixie_tree, or run it:
#
#   tests/lib/trixie.sh NAME PACKAGE...        prints the path of a tree that has the packages
#
# The tree is $FLOE_CACHE/trixie-NAME-<hash of the packages, the suite and this recipe>; it is whole or not there (built in a
# temporary directory, then renamed), and two makers wait for one another. Whoever uses it only reads it: copy, or mount an
# overlay over it. FLOE_MIRROR names another mirror than this host's apt uses.

trixie_recipe=3

# trixie_path NAME PACKAGE...: where that tree is or will be.
trixie_path() {
  local name=$1 hash
  shift
  hash=$(printf '%s\n' "recipe $trixie_recipe" trixie "$(dpkg --print-architecture)" \
    "$(printf '%s\n' "$@" | LC_ALL=C sort -u)" | sha256sum | cut -c1-16)
  echo "${FLOE_CACHE:-/var/cache/floe}/trixie-$name-$hash"
}

# One line a step, told apart from what mmdebstrap says at length: "trixie-NAME: 42 s: installing".
trixie_progress() {
  local tag=$1 started=$SECONDS line
  while IFS= read -r line; do
    case $line in
      I:\ *) echo "$tag: $((SECONDS - started)) s: ${line#I: }" >&2 ;;
      E:\ *|W:\ *) echo "$tag: $line" >&2 ;;
    esac
  done
}

# trixie_make TREE PACKAGE...: builds TREE; only the holder of the lock calls it.
trixie_make() {
  local tree=$1 tag part list mirror
  shift
  tag=$(basename "$tree")
  # Left by makers that died: only the lock's holder makes any.
  rm -rf "$tree".part.*
  part=$(mktemp -d "$tree.part.XXXXXX")
  list=$(IFS=,; echo "$*")
  mirror=${FLOE_MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 == "Debian" && uri == "" { uri = $2 } END { print uri }')}
  echo "$tag: making it with mmdebstrap; this takes a minute or two" >&2
  # Documentation, translations and the package cache are of no use to a tree that only compiles and runs tests.
  if ! mmdebstrap --mode=root --variant=apt --format=directory --include="ca-certificates,$list" \
      --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      trixie "$part" ${mirror:+"$mirror"} 2>&1 | tee "$part.log" | trixie_progress "$tag"; then
    tail -n 20 "$part.log" >&2
    rm -rf --one-file-system "$part" "$part.log"
    echo "$tag: mmdebstrap could not make the tree" >&2
    return 1
  fi
  chmod 755 "$part"
  sync -f "$part"
  mv -T "$part" "$tree"
  rm -f "$part.log"
}

# trixie_tree NAME PACKAGE...: prints the path of the tree, made if it is not there yet.
trixie_tree() (
  set -euo pipefail
  [ $# -ge 2 ] || { echo "usage: trixie_tree NAME PACKAGE..." >&2; exit 2; }
  tree=$(trixie_path "$@")
  name=$1
  shift
  mkdir -p "$(dirname "$tree")"
  if [ ! -d "$tree" ]; then
    exec 9>"$tree.lock"
    if ! flock -n 9; then
      echo "trixie-$name: another process is making it; waiting" >&2
      flock -w 1800 9 || { echo "trixie-$name: gave up waiting for the other maker" >&2; exit 1; }
    fi
    [ -d "$tree" ] || trixie_make "$tree" "$@" 9>&-
  fi
  echo "$tree"
)

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  trixie_tree "$@"
fi
