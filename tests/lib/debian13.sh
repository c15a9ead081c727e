# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after packaging/lib/base.sh: this checkout compiled in a Debian 13 tree, whatever the host, into build/debian13: what the appliance
# runs. Built once and then as needed; who comes meanwhile waits.

# debian13_tree: the path of the tree that compiles; it needs the archive's network when it is not cached. qemu-img is what a unit test asks
# for its opinion of our overlays.
debian13_tree() {
  local packages
  need mmdebstrap
  mapfile -t packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[build]"; next } on && !/\?$/' "$SOURCE/packaging/packages")
  "$SOURCE/tests/lib/trixie.sh" build "${packages[@]}" clang qemu-utils
}

# debian13_inside TREE COMMAND...: runs COMMAND in TREE, with this checkout at /source, read-only, and build/debian13 at /build. Over the
# tree lies what the command writes, in memory: the tree is shared and stays as it was made, and overlayfs wants an upper layer that
# is no overlay itself, which a container's disk may be.
debian13_inside() {
  local tree=$1; shift
  mkdir -p "$SOURCE/build/debian13"
  unshare --mount --pid --fork --kill-child=KILL bash -euc '
    source=$1 tree=$2; shift 2
    mount -t tmpfs -o mode=755,size=3g tmpfs /run
    mkdir /run/upper /run/work /run/root
    mount -t overlay -o "lowerdir=$tree,upperdir=/run/upper,workdir=/run/work" overlay /run/root
    mkdir -p /run/root/source /run/root/build
    mount --bind "$source" /run/root/source
    mount -o remount,ro,bind /run/root/source
    mount --bind "$source/build/debian13" /run/root/build
    mount -t proc proc /run/root/proc
    mount --rbind /dev /run/root/dev
    exec chroot /run/root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp "$@"
  ' bash "$SOURCE" "$tree" "$@"
}

# debian13_build TREE COMPILER: everything, into build/debian13/COMPILER. Prints the end of what the build said when it fails, and fails.
debian13_build() {
  local tree=$1 compiler=$2 place=$SOURCE/build/debian13 status=0
  mkdir -p "$place"
  exec 8>"$place/$compiler.lock"
  flock 8
  {
    [ -e "$place/$compiler/build.ninja" ] ||
      debian13_inside "$tree" CC="$compiler" cmake -G Ninja -S /source -B "/build/$compiler" &&
      debian13_inside "$tree" ninja -C "/build/$compiler"
  } >"$place/$compiler.log" 2>&1 8>&- || status=$?
  exec 8>&-
  [ $status = 0 ] || { grep -A12 -m3 FAILED "$place/$compiler.log" || tail -n 30 "$place/$compiler.log"; }
  return $status
}
