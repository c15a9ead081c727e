# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after packaging/lib/base.sh: this checkout compiled in a Debian 13 tree, whatever the host, into build/debian13: what the appliance
# runs.

. "$SOURCE/packaging/lib/tree.sh"

# debian13_tree: the path of the tree that compiles; it needs the archive's network when it is not cached. qemu-img is what a unit test asks
# for its opinion of our overlays; python-tuf (tests/host/trust-interop.sh) and tools for a TPM (tests/host/appliance-tamper.sh) are here too, since a tree for
# each takes a minute to make.
debian13_tree() {
  local packages
  need mmdebstrap
  mapfile -t packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[build]" || $0 == "[deb]"; next } on && !/\?$/' "$SOURCE/packaging/packages")
  "$SOURCE/tests/lib/trixie.sh" build "${packages[@]}" clang qemu-utils ccache python3-tuf python3-cryptography python3-securesystemslib \
    tpm2-tools libtss2-tcti-swtpm0t64 libtss2-rc0t64 systemd-cryptsetup
}

# debian13_inside TREE COMMAND...: tree_inside with build/debian13 at /build.
debian13_inside() {
  local tree=$1; shift
  tree_inside "$tree" "$SOURCE/build/debian13" "$@"
}

# debian13_build TREE COMPILER: everything, into build/debian13/COMPILER, as packages want it.
debian13_build() { tree_build "$1" "$SOURCE/build/debian13" "$2" "$2"; }
