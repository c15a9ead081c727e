#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# A hostile guest in every phase of a machine's life, under the real floe-hypervisord and in every mode: its taps are flooded from the moment
# that they are there (before they are up, before rules are in force) by somebody who has taken them out of hypervisord's and QEMU's own
# descriptors, while a good guest on the same tap asks for what policy allows. What arrives beyond the filter is counted: nothing hostile may,
# and nothing good may be lost: at boot, when taps are made, under new policies, with the daemon killed, after QEMU's death, and
# after suspend and resume.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
. "$SOURCE/tests/lib/net-world.sh"
. "$SOURCE/tests/lib/net-phases.sh"
for program in nft ip socat dnsmasq; do need "$program"; done
trap 'status=$?; [ $status = 0 ] || { tail -n 30 daemon.log; cat {flood,ask}-*.out | tail -n 20; } >&2; exit $status' EXIT

machine() { # machine ID NETWORKS AUTOSTART
  cat <<JSON
    { "id": "$1", "title": "$1", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": $2, "emulation": "allow", "autostart": $3,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } }
JSON
}
# rules NAME MORE: what the good guest asks for; ids are unique in the document. MORE makes a policy differ from the last one.
rules() {
  cat <<JSON
[ { "id": "$1-tcp", "protocol": "tcp", "to": ["198.51.100.10/32"$3], "ports": ["80"] },
  { "id": "$1-udp", "protocol": "udp", "to": ["198.51.100.10/32"$3], "ports": ["7"] },
  { "id": "$1-ping", "protocol": "icmp", "to": ["198.51.100.10/32"] }$4
  $([ "$2" = 0 ] || for ((i = 0; i < $2; i++)); do printf ', { "id": "%s-more-%s", "protocol": "tcp", "to": ["203.0.113.%s/32"], "ports": ["443"] }' "$1" $i $((i + 1)); done) ]
JSON
}
SIX=', "2001:db8:51::10/128"'
six_rules() { printf ', { "id": "%s-ping6", "protocol": "icmp6", "to": ["2001:db8:51::10/128"] }' "$1"; }
write_policy() { # write_policy MORE: the four modes on four cards of one machine, its neighbour, and the machine that filters
  cat >test.json <<JSON
{ "floe": 1, "group": "test",
  "machines": [
$(machine victim '["plain", "both", "lan", "inner"]' true),
$(machine other '["plain"]' true),
$(machine fw '["inner", "outer"]' true) ],
  "networks": {
    "plain": { "mode": "nat", "egress": $(rules plain "$1" '' '') },
    "both": { "mode": "nat", "ipv6": true, "dns": { "resolver": "rules", "servers": ["198.51.100.10"] }, "egress": $(rules both "$1" "$SIX" "$(six_rules both),
      { \"id\": \"both-name\", \"protocol\": \"tcp\", \"names\": [\"www.example.test\"], \"ports\": [\"80\"] }") },
    "lan": { "mode": "bridge", "interface": "lan-bridge", "ipv6": true, "dhcp": { "servers": ["192.0.2.1"] },
      "egress": $(rules lan "$1" "$SIX" "$(six_rules lan)") },
    "inner": { "mode": "filter", "through": "fw", "ipv6": true, "egress": $(rules inner "$1" "$SIX" "$(six_rules inner)") },
    "outer": { "mode": "nat", "ipv6": true, "egress": $(rules outer "$1" "$SIX" "$(six_rules outer)") } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["victim", "other", "fw"] }] }
JSON
  publish_policy test.json
}

# -- The naive way: rules after link-up, and updates that delete before they add. The same attack must be seen to succeed.
make_world
CARDS=(plain both lan inner) OTHERS=(other fw)
WATCHERS=(world lan host)
watch_all() {
  start_watch world ip netns exec world "$TOOLS/hostile-frames" watch far
  start_watch lan ip netns exec lan "$TOOLS/hostile-frames" watch port
  start_watch host "$TOOLS/hostile-frames" host
}
mkfifo naive-tap.in naive-chase.in
"$TOOLS/hostile-frames" guest naive0 0 naive-tap.in >naive-tap.out &
"$TOOLS/hostile-frames" chase naive0 0 naive-chase.in >naive-chase.out &
wait_for 10 'the naive tap' ip link show naive0
start_watch naive ip netns exec world "$TOOLS/hostile-frames" watch far 2>/dev/null
sysctl -q net.ipv4.ip_forward=1
ip link set naive0 address 02:f1:0e:01:00:00
ip address add 10.77.0.1/30 dev naive0
ip link set naive0 up
for ((i = 0; i < 20; i++)); do
  nft delete table inet naive 2>/dev/null || true
  sleep 0.02
  printf 'table inet naive {\n chain forward {\n type filter hook forward priority 0; policy drop;\n ct state established accept\n }\n}\n' | nft -f -
done
sleep 0.2
end_watch naive
figure net_naive_phases_leaked "$watched" frames
[ "$watched" -gt 100 ] || die "rules after link-up leaked only $watched frames: the attack does not work"
echo quit >naive-chase.in
echo quit >naive-tap.in
nft delete table inet naive
wait_for 10 'the naive tap to go' eval '! ip link show naive0'
sysctl -q net.ipv4.ip_forward=0

# -- Ours.
start_bus
make_guest
make_repository
write_policy 0
make_config
spool
make_lan 02:f1:0e:00:00:02 192.0.2.50
# IPv6 on a LAN takes a bridge of the host's own that has an address there.
ip link add lan-bridge type bridge
ip link set lan0 master lan-bridge
ip address add 2001:db8:52::5/64 dev lan-bridge nodad
ip link set lan-bridge up
chaser plain 0
chaser both 1 six dns
chaser lan 2 guest=192.0.2.50 peer=192.0.2.1 peermac=02:00:5e:00:53:01 guest6=2001:db8:52::f1:eff:fe00:2 peer6=2001:db8:52::1 lan six
chaser inner 3 filtered near six
# The neighbour and the machine that filters.
quiet 4
quiet 8
run_phases
[ "$asked" -gt 100 ] || die "only $asked good exchanges"
phases_say net
