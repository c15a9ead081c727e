#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An appliance updates itself, from floe-image publish-appliance over floe-server and floe-agent to floe-slot and the disk: only what changed travels, the
# other slot is written and verified (veritysetup says so too), the boot entry has three tries. Then what must be refused: older
# versions, altered index, table, chunk and description, metadata offered again, what does not fit. A version that failed is
# reported and not tried again. Power cuts and deaths at each system call are tests/unit/slot-power-test.c's.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/slots.sh"
need veritysetup; need sfdisk; need jq; need setpriv; need strace

AGENT=64901
chmod 755 "$WORK"
STATE=$WORK/state
mkdir -p data/repo "$STATE" /run/floe
chmod 755 /run/floe
ip netns add server
ip link add uplink type veth peer name uplink netns server
ip address add 192.0.2.2/24 dev uplink
ip link set uplink up
ip netns exec server ip link set lo up
ip netns exec server ip address add 192.0.2.1/24 dev uplink
ip netns exec server ip link set uplink up
echo secret >passphrase
repository=(--repo data/repo --keys keys --passphrase-file passphrase)
floe-policy init "${repository[@]}" >publish.log
head -c 1048576 /dev/urandom >desktop.raw
floe-image publish "${repository[@]}" --name desktop --channel stable desktop.raw >>publish.log
floe-policy publish-policy "${repository[@]}" "$SOURCE/docs/examples/office.json" >>publish.log

# publish N [OPTION...]
publish() {
  floe-image publish-appliance "${repository[@]}" --version "$1" --root "v$1/root" --verity "v$1/verity" --uki "v$1/uki" \
    --root-hash "$(cat "v$1/roothash")" "${@:2}"
}
# refused WHAT WORDS COMMAND...: it fails and says why.
refused() {
  local what=$1 words=$2 status=0; shift 2
  "$@" >out 2>&1 || status=$?
  [ $status != 0 ] || { cat out; die "$what was accepted"; }
  grep -q -- "$words" out || { cat out; die "$what was refused for another reason than: $words"; }
}

say 'versions'
make_root base 12
make_version v1 1 base
# Every fourth chunk changes, by a byte in it.
cp base base2
for ((i = 0; i < 96; i += 4)); do change base2 $((i * 131072 + 77)) x; done
make_version v2 2 base2
cp base2 base3; change base3 5000000 third; make_version v3 3 base3
cp base2 base4; change base4 6000000 fourth; make_version v4 4 base4
make_root large 20; make_version v5 5 large
cp base2 base6; change base6 7000000 sixth; make_version v6 6 base6
# As build-appliance leaves it.
mkdir parts
cp v1/root parts/root; cp v1/verity parts/root.verity; cp v1/uki parts/floe.efi
printf 'version=1\nroothash=%s\nkernel=6\nfiles:\n12 version=9\n' "$(cat v1/roothash)" >parts/manifest
floe-image publish-appliance "${repository[@]}" parts >>publish.log
grep -q 'channel stable of the appliance is at 1' publish.log || die 'the parts that build-appliance leaves are not published'

say 'what the publisher is told'
cp -r v2 v2bad; change v2bad/root 100000 altered
refused 'a root that its tree is not of' 'level 0' floe-image publish-appliance "${repository[@]}" --version 2 --root v2bad/root --verity v2/verity --uki v2/uki --root-hash "$(cat v2/roothash)"
refused 'a kernel image of another version' 'command line' floe-image publish-appliance "${repository[@]}" --version 2 --root v2/root --verity v2/verity --uki v1/uki --root-hash "$(cat v2/roothash)"
refused 'a version with another root' 'never changed' floe-image publish-appliance "${repository[@]}" --version 1 --root v2/root --verity v2/verity --uki v2/uki --root-hash "$(cat v2/roothash)"

say 'an appliance that runs version 1'
make_disk disk boot v1 1 16
for version in 1 2 3 4 6; do
  echo "quiet roothash=$(cat v$version/roothash)" >"line$version"
  printf 'ID=floe\nIMAGE_VERSION="%s"\n' $version >"release$version"
