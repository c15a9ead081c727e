#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside the test machine, for tests/host/net-vm.sh: networks of mode vlan and bridge under Debian 13's kernel, where 8021q and br_netfilter are
# modules, and vhost-net where policy and host have it.
set -euo pipefail
NAME=net-vm
# Pipes, sockets and other users' files want a file system of the machine's own.
cp sector.bin /tmp
export WORK=/tmp/work
mkdir -p $WORK
cd $WORK
# Without groups of sessions: niceness is weighed within each alone.
FLOOD_NICENESS=10 ENOUGH=5000
echo 0 >/proc/sys/kernel/sched_autogroup_enabled
mv ../sector.bin .
. "$SOURCE/packaging/lib/base.sh"
need() { command -v "$1" >/dev/null || die "$1 is not there"; }
. "$SOURCE/tests/lib/machine.sh"
. "$SOURCE/tests/lib/net-world.sh"
. "$SOURCE/tests/lib/net-phases.sh"
trap 'status=$?; [ $status = 0 ] || { tail -n 40 daemon.log; tail -n 3 {flood,ask}-*.out; ip -d link; } 2>/dev/null; exit $status' EXIT

LAN_RULES() {
  cat <<JSON
[ { "id": "$1-tcp", "protocol": "tcp", "to": ["198.51.100.10/32"], "ports": ["80"] },
  { "id": "$1-udp", "protocol": "udp", "to": ["198.51.100.10/32"], "ports": ["7"] },
  { "id": "$1-ping", "protocol": "icmp", "to": ["198.51.100.10/32"] }
  $([ "$2" = 0 ] || for ((i = 0; i < $2; i++)); do printf ', { "id": "%s-more-%s", "protocol": "tcp", "to": ["203.0.113.%s/32"], "ports": ["443"] }' "$1" $i $((i + 1)); done) ]
JSON
}
write_policy() {
  cat >test.json <<JSON
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "victim", "title": "Victim", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": ["tagged", "lan", "plain"], "emulation": "allow", "autostart": true,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": {
    "tagged": { "mode": "vlan", "interface": "lan0", "vlan": 5, "vhost": true, "dhcp": { "servers": ["192.0.2.1"] }, "egress": $(LAN_RULES tagged "$1") },
    "lan": { "mode": "bridge", "interface": "lan1", "dhcp": { "servers": ["192.0.2.1"] }, "egress": $(LAN_RULES lan "$1") },
    "plain": { "mode": "nat", "vhost": true, "egress": $(LAN_RULES plain "$1") } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["victim"] }] }
JSON
  publish_policy test.json
}

# Each LAN in a namespace of its own: trunk, with VLANs 5 and 6 and untagged frames besides; and lan, untagged.
make_lan 02:f1:0e:00:00:01 192.0.2.50
ip link set lan0 name lan1
ip netns add trunk
in_trunk() { ip netns exec trunk "$@"; }
ip link add lan0 type veth peer name port netns trunk
ip link set lan0 up
in_trunk ip link set lo up
in_trunk ip link set port up
for tag in 5 6; do
  in_trunk ip link add link port name port.$tag type vlan id $tag
  in_trunk ip link set port.$tag address 02:00:5e:00:53:0$tag up
done
in_trunk ip address add 192.0.2.1/24 dev port.5
in_trunk ip address add 198.51.100.10/32 dev lo
in_trunk ip address add 198.51.100.11/32 dev lo
serve trunk
in_trunk dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --user=root --interface=port.5 --bind-interfaces --pid-file= \
  --dhcp-range=192.0.2.50,192.0.2.99,1h --dhcp-host=02:f1:0e:00:00:00,192.0.2.60 --dhcp-authoritative --leasefile-ro &
# What arrives on the wire from the guest: tagged with 5, or wrong.
in_trunk nft -f - <<'NFT'
table netdev wire {
  counter tagged { }
  counter wrong { }
  chain wire {
    type filter hook ingress device "port" priority 0; policy accept;
    ether saddr 02:f1:0e:00:00:00 vlan id 5 counter name tagged accept
    ether saddr 02:f1:0e:00:00:00 counter name wrong
  }
}
NFT
wire() { in_trunk nft -j list counters table netdev wire | jq --arg name "$1" '.nftables[].counter? | select(.name? == $name) | .packets'; }

