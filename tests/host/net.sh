#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A machine's card against a hostile guest, in the kernel: a real tap, a world behind NAT in a namespace of its own, and watchers
# on every way out. What is allowed arrives, and nothing else: at start, under replacement, with the loader killed, adopted, recreated.
# First the same frames against a list of denials on a bridge, to show that the watchers do see a leak.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/net-world.sh"
for program in nft ip socat dnsmasq; do need "$program"; done
POLICY=$SOURCE/tests/golden/net/host.json
ROUNDS=${ROUNDS:-3}

make_world

# -- The naive way: a bridge with a list of denials, of everything that one thinks of.
say 'naive: a list of denials on a bridge'
ip link add br0 type bridge
ip link add naive-up type veth peer name naive-far netns world
in_world ip link set naive-far up
ip link set naive-up master br0 up
mkfifo naive.in
"$TOOLS/hostile-frames" guest naive0 0 naive.in >naive.out &
wait_for 10 'the naive tap' ip link show naive0
ip link set naive0 master br0 up
ip link set br0 up
# Without any rules the watcher sees every kind: each that is missing later was stopped, and not merely unseen.
crosses() {
  # Spoofed MACs have taught the bridge that the router is where the guest is.
  ip link set br0 type bridge fdb_flush
  start_watch naive ip netns exec world "$TOOLS/hostile-frames" watch naive-far 2>/dev/null
  obey naive hostile 1 "$1" >/dev/null
  sleep "$2"
  end_watch naive 2>/dev/null
  [ "$watched" -gt 0 ]
}
# The bridge's own look into IP headers is off for it.
bridge_looks() { for family in ip ip6 arp; do sysctl -q "net.bridge.bridge-nf-call-${family}tables=$1" 2>/dev/null || true; done; }
bridge_looks 0
for kind in $("$TOOLS/hostile-frames" kinds); do
  crosses "$kind" 0.1 || crosses "$kind" 2 || die "no frame of kind $kind crossed a bridge without rules: the watcher does not see it"
done
bridge_looks 1
ip link set br0 type bridge fdb_flush
nft -f - <<'RULES'
table bridge naive {
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "naive0" ether saddr != 02:f1:0e:00:00:00 drop
    iifname "naive0" ip saddr != 10.77.0.2 drop
    iifname "naive0" arp saddr ip != 10.77.0.2 drop
    iifname "naive0" arp saddr ether != 02:f1:0e:00:00:00 drop
    iifname "naive0" ip daddr 198.51.100.11 drop
    iifname "naive0" udp sport 67 drop
    iifname "naive0" icmpv6 type { nd-router-advert, nd-neighbor-advert } drop
    iifname "naive0" vlan id 5 drop
  }
}
RULES
start_watch naive ip netns exec world "$TOOLS/hostile-frames" watch naive-far 2>/dev/null
sleep 0.5
answer=$(obey naive hostile 1)
end_watch naive
naive=$watched
say "naive: $answer; leaked $naive"
[ "$naive" -gt 100 ] || die "the naive filter leaked only $naive frames: the watchers do not see"
figure net_naive_leaked "$naive" frames
nft delete table bridge naive
ip link del br0; ip link del naive-up

# -- Before the rules: a tap that is down takes no frame at all.
early=$("$TOOLS/hostile-frames" early early0)
[ "$(field link "$early")" = 0 ] && [ "$(field flow "$early")" = 0 ] || die "frames went into a tap that was down: $early"
[ "$(field refused "$early")" -gt 1000 ] || die "the early guest wrote nothing: $early"
hostile=$(field refused "$early")

# -- Ours.
card() { # card NAME COMMAND: to the loader NAME; waits for its answer
  local name=$1 before; shift
  before=$(grep -cE '^(done|error)' "$name.card" || true)
  echo "$*" >"$name.ctl"
  wait_for 20 "$name to answer '$*'" eval "[ \$(grep -cE '^(done|error)' $name.card || true) -gt $before ]"
  tail -n 1 "$name.card" | quietly grep -x 'done' || die "$name: $*: $(tail -n 1 "$name.card")"
}
loaders=()
start_card() { # start_card NAME SLOT NETWORK: loader and guest; the loader's pid in $loader
  local name=$1
  [ -p "$name.ctl" ] || mkfifo "$name.ctl" "$name.in"
  : >"$name.out"
  : >"$name.card"
  "$TOOLS/net-card" open "$2" "$POLICY" "$3" bash -c "exec '$TOOLS/hostile-frames' guest 3 $2 $name.in >$name.out" \
    <>"$name.ctl" >"$name.card" 2>"$name.log" &
  loader=$!
  wait_for 20 "card $name" grep -q ^ready "$name.card"
}
witness() { # counts what gets past the tap's own hook
  nft -f - <<RULES
table netdev witness-$1 {
  counter passed { }
  chain passed { type filter hook ingress device "$1" priority 10; policy accept; counter name passed; }
}
RULES
}
passed() { nft -j list counters table netdev "witness-$1" | sed -n 's/.*"packets": \([0-9]*\).*/\1/p'; }