done
pin=$(floe-server --data data --print-pin)
cat >floe.conf <<TXT
[server]
url=https://192.0.2.1:8443
pin=$pin
[endpoint]
group=office
[paths]
state=$STATE
run=/run/floe
root=$WORK/root.json
[host]
uid_base=630000
usb=observe
[appliance]
channel=stable
TXT
cp data/repo/metadata/1.root.json root.json
install -d -m 755 -o $AGENT -g $AGENT "$STATE"/{agent,spool,chunks} /run/floe/agent
# slot COMMAND VERSION [OPTION...]: floe-slot on a machine that runs VERSION.
slot() { floe-slot "$1" --config floe.conf --disk disk --boot boot --command-line "line$2" --os-release "release$2" "${@:3}"; }
starts() { [ "$(floe-slot check --disk disk --boot boot)" = "$1" ] || die "version $1 does not start next: $(floe-slot check --disk disk --boot boot 2>&1)"; }
starts 1
slot good 1
[ -s "$STATE/slot/running.chunks" ] || die 'no list of what the running version has'

say 'the agent has the desktop, and nothing to fetch of the version that runs'
ip netns exec server floe-server --data data --listen 192.0.2.1:8443 2>>server.log &
server=$!
wait_for 20 'floe-server' ip netns exec server bash -c 'exec 3<>/dev/tcp/192.0.2.1/8443'
setpriv --reuid=$AGENT --regid=$AGENT --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- \
  "$BUILD/bin/floe-agent" --config floe.conf --interval 3600 2>>agent.log &
agent=$!
ready() { [ "$(cat "$STATE/spool/appliance.ready" 2>/dev/null)" = "$1" ]; }
stored() { find "$STATE/chunks" -name '*.cacnk' | wc -l; }
has() { [ "$(stored)" = "$1" ]; }
wait_for 60 'version 1 to be here' ready 1
wait_for 60 'the eight chunks of the desktop' has 8
slot update 1 | grep -q 'newest' || die 'version 1 is not content with itself'

say 'version 2 arrives: only what changed travels, and what of it was there before, altered'
chunks_of() { find "$1" -name '*.cacnk' -printf '%P\n' | sort; }
chunks_of data/repo/chunks >published.1
publish 2 >publish2.log
# Name and size are right. floe-slot would refuse it when all is announced, and the update would wait for the next version.
altered=$(chunks_of data/repo/chunks | comm -13 published.1 - | head -n 1)
[ -n "$altered" ] || die 'version 2 has no chunk of its own'
install -d -m 755 -o $AGENT -g $AGENT "$STATE/chunks/${altered%/*}"
cp "data/repo/chunks/$altered" "$STATE/chunks/$altered"
change "$STATE/chunks/$altered" 100 altered
! cmp -s "data/repo/chunks/$altered" "$STATE/chunks/$altered" || die 'the chunk is not altered'
changed=$(sed -n 's/.*added [0-9]* chunks, \([0-9]*\) bytes/\1/p' publish2.log | awk '{ n += $1 } END { print n }')
chunks=$(sed -n 's/.*added \([0-9]*\) chunks.*/\1/p' publish2.log | awk '{ n += $1 } END { print n }')
received() { ip -s -j link show uplink | jq '.[0].stats64.rx.bytes'; }
begun=$(received)
kill -HUP $agent
wait_for 60 'the chunks of version 2' ready 2
cmp "data/repo/chunks/$altered" "$STATE/chunks/$altered" || die 'version 2 is announced with an altered chunk'
grep "not as it should be.*DIGEST=$(basename "$altered" .cacnk)" agent.log || { cat agent.log; die 'the log does not say which chunk was altered'; }
has $((8 + chunks)) || die "$(stored) chunks in the store, $((8 + chunks)) expected"
# Everything counts: metadata, descriptions, indexes, tables, TLS.
fetched=$(($(received) - begun))
say "fetched $fetched bytes, the $chunks chunks that changed have $changed"
ratio=$(awk -v a=$fetched -v b="$changed" 'BEGIN { printf "%.3f", a / b }')
awk -v r="$ratio" 'BEGIN { exit !(r < 1.1) }' || die "$ratio times the chunks that changed were fetched"
figure update_bytes_ratio "$ratio"

