#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The disk of the overlay is full when a guest writes: the machine is paused and says so, also to the daemon's next life, and goes on
# when there is room. The guest saw one slow write.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
trap 'status=$?; [ $status = 0 ] || { tail -n 40 daemon.log >&2; }; exit $status' EXIT

cat >test.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "one", "title": "One", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "persist", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": {}, "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one"] }] }
JSON
start_bus
make_guest
make_repository
publish_policy test.json
make_config
spool
disk=$STATE/hypervisor/machines/one
mkdir -p "$disk"
mount -t tmpfs -o size=400m tmpfs "$disk"
start_daemon

say 'the disk is full at the first write'
# The guest reads sector 2048 before it first writes: without that chunk it waits, until the disk is full.
chunk=$(dd if=guest.raw bs=128K skip=8 count=1 status=none | sha256sum | cut -d' ' -f1)
chunk=$(find "$STATE/chunks" -name "$chunk*")
[ -f "$chunk" ] || die 'the chunk is not where it is looked for'
mv "$chunk" aside
vm start one
mount -o "remount,size=$(df --output=used -k "$disk" | tail -n 1 | tr -d ' ')k" "$disk"
[ "$(df --output=avail -k "$disk" | tail -n 1 | tr -d ' ')" = 0 ] || die 'the disk is not full'
[ -z "$(rounds one)" ] || die 'the guest wrote without having read'
mv aside "$chunk"
# The plugin waits for the agent to tell that the chunk is there; its successor looks for itself.
kill -9 "$(stat_of one nbd_pid)"
paused() { machine_get one Problem | grep -q 'disk full: the machine is paused'; }
wait_for 60 'the machine to be paused' paused
machine_is one starting || die "the paused machine is $(machine_get one State)"
[ -z "$(rounds one)" ] || die 'the guest wrote to a full disk'
qemu=$(stat_of one pid)

say 'the daemon is killed meanwhile'
kill -9 $DAEMON_PID
wait $DAEMON_PID || true
start_daemon
paused || die "Problem is '$(machine_get one Problem)' after a restart"
[ -z "$(rounds one)" ] || die 'the guest wrote to a full disk'

say 'there is room'
mount -o remount,size=400m "$disk"
goes_on one 60
[ "$(errors one)" = 0 ] || die "the guest saw $(errors one) disk errors"
[ "$(machine_get one Problem)" = '' ] || die "Problem stays: $(machine_get one Problem)"
[ "$(stat_of one pid)" = "$qemu" ] || die 'another QEMU than before'
vm stop one --force
qemu-img check -q "$disk/overlay.qcow2" || die 'the overlay is damaged'
left=$(leftovers)
[ -z "$left" ] || die "left behind: $left"