say 'rules: what the kernel has is what the golden text says'
start_card one 0 open
one=$loader
nft list table netdev floe0 >ours.nft; nft list table inet floe0 >>ours.nft
"$TOOLS/net-card" text 0 "$POLICY" open >text.nft
unshare --net bash -c "ip tuntap add floe0 mode tap; nft -f text.nft; nft list table netdev floe0; nft list table inet floe0" >theirs.nft
normal() { sed 's/packets [0-9]* bytes [0-9]*/packets 0 bytes 0/' "$1" | tr -s ' \t\n' ' ' | sed 's/ \(chain\|set\|counter\|table\) /\n\1 /g' | sed 's/[ }]*$//' | sort; }
diff <(normal ours.nft) <(normal theirs.nft) >rules.diff || { cat rules.diff; die 'netlink and text disagree'; }

start_card two 1 open
two=$loader
witness floe0
sleep 0.5

# -- Legitimate traffic, all of it.
legit() { # legit NAME
  local answer; answer=$(obey "$1" legit)
  [ "$answer" = 'legit arp 1 dhcp 1 icmp 1 udp 1 tcp 1' ] || { cat "$1.log"; nft list ruleset; die "legitimate traffic of $1: $answer"; }
}
watch_all() {
  start_watch world ip netns exec world "$TOOLS/hostile-frames" watch far
  start_watch host "$TOOLS/hostile-frames" host
  obey two drain >/dev/null
}
say 'the server that parses hostile DHCP can neither forge nor see frames'
for name in one two; do
  card $name dhcp
  dhcp=$(sed -n 's/^dhcp //p' $name.card | tail -n 1)
  [ "$(awk '/^Cap(Prm|Eff|Inh|Amb)/ { print $2 }' "/proc/$dhcp/status" | sort -u)" = 0000000000001400 ] || die "DHCP server of $name: $(grep ^Cap "/proc/$dhcp/status")"
  legit $name
done

sent=0 leaked=0
# attack PHASE: all kinds, with legitimate traffic before and after; nothing may come out anywhere.
attack() {
  local answer before flow crossed
  watch_all
  legit one
  before=$(passed floe0)
  answer=$(obey one hostile "$ROUNDS")
  flow=$(field flow "$answer")
  crossed=$(($(passed floe0) - before))
  [ "$crossed" = "$flow" ] || die "$1: $crossed frames passed the tap's hook, $flow are plain and truthful"
  legit one
  sleep 0.3
  end_watch world host
  watched=$((watched + $(field drain "$(obey two drain)")))
  [ "$(field good "$(tail -n 1 world.watch)")" -ge 2 ] || die "$1: the watcher in the world did not see the good frames"
  say "$1: $answer; leaked $watched"
  sent=$((sent + $(field link "$answer") + flow + $(field refused "$answer"))); leaked=$((leaked + watched))
}

attack 'at start'
ip neigh show dev floe0 | grep -v FAILED | grep -vq '^10.77.0.2 lladdr 02:f1:0e:00:00:00' && die "neighbours: $(ip neigh show dev floe0)"

say 'statistics say the same'
card one statistics
grep -q '^allow echo-tcp [1-9]' one.card || die 'no count for rule echo-tcp'
grep -q '^drop default [1-9]' one.card || die 'no count for default'
grep -q '^drop never-routed [1-9]' one.card || die 'no count for never-routed'
grep -q '^drop floe-host [1-9]' one.card || die 'no count for floe-host'
grep -q '^drop floe-mac-spoof [1-9]' one.card || die 'no count for floe-mac-spoof'

say 'replacement under traffic: as long as it takes for all of them'
watch_all
REPLACEMENTS=${REPLACEMENTS:-1000}
before=$(passed floe0) flows=0 reload_frames=0
start=$(grep -cE '^(done|error)' one.card)
for ((i = 0; i < REPLACEMENTS; i++)); do
  echo "replace $([ $((i % 2)) = 0 ] && echo narrow || echo open)"