say 'it is installed'
strace -f -o trace -e trace=%network,execve,mount floe-slot update --config floe.conf --disk disk --boot boot --command-line line1 --os-release release1 >out
grep -q 'version 2 is installed' out || { cat out; die 'not installed'; }
[ "$(grep -c 'socket(\|connect(\|mount(' trace || true)" = 0 ] || die 'floe-slot opened a socket'
[ -e boot/EFI/Linux/floe_2+3.efi ] && [ -e boot/EFI/Linux/floe_1.efi ] || die "entries: $(ls boot/EFI/Linux)"
cmp boot/EFI/Linux/floe_2+3.efi v2/uki
[ "$(disk_label disk 2) $(disk_label disk 4) $(disk_label disk 5)" = 'floe_1 floe_2 floe_2_verity' ] || die "labels: $(sfdisk -d disk)"
verify_slot disk "$(cat v2/roothash)" || die 'veritysetup refuses what was written'
verify_slot disk "$(cat v1/roothash)" || die 'the running slot was touched'
sfdisk -V disk | grep -q 'No errors' || die 'the partition table has errors'
starts 2
slot update 1 | grep -q 'is installed' || die 'a second update is not content'
[ "$(slot update 2 | grep -c 'newest')" = 1 ] || die 'version 2 is not content with itself'
slot good 2 | grep -q 'version 2 is good' || die 'version 2 is not good'
[ -e boot/EFI/Linux/floe_2.efi ] && [ ! -e boot/EFI/Linux/floe_2+3.efi ] || die "entries: $(ls boot/EFI/Linux)"

# offer N [OPTION...]: publishes it, and the endpoint's spool and store have all of it.
offer() {
  publish "$@" >>publish.log
  cp -a data/repo/metadata data/repo/targets "$STATE/spool/"
  cp -a data/repo/chunks/???? "$STATE/chunks/"
}
kill $agent $server
wait $agent $server 2>/dev/null || true
snapshot() { sha256sum disk; find boot -type f -exec sha256sum {} + | sort; }
unchanged() { snapshot | diff - "$1" || die "$2: the disk or the boot partition was changed"; }

say 'refusals: nothing is written'
cp -a "$STATE/spool" spool.2
offer 3
snapshot >before
try_altered() { # WHAT FILE WORDS
  local kept status=0
  kept=$(mktemp kept.XXXXXX)
  cp -p "$2" "$kept"
  printf '\x55' | dd of="$2" bs=1 seek=$(($(stat -c %s "$2") / 2)) conv=notrunc status=none
  refused "$1" "$3" slot update 2
  unchanged before "$1"
  cp -p "$kept" "$2"
}
hash_of() { sha256sum "$1" | cut -d' ' -f1; }
newest() { jq -r ".signed.targets[\"appliance/$1\"].hashes.sha256" "$(ls -t "$STATE"/spool/metadata/*.appliance.json | head -n 1)"; }
description=$(echo "$STATE"/spool/targets/appliance/"$(newest stable.json)".stable.json)
index=$(jq -r .root.index "$description"); table=$(jq -r .root.table "$description")
tries=0
for file in "$description" "$STATE"/spool/targets/appliance/"$index".*.caibx "$STATE"/spool/targets/appliance/"$table".*.table "$STATE"/spool/metadata/timestamp.json; do
  try_altered "$(basename "$file") altered" "$file" ''
  tries=$((tries + 1))
