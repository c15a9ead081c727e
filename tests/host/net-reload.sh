#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Rules are replaced again and again under a flood of hostile frames, with connections through the card that go on all the time: nothing
# leaks and nothing is cut. 1,000 reloads; of the flood 10,000,000 frames, with --long 50,000,000.
. "$(dirname "$0")/../lib/host.sh"
for program in ip nft socat dnsmasq; do need "$program"; done
. "$SOURCE/tests/lib/net-world.sh"
RELOADS=${RELOADS:-1000} FRAMES=${FRAMES:-10000000} CONNECTIONS=8
[ -z "${FLOE_LONG:-}" ] || FRAMES=50000000

# Two policies that share what the connections need; the rest differs, maps and rates among it.
rules() { # rules PREFIX: 20 rules that become maps, one with a rate
  local i
  for ((i = 0; i < 20; i++)); do
    printf '{ "id": "%s%d", "protocol": "tcp", "to": ["203.0.113.%d/32", "192.0.2.0/%d"], "ports": ["%d", "9000-9010"] },' "$1" $i $i $((24 + i % 8)) $((7000 + i))
  done
  printf '{ "id": "%srate", "protocol": "udp", "to": ["192.0.2.0/24"], "ports": ["53"], "rate": { "packets": 100 } },' "$1"
}
machine() { # machine ID NETWORK
  printf '{ "id": "%s", "title": "%s", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
    "disk": "reset", "firmware": "bios", "networks": ["%s"], "emulation": "allow", "autostart": false,
    "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } }' "$1" "$1" "$2"
}
keep='{ "id": "KEEP", "protocol": "tcp", "to": ["198.51.100.10/32"], "ports": ["80"] },
  { "id": "KEEP-udp", "protocol": "udp", "to": ["198.51.100.10/32"], "ports": ["5001"] }'
cat >policy.json <<JSON
{ "floe": 1, "group": "test", "machines": [ $(machine one a), $(machine two b) ],
  "networks": {
    "a": { "mode": "nat", "egress": [ $(rules a) ${keep//KEEP/keep} ] },
    "b": { "mode": "nat", "egress": [ ${keep//KEEP/keep-too}, $(rules b) { "id": "bping", "protocol": "icmp", "to": ["203.0.113.0/24"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one", "two"] }] }
JSON

make_world
ip netns add guest
mkfifo card.ctl flood.in talk.in
: >flood.out
"$TOOLS/net-card" open 0 policy.json a bash -c "ip netns exec guest '$TOOLS/frame-relay' 3 eth0 & exec '$TOOLS/hostile-frames' guest 3 0 flood.in >flood.out" \
  <>card.ctl >card.out 2>card.log &
card=$!
trap 'status=$?; [ $status = 0 ] || tail -n 20 card.log >&2; exit $status' EXIT
wait_for 20 'the card' grep -q ^ready card.out
in_guest() { ip netns exec guest "$@"; }
wait_for 10 'the guest' in_guest ip link show eth0
in_guest ip link set eth0 address 02:f1:0e:00:00:00 up
in_guest ip address add 10.77.0.2/30 dev eth0
in_guest ip route add default via 10.77.0.1
in_guest "$TOOLS/net-bulk" talk 198.51.100.10 80 "$CONNECTIONS" <>talk.in >talk.out &
talk=$!
wait_for 20 'connections' grep -q talking talk.out
start_watch world ip netns exec world "$TOOLS/hostile-frames" watch far
start_watch host "$TOOLS/hostile-frames" host

say "$RELOADS reloads under at least $FRAMES frames, $CONNECTIONS connections"
answers() { grep -cE '^(done|error)' card.out || true; }
(for ((i = 0; i < RELOADS; i++)); do echo "replace $([ $((i % 2)) = 0 ] && echo b || echo a)"; done >card.ctl) &
frames=0
while [ "$(answers)" -lt "$RELOADS" ] || [ "$frames" -lt "$FRAMES" ]; do
  answer=$(obey flood flood 100000)
  [ "$(field refused "$answer")" -lt 100000 ] || die "the tap takes nothing: $answer"
  frames=$((frames + $(field link "$answer") + $(field flow "$answer") + $(field flow6 "$answer")))
  kill -0 "$talk" || die "the connections ended: $(cat talk.out)"
  # The reloads are done and frames are wanting: a reload with each lot of them.
  [ "$(answers)" -lt "$RELOADS" ] || echo replace a >card.ctl
done
sleep 0.3
end_watch world host
grep -q ^error card.out && die "a reload failed: $(grep -m1 ^error card.out)"
echo end >talk.in
wait "$talk" || die 'the connections'
rounds=$(field rounds "$(tail -n 1 talk.out)") broken=$(field broken "$(tail -n 1 talk.out)")
figure net_reloads "$(answers)" transactions
figure net_reload_frames "$frames" frames
figure net_reload_leaked "$watched" frames
figure net_reload_cut "$broken" connections
[ "$watched" = 0 ] || die "$watched frames leaked"
[ "$broken" = 0 ] || die "$broken connections were cut"
[ "$rounds" -gt 10 ] || die "the connections said hardly anything: $rounds rounds"

say 'and a rule that goes takes its connection with it, and a flow that nobody answers'
packets() { # packets TABLE COUNTER, in the namespace that runs nft
  "${@:3}" nft -j list counters table inet "$1" | grep -o "\"name\": \"$2\"[^}]*\"packets\": [0-9]*" | grep -o '[0-9]*$' || echo 0
}
arrived() { packets watch oneway in_world; }
ip netns exec world nft -f - <<'RULES'
table inet watch {
  counter oneway { }
  chain input { type filter hook input priority 0; udp dport 5001 counter name "oneway"; }
}
RULES
in_world socat -u UDP4-RECV:5001 /dev/null &
asked=$(packets floe0 rule-keep-udp) known=$(packets floe0 floe-established)
(while sleep 0.01; do echo one-way; done) | in_guest socat -u - UDP4-SENDTO:198.51.100.10:5001,sourceport=5002 &
heard_some() { [ "$(arrived)" -ge 50 ]; }
wait_for 30 'datagrams of the flow without answers' heard_some
[ "$(packets floe0 rule-keep-udp)" -le $((asked + 2)) ] || die 'the rule was asked about more than the first packet of a flow without answers'
[ "$(packets floe0 floe-established)" -ge $((known + 40)) ] || die 'the flow without answers is not known by its mark'
mkfifo more.in
in_guest "$TOOLS/net-bulk" talk 198.51.100.10 80 1 <>more.in >more.out &
more=$!
wait_for 20 'one more connection' grep -q talking more.out
sed 's#"198.51.100.10/32"#"198.51.100.12/32"#g' policy.json >other.json
before=$(packets floe0 floe-cut-to) refused=$(packets floe0 default-to)
"$TOOLS/net-card" adopt 0 other.json a </dev/null >other.out 2>other.log || true
late=$(arrived)
wait "$more" || die 'the last connection'
[ "$(field reset "$(tail -n 1 more.out)")" = 1 ] || die "a connection outlived its rule: $(tail -n 1 more.out)"
[ "$(packets floe0 floe-cut-to)" -gt "$before" ] || die 'nothing was cut by the rules'
still_refused() { [ "$(packets floe0 default-to)" -ge $((refused + 50)) ]; }
wait_for 30 'datagrams of the flow without answers to be refused' still_refused
[ "$(arrived)" = "$late" ] || die "a flow without answers outlived its rule: $(($(arrived) - late)) datagrams arrived after it"
kill "$card"