done >one.ctl
while [ $(($(grep -cE '^(done|error)' one.card) - start)) -lt "$REPLACEMENTS" ] || [ "$flows" = 0 ]; do
  answer=$(obey one hostile 20)
  flows=$((flows + $(field flow "$answer")))
  reload_frames=$((reload_frames + $(field link "$answer") + $(field flow "$answer") + $(field refused "$answer")))
done
crossed=$(($(passed floe0) - before))
[ "$crossed" = "$flows" ] || die "replacement: $crossed passed the tap's hook, $flows are plain and truthful"
sleep 0.3
end_watch world host
leaked=$((leaked + watched)) sent=$((sent + reload_frames))
card one replace open
grep -q ^error one.card && die "a replacement failed: $(grep -m1 ^error one.card)"
say "replacement: $REPLACEMENTS times under $reload_frames frames; leaked $watched"
figure net_replacements "$REPLACEMENTS" transactions
figure net_replacement_frames "$reload_frames" frames
figure net_replacement_leaked "$watched" frames

say 'a withdrawn rule holds for new flows'
card one replace narrow
answer=$(obey one legit)
[ "$answer" = 'legit arp 1 dhcp 1 icmp 1 udp 0 tcp 0' ] || die "under 'narrow': $answer"
card one replace open

say 'the loader is killed: the rules stay, the guest keeps its tap, DHCP ends and nothing else'
card one dhcp
dhcp=$(sed -n 's/^dhcp //p' one.card | tail -n 1)
kill -KILL "$one"; wait "$one" 2>/dev/null || true
wait_for 10 'the DHCP server to end with its parent' eval "! kill -0 $dhcp"
watch_all
before=$(passed floe0)
answer=$(obey one hostile "$ROUNDS")
[ "$(($(passed floe0) - before))" = "$(field flow "$answer")" ] || die 'killed: frames passed the hook'
sleep 0.3
end_watch world host
leaked=$((leaked + watched)); sent=$((sent + $(field link "$answer") + $(field flow "$answer") + $(field refused "$answer")))

say 'and is adopted again'
"$TOOLS/net-card" open 0 "$POLICY" open </dev/null >again.out 2>&1 && die 'a second card on a living tap'
grep -q 'there is one already' again.out || die "unclear: $(cat again.out)"
: >one.card
"$TOOLS/net-card" adopt 0 "$POLICY" open <>one.ctl >one.card 2>>one.log &
one=$!
wait_for 20 'adoption' grep -q ^ready one.card
sleep 0.5
attack 'adopted'

say 'closed: tap, rules and DHCP are gone; and made again'
remembered() { grep -c 'src=10\.77\.0\.2 ' /proc/net/nf_conntrack 2>/dev/null || true; }
before=$(remembered)
obey one quit >/dev/null 2>&1 & quitter=$!
card one close
kill "$quitter" 2>/dev/null || true; wait "$quitter" 2>/dev/null || true
wait "$one"
ip link show floe0 >/dev/null 2>&1 && die 'the tap is still there'
nft list tables | quietly grep -E ' floe0$' && die 'rules are still there'
nft delete table netdev witness-floe0 2>/dev/null || true
start_card one 0 open
one=$loader
if [ -r /proc/net/nf_conntrack ]; then
  [ "$before" -gt 0 ] || die 'the last machine has left no connection to forget'
  [ "$(remembered)" = 0 ] || die "the next machine of the slot inherits $(remembered) connections"
fi
witness floe0
sleep 0.5
attack 'made again'

say 'mode none: nothing passes, either way'
card one replace closed
watch_all
before=$(passed floe0)
answer=$(obey one hostile 20)
end_watch world host
[ "$(passed floe0)" = "$before" ] || die 'none: frames passed'
leaked=$((leaked + watched)); sent=$((sent + $(field link "$answer") + $(field flow "$answer") + $(field refused "$answer")))

say 'a machine that ended while nobody watched'
kill -KILL "$two"; wait "$two" 2>/dev/null || true
echo quit >two.in
wait_for 10 'the second tap to go' eval '! ip link show floe1'
nft list tables | quietly grep 'inet floe1$' || die 'the rules went with the tap: nothing to sweep'
"$TOOLS/net-card" sweep
nft list tables | quietly grep -E ' floe1$' && die 'the sweep left rules'
nft list tables | quietly grep 'inet floe0$' || die 'the sweep took rules of a living tap'
card one close

figure net_hostile_frames "$sent" frames
figure net_leaked "$leaked" frames
figure net_hostile_kinds "$((hostile / 4))" kinds
figure net_hostile_classes "$("$TOOLS/hostile-frames" kinds | wc -l)" classes
[ "$leaked" = 0 ] || die "$leaked frames leaked"
