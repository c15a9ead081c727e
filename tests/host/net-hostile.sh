#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A hostile guest in every phase of a machine's life, under the real floe-hypervisord and in every mode: its taps are flooded from the moment
# that they are there (before they are up, before rules are in force) by somebody who has taken them out of hypervisord's and QEMU's own
# descriptors, while a good guest on the same tap asks for what policy allows. What arrives beyond the filter is counted: nothing hostile may,
# and nothing good may be lost: at boot, when taps are made, under new policies, with the daemon killed, after QEMU's death, and
# after suspend and resume.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
. "$SOURCE/tests/lib/net-world.sh"
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
    "lan": { "mode": "bridge", "interface": "lan0", "dhcp": { "servers": ["192.0.2.1"] }, "egress": $(rules lan "$1" '' '') },
    "inner": { "mode": "filter", "through": "fw", "egress": $(rules inner "$1" '' '') },
    "outer": { "mode": "nat", "egress": $(rules outer "$1" '' '') } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["victim", "other", "fw"] }] }
JSON
  publish_policy test.json
}
refresh() { gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method org.floe.Hypervisor1.SpoolChanged >/dev/null; }

# -- Those who attack and those who watch ---------------------------------------------------------------------------------------------
make_world
make_lan 02:f1:0e:00:00:02 192.0.2.50
lan_words=(guest=192.0.2.50 peer=192.0.2.1 peermac=02:00:5e:00:53:01 lan)
# chaser NAME TAP SLOT WORD...: a flood; and beside it the good guest of the same tap, ask-NAME, which never floods.
chaser() {
  local name=$1; shift
  for role in "flood-$name" "ask-$name"; do
    mkfifo "$role.in"
    "$TOOLS/hostile-frames" chase "$1" "$2" "$role.in" "${@:3}" $([ "$role" = "flood-$name" ] || echo calm) >"$role.out" &
    wait_for 10 "$role" grep -q chasing "$role.out"
  done
}
chaser plain floe0 0
chaser both floe1 1 six dns
chaser lan floe2 2 "${lan_words[@]}"
chaser inner floe3 3
# The neighbour and the filtering machine only listen.
for slot in 4 8; do
  mkfifo quiet-$slot.in
  "$TOOLS/hostile-frames" chase floe$slot $slot quiet-$slot.in calm >quiet-$slot.out &
done
CARDS=(plain both lan inner)
expected() {
  case $1 in
    both) echo 'legit arp 1 dhcp 1 icmp 1 udp 1 tcp 1 nd 1 ra 1 dhcp6 1 icmp6 1 udp6 1 tcp6 1 dns 1 dns6 1' ;;
    *) echo 'legit arp 1 dhcp 1 icmp 1 udp 1 tcp 1' ;;
  esac
}
sent=0 leaked=0 lost=0 asked=0
watch_all() {
  start_watch world ip netns exec world "$TOOLS/hostile-frames" watch far
  start_watch lan ip netns exec lan "$TOOLS/hostile-frames" watch port
  start_watch host "$TOOLS/hostile-frames" host
  for slot in 4 8; do obey quiet-$slot drain >/dev/null; done
}
# accepted CARD: frames of the flood that taps took in this phase.
declare -A before
took() {
  local line; line=$(obey "flood-$1" count)
  echo $(($(field link "$line") + $(field flow "$line") + $(field flow6 "$line")))
}
accepted() { echo $(($(took "$1") - before[$1])); }
is_flooding() { [ "$(accepted "$1")" -gt 50000 ]; }
# good CARD [LESS]: the good guest under the flood gets all that it is to get; LESS: words that may be 0 in this phase.
good() {
  local answer wanted word
  answer=$(obey "ask-$1" legit $([ "$1" != both ] || echo www.example.test))
  wanted=$(expected "$1")
  for word in arp dhcp icmp udp tcp nd ra dhcp6 icmp6 udp6 tcp6 dns dns6; do
    [ "$(field $word "$wanted ")" = 1 ] || continue
    [[ " ${2:-} " != *" $word "* ]] || continue
    asked=$((asked + 1))
    [ "$(field $word "$answer ")" = 1 ] || { say "$1: $word is lost: $answer"; lost=$((lost + 1)); }
  done
}
all_good() {
  local card
  for card in "${CARDS[@]}"; do
    wait_for 30 "the flood of $card" is_flooding "$card"
    good "$card" "${1:-}"
  done
}
# phase NAME: begins with watchers; phase_end: nothing may have come out.
phase() { PHASE=$1; say "$1"; watch_all; for card in "${CARDS[@]}"; do before[$card]=$(took "$card"); done; }
phase_end() {
  local card n
  for card in "${CARDS[@]}"; do
    n=$(accepted "$card")
    [ "$n" -gt 5000 ] || die "$PHASE: card $card took only $n hostile frames"
    sent=$((sent + n))
  done
  sleep 0.3
  end_watch world lan host
  for slot in 4 8; do watched=$((watched + $(field drain "$(obey quiet-$slot drain)"))); done
  leaked=$((leaked + watched))
  say "$PHASE: $watched leaked"
}
up() { machine_is "$1" starting || machine_is "$1" running; }

start_bus
make_guest
make_repository
write_policy 0
make_config
spool

phase 'boot: the flood is there before the daemon, the machines start by themselves'
start_daemon
for machine in victim other fw; do wait_for 60 "$machine to start" up $machine; done
all_good
phase_end

phase 'taps go and are made again'
vm stop victim --force
vm start victim
all_good
phase_end

phase 'new policies come into force'
for ((i = 1; i <= 10; i++)); do
  write_policy $((i % 3 * 20))
  spool
  refresh
done
all_good
phase_end

phase 'the daemon is killed'
kill -9 $DAEMON_PID
all_good 'dhcp ra dhcp6 dns dns6'
start_daemon
for machine in victim other fw; do wait_for 60 "$machine to be found again" up $machine; done
all_good
phase_end

phase 'QEMU is killed: its taps are made again'
kill -9 "$(stat_of victim pid)"
wait_for 30 'the machine to have ended' eval '! up victim'
vm start victim
all_good
phase_end

phase 'suspended and resumed'
vm suspend victim
vm resume victim
all_good
phase_end

figure net_hostile_frames "$sent" frames
figure net_leaked "$leaked" frames
figure net_legit_asked "$asked" exchanges
figure net_legit_lost "$lost" exchanges
[ "$leaked" = 0 ] || die "$leaked frames leaked"
[ "$lost" = 0 ] || die "$lost of $asked good exchanges failed"
[ "$asked" -gt 100 ] || die "only $asked good exchanges"
