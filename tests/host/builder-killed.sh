#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An image's builder that is killed while its tree is being made leaves nothing mounted: whoever removes the half-made tree removes that tree alone.
. "$(dirname "$0")/../lib/host.sh"
export FLOE_CACHE=$WORK/cache
mkdir cache bin host-dev debs
echo kept >host-dev/file
# What build-appliance looks for before it makes a tree.
touch debs/floe-endpoint_1_amd64.deb

# In mmdebstrap's place: it mounts, as that does, and is then at work for ever. The tree is what of its arguments lies in the cache.
cat >bin/mmdebstrap <<SH
#!/bin/bash
for argument; do case \$argument in "$FLOE_CACHE"/*) tree=\$argument ;; esac; done
mkdir -p "\$tree/dev"
mount --bind "$WORK/host-dev" "\$tree/dev"
echo "\$tree" >"$WORK/tree.new"
mv "$WORK/tree.new" "$WORK/tree"
exec sleep 1000000
SH
chmod +x bin/mmdebstrap

for builder in 'build-desktop desktop.raw' 'build-appliance --debug --source /nowhere --debs debs --output floe.raw'; do
  rm -f tree
  PATH=$WORK/bin:$PATH setsid floe-image $builder >builder.log 2>&1 &
  pid=$!
  mounted() { [ -s tree ] || { kill -0 $pid || die "$builder: $(cat builder.log)"; false; }; }
  wait_for 30 "$builder to mount" mounted
  tree=$(cat tree)
  quietly grep -F " $tree/dev " /proc/$pid/mountinfo || die "$builder: the test's own mount is not there"
  # setsid forks no child of its own in a background job: the builder leads its group.
  kill -KILL -- -$pid
  wait $pid 2>/dev/null || true
  ! grep -F " $FLOE_CACHE/" /proc/self/mountinfo || die "$builder: left mounted"
  rm -rf "${tree:?}"
  [ -e host-dev/file ] || die "$builder: removing its tree removed what had been mounted in it"
  say "$builder: nothing left"
done
