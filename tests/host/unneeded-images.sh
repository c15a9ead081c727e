#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# light
# Image after image is published, and the disk does not fill: what no channel is at and no machine is on goes from the agent's store, its tables, the spool and
# hypervisord's copies. A machine stays on the version that its disk was begun on, however old, and is served all of its chunks. When it cannot be
# told what is needed, nothing goes.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/machine.sh"
LOGS=$WORK
trap 'status=$?; [ $status = 0 ] || tail -n 30 agent.log hypervisord.log server.log >&2; exit $status' EXIT
need jq

DATA=$WORK/data KEYS=$WORK/keys PASSPHRASE=$WORK/passphrase
repository=(--repo "$DATA/repo" --keys "$KEYS" --passphrase-file "$PASSPHRASE")
chmod 755 "$WORK"
mkdir -p "$DATA/repo"
echo correct horse >"$PASSPHRASE"
policy() { # MACHINE...: each keeps its disk
  jq -n '{ floe: 1, group: "office", machines: ($ARGS.positional | map({ id: ., title: ., colour: "#2e7d32", image: { name: "tiny", channel: "stable" }, vcpus: 1,
      memory_mib: 128, disk: "persist", firmware: "bios", networks: [], emulation: "allow", autostart: false,
      display: { clipboard: "none", file_transfer: "none", audio: false, screens: 1 } })),
    networks: {}, usb: [], console: { switch_next: "<Control><Alt>Right", switch_previous: "<Control><Alt>Left", switch_list: "<Control><Alt>Home", kiosk: false,
      banner: "", languages: ["en"] }, lease_days: 30, assignment: [{ who: "*", machines: $ARGS.positional }] }' --args "$@" >policy.json
  floe-policy publish-policy "${repository[@]}" policy.json >>publish.log
}
# publish N: version N, with a chunk that guests read and eight others that no other version has. LABELS has each one's version, tables/N its table.
publish() {
  local chunk
  for chunk in $((8 + $1)) $(seq 48 55); do printf 'version %s' "$1" | dd of=guest.raw bs=1 seek=$((chunk * 131072 + 100)) conv=notrunc status=none; done
  floe-image publish "${repository[@]}" --name tiny --channel stable --os other --firmware bios guest.raw >>publish.log
  LABELS[$1]=$(jq -r .version "$(ls -t "$DATA"/repo/targets/images/tiny/*.stable.json | head -n 1)")
  cp "$(ls "$DATA"/repo/targets/images/tiny/*."${LABELS[$1]}.table")" "tables/$1"
}
chunks_of() { local n; for n in "$@"; do "$BUILD/tests/chunk-ask" list "tables/$n" | cut -d' ' -f1; done | sort -u; }
only() { comm -23 <(chunks_of "$1") <(chunks_of "${@:2}"); } # N OTHER...: chunks of version N alone
stored() { find "$STATE/chunks" -name '*.cacnk' -printf '%f\n' | cut -d. -f1 | sort; }
store_is() { [ "$(stored)" = "$(chunks_of "$@")" ]; }
store_has() { [ -z "$(comm -13 <(stored) <(chunks_of "$@"))" ]; }
path_of() { echo "$STATE/chunks/${1:0:4}/$1.cacnk"; }
versions_in() { find "$1" -name "*.$2" -printf '%f\n' | sed "s/[.]$2\$//; s/.*[.]//" | sort; }
versions_are() { # DIRECTORY SUFFIX N...: of these versions files are there, and of no other
  local n
  [ "$(versions_in "$1" "$2")" = "$(for n in "${@:3}"; do echo "${LABELS[$n]}"; done | sort)" ]
}
# The machine on the first version starts, reads each of its chunks, and sees no error.
reads_all() {
  local before
  vm start one
  goes_on one 400
  before=$(rounds one)
  wait_for 400 'the guest to have read all of its chunks' counts_past one $((before + 40))
  [ "$(errors one)" = 0 ] || die "the guest on an old version saw $(errors one) disk errors"
  vm stop one --force
}
refresh() { kill -HUP "$(agent_pid)"; }

