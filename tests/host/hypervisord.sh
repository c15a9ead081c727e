#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-hypervisord with a real bus, policy, nbdkit and QEMU, and a guest of one sector: machines start, stop, reset, are suspended and
# resumed, outlive the daemon and nbdkit, and leave nothing.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
trap 'status=$?; [ $status = 0 ] || { tail -n 40 daemon.log >&2; }; exit $status' EXIT

write_policy() {
  cat >test.json <<JSON
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "one", "title": "One", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": ["lan"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": true, "screens": 1 } },
    { "id": "two", "title": "Two", "colour": "#c62828", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "persist", "firmware": "bios", "networks": [], "emulation": "${1:-allow}", "autostart": false,
      "display": { "clipboard": "both", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "three", "title": "Three", "colour": "#1565c0", "image": { "name": "uefi", "channel": "stable" }, "vcpus": 2, "memory_mib": 128,
      "disk": "persist", "firmware": "uefi", "networks": ["lan"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": true, "screens": 2 } },
    { "id": "wrong", "title": "Wrong", "colour": "#000000", "image": { "name": "uefi", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "tpm", "title": "TPM", "colour": "#000000", "image": { "name": "tpm", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "huge", "title": "Huge", "colour": "#000000", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 1048576,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "full", "title": "Full", "colour": "#000000", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "absent", "title": "Absent", "colour": "#000000", "image": { "name": "nothing", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": { "lan": { "mode": "nat", "egress": [ { "id": "web", "protocol": "tcp", "to": ["203.0.113.0/24"], "ports": ["80"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one", "two", "three", "wrong", "tpm", "huge", "full", "absent"] }] }
JSON
  publish_policy test.json
}

start_bus
make_guest
make_repository
publish() { floe-image publish --repo "$REPO" --keys keys --passphrase-file pass --os other "$@" guest.raw >>repo.log; }
publish --name uefi --firmware uefi
publish --name tpm --firmware bios --tpm
write_policy
make_config
spool
mkdir -p "$STATE/hypervisor/machines/full"
mount -t tmpfs -o size=128m tmpfs "$STATE/hypervisor/machines/full"
setpriv --bounding-set=-net_admin floe-hypervisord --config "$CONFIG" 2>err && die 'the daemon runs without a capability that it needs'
grep -q 'capability cap_net_admin is missing' err || die "$(cat err)"
start_daemon
vm status
vm list

say 'root, but with a small set of capabilities, in every thread'
# bits NAME...: as in /proc/PID/status, by the numbers of linux/capability.h.
bits() {
  local value=0 name
  for name in "$@"; do
    value=$((value | 1 << $(awk -v name="CAP_${name^^}" '$1 == "#define" && $2 == name { print $3 }' /usr/include/linux/capability.h)))
  done
  printf '%016x' $value
}
# has_only PID NAME...: what each thread of the process has, could have, and hands on.
has_only() {
  local pid=$1 set task; shift
  set=$(bits "$@")
  for task in "/proc/$pid/task/"*/status; do
    awk -v wanted="$set" '/^Cap(Eff|Prm|Bnd):/ && $2 != wanted { print FILENAME, $1, $2, "wanted", wanted; bad = 1 }
      /^NoNewPrivs:/ && $2 != 1 { print FILENAME, $0; bad = 1 } END { exit bad }' "$task" || return 1
  done
}
has_only $DAEMON_PID sys_admin setuid setgid setpcap chown kill dac_read_search net_admin net_raw net_bind_service ||
  die 'the daemon has other capabilities'
[ "$(ls /proc/$DAEMON_PID/task | wc -l)" -gt 1 ] || die 'the daemon shows a single thread'
awk '/^Cap(Inh|Amb):/ && $2 !~ /^0+$/ { exit 1 }' /proc/$DAEMON_PID/status || die 'what the daemon starts inherits capabilities'

say 'start'
vm start one
goes_on one
vm list
vm stats one
has_only "$(pgrep -x dnsmasq)" net_admin net_bind_service || die 'the DHCP server has other capabilities'
has_only "$(stat_of one pid)" || die 'QEMU has capabilities'
has_only "$(stat_of one nbd_pid)" || die 'nbdkit has capabilities'

say 'a QEMU or nbdkit that its guest took over fills no disk: no file beyond what the machine has, nowhere to make others'
size=$(awk '/^Max file size/ { print $4 }' "/proc/$(stat_of one pid)/limits")
[ "$size" != unlimited ] && [ "$size" -lt $((3 << 30)) ] || die "QEMU may write files of $size bytes"
for process in pid nbd_pid; do
  writable=$(awk '$6 ~ /^rw/ && $5 !~ /^\/dev\// { print $5 }' "/proc/$(stat_of one $process)/mountinfo")
  [ -z "$writable" ] || die "$process may write to $writable"
done

say "two machines"
vm start two
goes_on two
goes_on one
[ "$(stat_of two mac)" = '' ] || die 'a machine without network has a card'

say 'reset'
vm reset one
goes_on one

say 'nbdkit is killed: the guest goes on'
before=$(stat_of one nbd_pid)
kill -9 "$before"
wait_for 20 'another nbdkit' bash -c "pid=\$(floe-vm stats one | awk '\$1 == \"nbd_pid\" { print \$2 }'); [ -n \"\$pid\" ] && [ \$pid != 0 ] && [ \$pid != $before ]"
goes_on one 60
[ "$(errors one)" = 0 ] || die "the guest saw $(errors one) disk errors"

say 'the daemon is killed: machines go on, and are found again'
qemu=$(stat_of one pid)
kill -9 $DAEMON_PID
goes_on one
ip link show floe0 >/dev/null 2>&1 || die 'the tap went with the daemon'
start_daemon
machine_is one starting || die "adopted machine is $(machine_get one State): $(machine_get one Problem)"
[ "$(stat_of one pid)" = "$qemu" ] || die 'another QEMU than before'
goes_on one
goes_on two
say 'nbdkit is killed after that'
before=$(stat_of two nbd_pid)
kill -9 "$before"
goes_on two 60
[ "$(errors two)" = 0 ] || die "the guest saw $(errors two) disk errors"

say 'suspend and resume, also by another life of the daemon'
count=$(rounds one)
vm suspend one
machine_is one suspended || die "suspended machine is $(machine_get one State)"
ip link show floe0 >/dev/null 2>&1 && die 'a suspended machine has a tap'
vm start one 2>err && die 'a suspended machine was started anew'
grep -q 'not while machine one is suspended' err || die "$(cat err)"
kill $DAEMON_PID
wait $DAEMON_PID || true
start_daemon
machine_is one suspended || die "suspended machine is $(machine_get one State) after a restart"
vm resume one
machine_is one running || die "resumed machine is $(machine_get one State)"
goes_on one
[ "$(rounds one)" -ge "$count" ] || die 'the guest began again instead of going on'

say 'stop: what is reset is gone, what is kept is there'
vm stop one --force
machine_is one stopped || die "stopped machine is $(machine_get one State)"
[ ! -e "$STATE/hypervisor/machines/one/overlay.qcow2" ] || die 'the overlay of a reset machine stays'
vm stop two --force
[ -n "$(rounds two)" ] || die 'the overlay of a kept machine is gone'
vm start two
vm stop two --force

say 'UEFI, with variables and two screens; suspended and resumed'
vm start three
pid=$(stat_of three pid)
tr '\0' '\n' <"/proc/$pid/cmdline" | quietly grep pflash0=firmware || die 'no UEFI firmware'
vm suspend three
vm resume three
vm stop three --force
[ -s "$STATE/hypervisor/machines/three/variables.fd" ] || die 'the UEFI variables of a kept machine are gone'

say 'the display: one connected SPICE channel for each call, none while it is off'
vm start one
"$BUILD/tests/open-display" one || die 'no SPICE server behind OpenDisplay'
vm stop one --force
"$BUILD/tests/open-display" one 2>err && die 'a stopped machine has a display'
grep -q 'org.floe.Error.Busy' err || die "$(cat err)"

say 'refusals'
refused() {
  vm start "$1" 2>err && die "machine $1 was started"
  grep -q "$2" err || die "machine $1: $(cat err)"
}
refused wrong 'boots by uefi, but the policy gives machine wrong bios'
refused tpm 'needs a TPM'
refused huge 'MiB'
refused full 'disk full'
refused absent 'images/nothing/stable.json'
vm start nobody 2>err && die 'a machine of no policy was started'
grep -q "no machine 'nobody'" err || die "$(cat err)"
vm reset one 2>err && die 'a stopped machine was reset'
write_policy refuse
spool
refresh() { gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method org.floe.Hypervisor1.SpoolChanged; }
refresh
vm start two 2>err && die 'emulation was refused by policy and happened'
grep -q 'policy refuses emulation' err || die "$(cat err)"
sed -i 's/"lease_days"/"leash_days"/' test.json
floe-policy publish-policy --repo "$REPO" --keys keys --passphrase-file pass test.json 2>err && die 'an unknown key was published'
say 'a policy altered on the way is refused, the one in force stays'
version=$(vm status | sed -n 's/^policy:.*version //p')
write_policy allow
spool
altered=$(ls -t "$STATE"/spool/targets/policy/*.test.json | head -n 1)
sed -i 's/"Two"/"Mine"/' "$STATE"/spool/targets/policy/*.test.json
refresh >/dev/null 2>err && die "an altered policy was taken ($altered)"
[ "$(vm status | sed -n 's/^policy:.*version //p')" = "$version" ] || die 'another version is in force'
vm status | quietly grep '^problem:' || die 'status shows no problem'
[ "$(machine_get two Title)" = Two ] || die 'a part of the altered policy is in force'
spool
refresh >/dev/null
vm status | quietly grep '^problem:' && die "a problem stays: $(vm status)"
vm start two
vm stop two --force
say 'a lease that has run out: neither a restart nor the same spool again renews it, a new timestamp does'
stop_daemon() { kill $DAEMON_PID; wait $DAEMON_PID || true; }
stop_daemon
now=$(date +%s) clock=$STATE/hypervisor/clock.json
sed -i -E "s/\"refreshed\": [0-9]+/\"refreshed\": $((now - 31 * 86400))/" "$clock"
start_daemon
refused two 'no contact with the management server for 31 days'
spool
refresh >/dev/null
refused two 'no contact with the management server for 31 days'
floe-policy refresh --repo "$REPO" --keys keys --passphrase-file pass >>repo.log
spool
refresh >/dev/null
vm start two
vm stop two --force
say 'an agent taken over calls without end: neither memory nor log nor other callers pay for it'
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$DAEMON_PID/status"; }
"$BUILD/tests/bus-flood" reports 2000 >/dev/null
before=$(resident)
"$BUILD/tests/bus-flood" reports 60000 >flood.log
[ "$(cat flood.log)" = 60000 ] || die "$(cat flood.log) of 60000 reports taken"
grown=$(($(resident) - before))
figure hypervisord_flood_growth $grown KiB
[ "$grown" -lt 8192 ] || die "60000 reports of invented images: $grown KiB more"
before=$(grep -c 'policy in force' daemon.log)
"$BUILD/tests/bus-flood" spool 400 >flood.log
taken=$(($(grep -c 'policy in force' daemon.log) - before))
[ "$taken" -ge 1 ] && [ "$taken" -le 40 ] || die "400 calls looked at the spool $taken times"
setpriv --reuid 65534 --clear-groups floe-vm start one 2>err && die 'user nobody started a machine'
grep -q 'org.floe.hypervisor1.control' err || die "$(cat err)"

left=$(leftovers)
[ -z "$left" ] || die "left behind: $left"
figure leftovers 0
grep -i 'warning\|critical\|error' daemon.log | grep -v 'nbdkit ended, starting it again\|polkit\|refuses emulation' || true
stop_daemon
say 'a state directory in which the agent could put another trust in the place of ours is refused'
chown 65534 "$STATE"
timeout 20 floe-hypervisord --config "$CONFIG" 2>err && die 'it runs on a state directory of another user'
grep -q 'others may replace what is in it' err || die "$(cat err)"
chown 0 "$STATE"
start_daemon
resident=$(awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' /proc/$DAEMON_PID/status)
figure hypervisord_rss_mib "$resident" MiB
