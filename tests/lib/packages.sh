# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh by tests of the .debs: these, built from this checkout, and a tree of Debian 13 that has what they depend on and what
# systemd runs with, and no development package.
#
#   before_sandbox() { . "$SOURCE/tests/lib/packages.sh"; packages_prepare; }
#
# Sets DEBS, a directory with the three packages; packages_tree prints the tree.

. "$SOURCE/tests/lib/debian13.sh"
. "$SOURCE/tests/lib/trixie.sh"

DEBS=$SOURCE/build/debian13/packages
packages_systemd=(systemd systemd-sysv udev fonts-dejavu-core libglib2.0-bin procps)

# What the packages depend on, by name, first alternatives, with what systemd and the tests run with.
packages_needed() {
  {
    for deb in "$DEBS"/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g'
    printf '%s\n' "${packages_systemd[@]}"
  } | LC_ALL=C sort -u
}
packages_tree() {
  mapfile -t names < <(packages_needed)
  trixie_path packages "${names[@]}"
}
# packages_build: the packages, as they are made in what debian13-build compiles.
packages_build() {
  local tree
  tree=$(debian13_tree)
  "$SOURCE/packaging/deb/build" "$tree" "$DEBS" >&2
}
packages_prepare() {
  packages_build
  mapfile -t names < <(packages_needed)
  "$SOURCE/tests/lib/trixie.sh" packages "${names[@]}" >/dev/null
}
