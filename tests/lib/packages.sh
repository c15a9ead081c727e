# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh by tests of the .debs: these, built from this checkout, and a tree of Debian 13 that has what they depend on and what a
# test machine needs to boot, and no development package.
#
#   before_sandbox() { . "$SOURCE/tests/lib/packages.sh"; packages_prepare; }
#
# Sets DEBS, a directory with the three packages, and VM_BOOT; packages_tree prints the tree.

. "$SOURCE/tests/lib/vm.sh"

DEBS=$SOURCE/build/debian13/packages
packages_machine=(linux-image-amd64 kmod udev systemd systemd-sysv busybox-static erofs-utils xz-utils zstd fonts-dejavu-core libglib2.0-bin jq procps)

# What the packages depend on, by name, first alternatives, with what booting takes.
packages_needed() {
  {
    for deb in "$DEBS"/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g'
    printf '%s\n' "${packages_machine[@]}"
  } | LC_ALL=C sort -u
}
packages_tree() {
  mapfile -t vm_packages < <(packages_needed)
  trixie_path vm "${vm_packages[@]}"
}
# packages_build: the packages, as they are made in what debian13-build compiles.
packages_build() {
  local tree
  tree=$(debian13_tree)
  "$SOURCE/packaging/deb/build" "$tree" "$DEBS" >&2
}
packages_prepare() {
  packages_build
  mapfile -t vm_packages < <(packages_needed)
  "$SOURCE/tests/lib/trixie.sh" vm "${vm_packages[@]}" >/dev/null
}
# packages_boot: after that, what vm_start boots: the tree, under systemd when VM_CMDLINE has floe.systemd.
packages_boot() {
  VM_BOOT=$(vm_made boot vm-initrd.sh "${vm_modules[@]}") || die 'kernel, initrd and root file system of the test machine'
  export VM_BOOT
}