mkdir tables
LABELS=()
endpoint_users
endpoint_world
make_guest
floe-policy init "${repository[@]}" >publish.log
publish 1
policy one two
chown -R $SERVER_UID "$DATA"
server_start
endpoint_bus
endpoint_config office
hypervisord_start
supervise /run/agent.pid agent.log "${as_agent[@]}" floe-agent --config $CONFIG --interval 6
wait_for 400 'a policy' policy_in_force
wait_for 400 'version 1 to be here' store_is 1
vm start one
goes_on one 400
vm stop one --force

say 'five versions more'
for n in 2 3 4 5 6; do
  publish $n
  refresh
  wait_for 400 "version $n to be here" store_has $n
done
for n in 2 3 4 5; do [ "$(only $n 1 6 | wc -l)" -ge 8 ] || die "version $n has no chunks of its own"; done
wait_for 400 'chunks of versions that nobody needs to go' store_is 1 6
wait_for 400 'that to be said' grep -q 'no image has were removed from the store COUNT=[1-9]' agent.log
wait_for 400 'their tables to go' versions_are "$STATE/spool/targets/images/tiny" table 6
versions_are "$STATE/spool/targets/images/tiny" caibx 6 || die "indexes in the spool: $(versions_in "$STATE/spool/targets/images/tiny" caibx)"

say 'the machine on the first version reads a chunk that was altered, and one that is gone'
mapfile -t own < <(only 1 6)
for chunk in "${own[@]}"; do printf '\xff\x00' | dd of="$(path_of "$chunk")" bs=1 seek=60 conv=notrunc status=none; done
rm "$(path_of "${own[0]}")"
reads_all

say 'an agent that has lost its own tables'
kill -KILL "$(agent_pid)"
rm -rf "$STATE/agent/images"
wait_for 400 'the image to be known by the machine on it' grep -q "known by the machines that are on it IMAGE=tiny/${LABELS[1]}" agent.log
for chunk in "${own[@]}"; do rm -f "$(path_of "$chunk")"; done
reads_all

say 'what is kept of a machine cannot be read: nothing goes'
mkdir "$STATE/hypervisor/machines/broken"
echo '{' >"$STATE/hypervisor/machines/broken/disk.json"
publish 7
refresh
wait_for 400 'version 7 to be here' store_has 7
wait_for 400 'the reason' grep -q 'which images are needed: chunks of old ones stay.*machine: broken/disk.json' agent.log
sleep 20
store_has 6 7 || die 'chunks went though it is not known what is needed'
rm -r "$STATE/hypervisor/machines/broken"
gone() { [ -z "$(comm -12 <(stored) <(only 6 1 7))" ]; }
wait_for 400 'version 6 to go' gone

say 'a machine that has left the policy keeps its disk, and what that needs'
policy two
refresh
left() { ! vm list | quietly grep -w one; }
wait_for 400 'machine one to be gone' left
have=$(comm -12 <(stored) <(only 1 7) | wc -l)
[ "$have" -gt 0 ] || die 'nothing of version 1 is here'
sleep 15
[ "$(comm -12 <(stored) <(only 1 7) | wc -l)" = "$have" ] || die 'chunks of a kept disk have gone'
wait_for 400 "hypervisord's copies to go" versions_are "$STATE/hypervisor/images/tiny" table 1 7
for suffix in json caibx; do versions_are "$STATE/hypervisor/images/tiny" $suffix 1 7 || die "copies that stay: $(versions_in "$STATE/hypervisor/images/tiny" $suffix)"; done
rm -r "$STATE/hypervisor/machines/one"
last() { [ -z "$(comm -13 <(chunks_of 7) <(stored))" ]; }
wait_for 400 'the rest to go with its disk' last
store_has 7 || die 'chunks of the version that is current have gone'
figure unneeded_chunks_removed "$(grep -o 'removed from the store COUNT=[0-9]*' agent.log | awk -F= '{ n += $2 } END { print n + 0 }')"
