#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The C code builds with Debian 13's gcc and clang, warnings being errors, and its unit tests pass there: what the appliance runs.
before_sandbox() {
  local packages
  need mmdebstrap
  mapfile -t packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[build]"; next } on && !/\?$/' "$SOURCE/packaging/packages")
  # qemu-img is what a unit test asks for its opinion of our overlays.
  tree=$("$SOURCE/tests/lib/trixie.sh" build "${packages[@]}" clang qemu-utils)
  export tree
}
. "$(dirname "$0")/../lib/host.sh"

# Over the tree lies what this test writes; the tree itself is shared and stays as it was made. In memory: overlayfs wants an upper
# layer that is no overlay itself, which a container's disk may be.
mkdir -p /run/build-overlay root
mount -t tmpfs -o mode=755,size=3g tmpfs /run/build-overlay
mkdir /run/build-overlay/upper /run/build-overlay/work
mount -t overlay -o "lowerdir=$tree,upperdir=/run/build-overlay/upper,workdir=/run/build-overlay/work" overlay root
mkdir -p root/source root/build
mount --bind "$SOURCE" root/source
mount -o remount,ro,bind root/source
mount -t proc proc root/proc
mount --rbind /dev root/dev
inside() { chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp "$@"; }

for compiler in gcc clang; do
  inside CC=$compiler cmake -G Ninja -S /source -B /build/$compiler >"$compiler.log" 2>&1 || { tail -n 30 "$compiler.log"; die "cmake with $compiler"; }
  inside ninja -C /build/$compiler >>"$compiler.log" 2>&1 || { grep -A12 -m3 FAILED "$compiler.log"; die "build with $compiler"; }
  say "$compiler: $(inside $compiler --version | head -n 1): built"
done
tests=0 failed=
for program in root/build/gcc/tests/*-test; do
  name=$(basename "$program")
  inside env FLOE_BUILD=/build/gcc timeout 300 "/build/gcc/tests/$name" >test.log 2>&1 || { tail -n 30 test.log; failed+=" $name"; }
  tests=$((tests + 1))
done
[ -z "$failed" ] || die "on Debian 13:$failed"
[ $tests -gt 0 ] || die 'no unit test was built'
figure debian13_unit_tests $tests