done
cp -a "$STATE/spool" spool.3
rm -rf "$STATE/spool"; cp -a spool.2 "$STATE/spool"
# The endpoint saw version 3's metadata when it was refused for a target alone.
refused 'metadata of yesterday' 'older\|ollback\|version' slot update 2
unchanged before 'metadata of yesterday'
rm -rf "$STATE/spool"; cp -a spool.3 "$STATE/spool"
mv boot boot.kept; mkdir boot; mount -t tmpfs -o size=1200k tmpfs boot; cp -a boot.kept/. boot/
snapshot >before.full
refused 'a full boot partition' 'boot partition' slot update 2
unchanged before.full 'a full boot partition'
umount boot; rmdir boot; mv boot.kept boot
# A chunk that no version before has.
list() { "$BUILD/tests/chunk-ask" list "$1" | cut -d' ' -f1; }
list "$STATE"/spool/targets/appliance/"$table".*.table | sort >chunks.3
for file in spool.2/targets/appliance/*.table; do list "$file"; done | sort -u >chunks.before
only=$(comm -23 chunks.3 chunks.before | head -n 1)
only=$STATE/chunks/${only:0:4}/$only.cacnk
mv "$only" chunk.kept
slot update 2 | grep -q 'not here yet' || die 'a missing chunk is not waited for'
unchanged before 'a missing chunk'
jq -e '.problem | contains("not here yet")' "$STATE/slot/report.json" >/dev/null || die 'the report does not say what is missing'
# One that is altered is found while the slot is written: it stays empty, and the running version's entry is what is left.
cp chunk.kept "$only"; printf '\x55' | dd of="$only" bs=1 seek=1000 conv=notrunc status=none
refused 'an altered chunk' 'chunk .* refused' slot update 2
starts 2
[ "$(disk_label disk 2)" = _empty ] && [ "$(ls boot/EFI/Linux)" = floe_2.efi ] || die 'a slot with an altered chunk has a name'
mv chunk.kept "$only"
slot update 2 | grep -q 'version 3 is installed' || die 'version 3 after the chunk was mended'
starts 3
verify_slot disk "$(cat v3/roothash)"
figure update_refusals $((tries + 5))

say 'version 3 fails three times: it is reported, and not tried again'
mv boot/EFI/Linux/floe_3+3.efi boot/EFI/Linux/floe_3+0-3.efi
starts 2
slot good 2 | grep -q 'version 3 was tried and failed' || die 'the fall-back is not told'
[ "$(jq -c .failed "$STATE/slot/report.json")" = '[3]' ] || die "report: $(cat "$STATE/slot/report.json")"
slot update 2 | grep -q 'not tried again by itself' || die 'version 3 is tried again'
starts 2
slot update 2 --again | grep -q 'version 3 is installed' || die '--again does not install it'
starts 3
mv boot/EFI/Linux/floe_3+3.efi boot/EFI/Linux/floe_3+2-1.efi
offer 4
refused 'an update while the running version is on trial' 'on trial' slot update 3
starts 3
slot good 3 >/dev/null
[ -e boot/EFI/Linux/floe_3.efi ] || die "entries: $(ls boot/EFI/Linux)"

say 'another one is at work, or it is too early: whoever started it does so again (status 4)'
status_of() { local status=0; "$@" >out 2>&1 || status=$?; echo $status; }
(
  exec 5<"$STATE/slot"
  flock 5
  slot overdue 3 5<&- >overdue.out 2>&1 & overdue=$!
  for command in update good status; do
    [ "$(status_of slot $command 3 5<&-)" = 4 ] && grep -q 'another floe-slot' out || die "$command beside another one: $(cat out)"
  done
  kill -0 $overdue 2>/dev/null || die "overdue has not waited: $(cat overdue.out)"
  exec 5<&-
  wait $overdue || die "overdue, once it is alone: $(cat overdue.out)"
)
mv boot/EFI/Linux/floe_3.efi boot/EFI/Linux/floe_3+2-1.efi
[ "$(status_of slot update 3)" = 4 ] || die "an update on trial: $(cat out)"
slot good 3 >/dev/null

say 'an older version'
refused 'an older version to publish' 'allow-older' publish 2
publish 2 --channel old >>publish.log
cp -a data/repo/metadata data/repo/targets "$STATE/spool/"
sed 's/^channel=.*/channel=old/' floe.conf >old.conf
snapshot >before
refused 'an older version' 'older than 3' floe-slot update --config old.conf --disk disk --boot boot --command-line line3 --os-release release3
unchanged before 'an older version'
offer 2 --allow-older
slot update 3 | grep -q 'version 2 is installed' || die 'signed metadata may go back'
starts 2
# What still runs is good, and says so again when one of its daemons was restarted: that neither holds up the older version nor shuts it out.
slot good 3 >/dev/null
starts 2
jq -e '.ran == 2' "$STATE/slot/record.json" >/dev/null || die 'the version that is to run is older than the record allows'
slot good 2 >/dev/null
starts 2

say 'what does not fit'
offer 5
refused 'a root larger than its partition' "slot's partition" slot update 2
starts 2
offer 6 --replaces 4
refused 'a version that wants another one first' 'has to come first' slot update 2
starts 2
