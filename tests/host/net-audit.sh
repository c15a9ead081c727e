#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What cards drop, and what rules log, is told: with machine, network, rule and both ends, added up; and a guest that floods fills neither log nor
# daemon, nor takes another's share.
. "$(dirname "$0")/../lib/host.sh"
for program in nft ip socat dnsmasq; do need "$program"; done
TOOLS=$BUILD/tests
ip netns add world
ip link add uplink type veth peer name far netns world
ip addr add 198.51.100.1/24 dev uplink
ip link set uplink up
ip netns exec world ip link set lo up
ip netns exec world ip addr add 198.51.100.10/24 dev far
ip netns exec world ip link set far up
ip route add default via 198.51.100.10
ip netns exec world socat TCP-LISTEN:80,fork,reuseaddr PIPE 2>/dev/null &

machine() { # machine ID NETWORK
  cat <<JSON
{ "id": "$1", "title": "$1", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128, "disk": "reset",
  "firmware": "bios", "networks": ["$2"], "emulation": "allow", "autostart": false,
  "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } }
JSON
}
cat >policy.json <<JSON
{ "floe": 1, "group": "test", "machines": [ $(machine loud one), $(machine quiet two) ],
  "networks": {
    "one": { "mode": "nat", "egress": [ { "id": "web", "protocol": "tcp", "to": ["198.51.100.10/32"], "ports": ["80"], "log": { "sample": 1 } } ] },
    "two": { "mode": "nat", "egress": [] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["loud", "quiet"] }] }
JSON
mkfifo cards.ctl
answers() { grep -cE '^(done|error)' cards.out || true; }
tell() {
  local before; before=$(answers)
  echo "$*" >cards.ctl
  wait_for 30 "an answer to '$*'" eval "[ \$(answers) -gt $before ]"
  grep -E '^(done|error)' cards.out | tail -n 1 | quietly grep -x 'done' || { cat cards.log; die "$*: $(grep -E '^(done|error)' cards.out | tail -n 1)"; }
}
ip netns add loud; ip netns add quiet
guest() { echo ip netns exec "$1" "$TOOLS/frame-relay" 3 eth0; }
# shellcheck disable=SC2046 # words
"$TOOLS/net-card" open 0 policy.json one $(guest loud) <>cards.ctl >cards.out 2>cards.log &
LOADER=$!
wait_for 20 'the first card' grep -q '^ready floe0' cards.out
tell also open 4 two $(guest quiet)
tell audit
address() { # address GUEST ADDRESS ROUTER
  wait_for 10 "the end of $1" ip netns exec "$1" ip link show eth0 >/dev/null
  ip netns exec "$1" ip link set eth0 address "$(awk -v tap="$4" '$1 == "ready" && $2 == tap { print $3 }' cards.out)" up
  ip netns exec "$1" ip addr add "$2/30" dev eth0
  ip netns exec "$1" ip route add default via "$3"
}
address loud 10.77.0.2 10.77.0.1 floe0
address quiet 10.77.0.18 10.77.0.17 floe4
try() { ip netns exec "$1" socat -T 2 -t 2 - "TCP:$2:$3,connect-timeout=1" <<<hello >/dev/null 2>&1; }
event() { grep '^event ' cards.out | awk -v wanted="$*" 'BEGIN { n = split(wanted, word, " ") } { for (i = 1; i <= n; i++) if (word[i] != "*" && $(i + 1) != word[i]) next; print; found = 1 } END { exit !found }'; }

say 'a flow that a rule logs, and a packet that none allows'
try loud 198.51.100.10 80 || die 'the allowed flow does not pass'
try loud 198.51.100.10 81 && die 'what is not allowed passes'
try loud 169.254.169.254 80 && die 'link-local passes'
wait_for 20 'the logged flow' event loud one allow web tcp 10.77.0.2 '*' 198.51.100.10 80 >/dev/null
wait_for 20 'the dropped packet' event loud one drop default tcp 10.77.0.2 '*' 198.51.100.10 81 >/dev/null
wait_for 20 'never-routed' event loud one drop never-routed tcp 10.77.0.2 '*' 169.254.169.254 80 >/dev/null
grep '^event ' cards.out

say 'a flood of many kinds: bounded events, a count of the rest, and the quiet machine is heard'
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$LOADER/status"; }
before=$(resident)
seen=$(grep -c '^event ' cards.out)
ip netns exec loud python3 - <<'PY'
import socket
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(200000):
    try:
        out.sendto(b'x', ('203.0.113.%d' % (i % 250 + 1), 1024 + i % 60000))
    except OSError:
        pass
PY
try quiet 198.51.100.10 22 && die 'the quiet machine reaches what it may not'
wait_for 30 'the quiet machine in the middle of it' event quiet two drop default tcp 10.77.0.18 '*' 198.51.100.10 22 >/dev/null
wait_for 30 'a count of what is not told' event loud one left-out >/dev/null
sleep 6 # one more interval: the last events
told=$(($(grep -c '^event ' cards.out) - seen))
sent=$(($(nft -j list counters table inet floe0 | jq '[.nftables[].counter? | select(.name? == "default-to") | .packets] | add')))
grown=$(($(resident) - before))
[ "$sent" -gt 20000 ] || die "the flood did not reach the rules: $sent packets"
[ "$told" -le 120 ] || die "$told events for a flood"
[ "$grown" -lt 4096 ] || die "the process has grown by $grown KiB"
figure net_audit_flood "$sent" packets
figure net_audit_flood_events "$told" events
figure net_audit_flood_growth "$grown" KiB
tell statistics
grep -q '^drop default [1-9]' cards.out || die 'statistics do not answer after the flood'
tell close
tell card 0
tell close
wait "$LOADER" || true