start_bus
make_guest
make_repository
write_policy 0
make_config
spool
CARDS=(tagged lan) OTHERS=()
WATCHERS=(trunk lan host)
watch_all() {
  start_watch trunk ip netns exec trunk "$TOOLS/hostile-frames" watch port
  start_watch lan ip netns exec lan "$TOOLS/hostile-frames" watch port
  start_watch host "$TOOLS/hostile-frames" host
}
chaser tagged 0 guest=192.0.2.60 peer=192.0.2.1 peermac=02:00:5e:00:53:05 lan
chaser lan 1 guest=192.0.2.50 peer=192.0.2.1 peermac=02:00:5e:00:53:01 lan

# Without udev nobody makes the node that would load it.
modprobe tun
[ ! -e /dev/vhost-net ] || die 'vhost-net is there before its module'
say 'without br_netfilter nothing bridged could be filtered: the machine is refused'
start_daemon
vm start victim 2>err && die 'a machine on a LAN was started without br_netfilter'
grep -q 'modprobe br_netfilter' err || die "$(cat err)"
up victim && die 'it started by itself'
kill $DAEMON_PID
wait $DAEMON_PID || true
modprobe br_netfilter

phase 'boot'
start_daemon
wait_for 120 'the machine to start' up victim
all_good
phase_end
lsmod | quietly grep '^8021q ' || die '8021q is not a module here'
lsmod | quietly grep '^br_netfilter ' || die 'br_netfilter is not a module here'
[ "$(wire tagged)" -gt 0 ] && [ "$(wire wrong)" = 0 ] || die "on the wire: $(wire tagged) frames in VLAN 5, $(wire wrong) others"

say 'what others say in their VLANs, or in none, is not heard'
# shout INTERFACE: an ARP question for the guest, with the mark behind it.
shout() {
  in_trunk python3 - "$1" <<'PY'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
mac = s.getsockname()[4]
s.send(b'\xff' * 6 + mac + b'\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01' + mac + bytes([192, 0, 2, 1]) + bytes(6) + bytes([192, 0, 2, 60]) + b'FLOE-HOSTILE-FRAME')
PY
}
heard() { # heard INTERFACE: marks that came to the guest
  obey ask-tagged drain >/dev/null
  shout "$1"
  sleep 0.5
  field drain "$(obey ask-tagged drain)"
}
[ "$(heard port.5)" = 1 ] || die 'the guest does not hear its own VLAN'
for interface in port.6 port; do [ "$(heard $interface)" = 0 ] || die "the guest hears $interface"; done

phase 'new policies, the daemon killed'
for ((i = 1; i <= 3; i++)); do
  write_policy $((i * 10))
  spool
  refresh
done
kill -9 $DAEMON_PID
wait $DAEMON_PID 2>/dev/null || true
all_good 'dhcp'
start_daemon
wait_for 120 'the machine to be found again' all_up
all_good
phase_end
[ "$(wire wrong)" = 0 ] || die "$(wire wrong) frames of the guest's were not in its VLAN"

say 'vhost-net: not where the host has none, not where policy says no, and otherwise as a descriptor'
vhosts() { tr '\0' '\n' <"/proc/$(stat_of victim pid)/cmdline" | grep -c 'vhost=on' || true; }
[ "$(vhosts)" = 0 ] || die 'QEMU is told to use a vhost-net that is not there'
vm stop victim --force
modprobe vhost_net
phase 'vhost-net'
vm start victim
[ "$(vhosts)" = 2 ] || die "$(vhosts) of two cards use vhost-net"
[ "$(ls -l "/proc/$(stat_of victim pid)/fd" | grep -c vhost-net)" = 2 ] || die 'QEMU does not hold vhost-net for the two cards'
all_good
phase_end
vm stop victim --force
sleep 0.5
ip -o link | quietly grep -E ': floe[bv]?[0-9]' && { ip link; die 'links of ours are left'; }
phases_say net_vm
