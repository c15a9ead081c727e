#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# The .debs: made twice, in two places, they have the same bits; they install into a Debian 13 tree that has what they depend on and no more; users,
# directories, owners and modes are right there, programs run, bus and polkit know who may what; removed and purged, nothing is left.
before_sandbox() { . "$SOURCE/tests/lib/packages.sh"; packages_prepare; }
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/packages.sh"

say 'the same packages again, compiled in another place'
rm -rf "$WORK/again"
# Compiled, and not taken from what the first build left.
CCACHE_DIR= "$SOURCE/packaging/deb/build" --name again "$(debian13_tree)" "$WORK/again" >built 2>build.log || { cat build.log; die 'the second build'; }
[ "$(wc -l <built)" = 3 ] || { cat built; die 'three packages wanted'; }
(cd "$DEBS" && sha256sum ./*.deb) >first
(cd "$WORK/again" && sha256sum ./*.deb) >second
diff first second || die 'two builds of one checkout differ'
figure packages_reproducible 1

say 'installed, tried, removed'
tree=$(packages_tree)
tree_inside "$tree" "$DEBS" FLOE_PATIENCE="$FLOE_PATIENCE" bash /source/tests/lib/packages-inside.sh >inside.log 2>&1 || { tail -n 40 inside.log; die 'in the tree'; }
cat inside.log
for deb in "$DEBS"/*.deb; do
  figure "$(basename "$deb" | sed 's/_.*//; s/-/_/g')_kib" $(($(stat -c %s "$deb") / 1024)) KiB
done
