# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after base.sh: work inside a Debian tree, a directory that one can chroot into and that is only read. Its release need not be the host's.

# tree_inside TREE PLACE COMMAND...: runs COMMAND in TREE, with this checkout at /source, read-only, and the directory PLACE at /build. Over the
# tree lies what the command writes, in memory: the tree is shared and stays as it was made, and overlayfs wants an upper layer that
# is no overlay itself, which a container's disk may be. A compiler cache of the caller's (CCACHE_DIR) is at /ccache.
tree_inside() {
  local tree=$1 place=$2; shift 2
  mkdir -p "$place"
  unshare --mount --pid --fork --kill-child=KILL bash -euc '
    source=$1 tree=$2 place=$3; shift 3
    mount -t tmpfs -o mode=755,size=3g tmpfs /run
    mkdir /run/upper /run/work /run/root
    mount -t overlay -o "lowerdir=$tree,upperdir=/run/upper,workdir=/run/work" overlay /run/root
    mkdir -p /run/root/source /run/root/build
    mount --bind "$source" /run/root/source
    mount -o remount,ro,bind /run/root/source
    mount --bind "$place" /run/root/build
    [ -z "${CCACHE_DIR:-}" ] || { mkdir -p "$CCACHE_DIR" /run/root/ccache; mount --bind "$CCACHE_DIR" /run/root/ccache; }
    mount -t proc proc /run/root/proc
    mount --rbind /dev /run/root/dev
    exec chroot /run/root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp "$@"
  ' bash "$SOURCE" "$tree" "$place" "$@"
}

# tree_build TREE PLACE NAME COMPILER [TARGET...]: compiles this checkout in TREE into PLACE/NAME, as packages want it: for the prefix /usr, and
# with the same bits wherever NAME is. Built once and then as needed; who comes meanwhile waits. Prints the end of what the build
# said when it fails, and fails.
tree_build() {
  local tree=$1 place=$2 name=$3 compiler=$4 status=0 launcher=; shift 4
  [ -z "${CCACHE_DIR:-}" ] || [ ! -x "$tree/usr/bin/ccache" ] || launcher=ccache
  mkdir -p "$place"
  exec 8>"$place/$name.lock"
  flock 8
  {
    { [ -e "$place/$name/build.ninja" ] && grep -qx CMAKE_INSTALL_PREFIX:PATH=/usr "$place/$name/CMakeCache.txt"; } || {
      rm -rf "${place:?}/$name" &&
        tree_inside "$tree" "$place" CC="$compiler" CFLAGS="-ffile-prefix-map=/build/$name=build -ffile-prefix-map=/source=source" \
          cmake -G Ninja -S /source -B "/build/$name" -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_C_COMPILER_LAUNCHER="$launcher"
    } &&
      tree_inside "$tree" "$place" CCACHE_DIR=/ccache CCACHE_DEPEND=1 CCACHE_MAXSIZE=3G ninja -C "/build/$name" "$@"
  } >"$place/$name.log" 2>&1 8>&- || status=$?
  exec 8>&-
  [ $status = 0 ] || { grep -A12 -m3 FAILED "$place/$name.log" || tail -n 30 "$place/$name.log"; }
  return $status
}
