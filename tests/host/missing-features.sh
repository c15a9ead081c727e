#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A host that lacks what a machine's network needs: a machine with a network is refused, by a message that names the thing, and leaves
# nothing; a machine without one runs.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
trap 'status=$?; [ $status = 0 ] || { tail -n 40 daemon.log >&2; }; exit $status' EXIT

cat >test.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "wired", "title": "Wired", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1,
      "memory_mib": 128, "disk": "reset", "firmware": "bios", "networks": ["lan"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "alone", "title": "Alone", "colour": "#c62828", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1,
      "memory_mib": 128, "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": { "lan": { "mode": "nat", "egress": [ { "id": "web", "protocol": "tcp", "to": ["203.0.113.0/24"], "ports": ["80"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["wired", "alone"] }] }
JSON
start_bus
make_guest
make_repository
publish_policy test.json
make_config
spool

# lacks PATTERN: what a daemon on such a host does.
lacks() {
  local left
  gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1/machine/wired \
    --method org.floe.Hypervisor1.Machine.Start 2>err && die 'a machine with a network was started'
  grep -q 'org.floe.Error.Unsupported' err || die "another error: $(cat err)"
  grep -Eq "$1" err || die "the error does not name $1: $(cat err)"
  machine_get wired Problem | grep -Eq "$1" || die "Problem is $(machine_get wired Problem)"
  machine_is wired failed || die "the machine is $(machine_get wired State)"
  left=$(leftovers)
  [ -z "$left" ] || die "left behind: $left"
  [ "$(ls "$STATE/hypervisor/machines/wired")" = disk.json ] || [ "$(ls "$STATE/hypervisor/machines/wired" | tr '\n' ' ')" = 'cache disk.json ' ] ||
    die "left behind: $(ls "$STATE/hypervisor/machines/wired")"
  vm start alone
  goes_on alone
  vm stop alone --force
  left=$(leftovers)
  [ -z "$left" ] || die "left behind: $left"
  kill $DAEMON_PID
  wait $DAEMON_PID || true
}

say 'a kernel without taps'
mount -t tmpfs tmpfs /dev/net
start_daemon
grep -q 'CONFIG_TUN' daemon.log || die 'the daemon does not say at its start what the host lacks'
lacks '/dev/net/tun: No such file or directory \(CONFIG_TUN\)'
umount /dev/net

say 'a kernel without a packet filter'
: >daemon.log
"$BUILD/tests/without-netfilter" floe-hypervisord --config "$CONFIG" >>daemon.log 2>&1 &
DAEMON_PID=$!
wait_for 30 floe-hypervisord gdbus wait --system --timeout 1 org.floe.Hypervisor1
lacks 'cannot filter its network: netlink netfilter \(CONFIG_NETFILTER_NETLINK\)'

say 'the same host with all of it: the machine starts'
start_daemon
vm start wired
goes_on wired
vm stop wired --force
left=$(leftovers)
[ -z "$left" ] || die "left behind: $left"
