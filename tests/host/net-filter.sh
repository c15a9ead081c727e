#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# exclusive
# A machine whose network leads through another one: the image that image-builder makes for it filters, by a rule that only it has, and there is
# no way around it: neither hostile frames nor good ones get anywhere while it is stopped, killed or suspended.
before_sandbox() {
  FILTER_IMAGE=$SOURCE/build/work/filter.raw
  export FILTER_IMAGE
  mkdir -p "$SOURCE/build/work"
  # All that policy allows, but for udp, which the host's rules allow too.
  printf 'add rule inet filter own meta l4proto udp counter drop\nadd rule inet filter own accept\n' >"$SOURCE/build/work/filter.nft"
  "$BUILD/bin/floe-image" build-filter --rules "$SOURCE/build/work/filter.nft" "$FILTER_IMAGE"
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
. "$SOURCE/tests/lib/net-world.sh"
. "$SOURCE/tests/lib/net-phases.sh"
for program in nft ip socat dnsmasq; do need "$program"; done
trap 'status=$?; [ $status = 0 ] || { tail -n 30 daemon.log; tail -n 5 {flood,ask}-*.out; ip route show table all; ip rule; nft list ruleset | grep -v "^$" | tail -n 300 >"$SOURCE/build/net-filter-ruleset.txt"; } >&2; exit $status' EXIT

cat >test.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "client", "title": "Client", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": ["inner"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "fw", "title": "Filter", "colour": "#c62828", "image": { "name": "filter", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": ["outer", "inner"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": {
    "inner": { "mode": "filter", "through": "fw", "egress": [
      { "id": "client-tcp", "protocol": "tcp", "to": ["198.51.100.10/32"], "ports": ["80"] },
      { "id": "client-udp", "protocol": "udp", "to": ["198.51.100.10/32"], "ports": ["7"] },
      { "id": "client-ping", "protocol": "icmp", "to": ["198.51.100.10/32"] } ] },
    "outer": { "mode": "nat", "egress": [
      { "id": "fw-tcp", "protocol": "tcp", "to": ["198.51.100.10/32"], "ports": ["80"] },
      { "id": "fw-udp", "protocol": "udp", "to": ["198.51.100.10/32"], "ports": ["7"] },
      { "id": "fw-ping", "protocol": "icmp", "to": ["198.51.100.10/32"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["client", "fw"] }] }
JSON

start_bus
make_guest
make_repository
floe-image publish --repo "$REPO" --keys keys --passphrase-file pass --name filter --channel stable --os linux --firmware bios "$FILTER_IMAGE" >>repo.log
publish_policy test.json
make_config
spool
make_world
start_daemon
vm start client
vm start fw
for machine in client fw; do wait_for 30 "$machine to start" up $machine; done
# Slots are given in the order in which machines first start.
client=$(stat_of client mac) CARDS=(inner) WATCHERS=(world host)
[ "$client" = 02:f1:0e:00:00:00 ] || die "the client's card is $client"
watch_all() {
  start_watch world ip netns exec world "$TOOLS/hostile-frames" watch far
  start_watch host "$TOOLS/hostile-frames" host
}
chaser inner 0 filtered
wait_for 240 'the filtering machine to forward' machine_is fw running
heard_good() { field good "$(tail -n 1 world.watch)"; }

phase 'through the machine: what both allow passes, what only it refuses does not'
answer=$(obey ask-inner legit)
[ "$answer" = 'legit arp 1 dhcp 1 icmp 1 udp 0 tcp 1' ] || die "through the filtering machine: $answer"
wait_for 30 'the flood' is_flooding inner
phase_end
[ "$(heard_good)" = 0 ] || die 'udp that the filtering machine refuses has arrived'
asked=4
# It was this machine, not the host: the host counts udp as allowed.
nft list counter inet floe0 rule-client-udp | quietly grep -E 'packets [1-9]' || die 'the host did not allow udp: the refusal shows nothing'

# nothing PHASE: without the machine, nothing passes, good or bad.
nothing() {
  phase "$1: nothing passes"
  answer=$(obey ask-inner legit)
  case $answer in 'legit arp 1 dhcp 1 icmp 0 udp 0 tcp 0') ;; *) die "$1: $answer" ;; esac
  wait_for 30 'the flood' is_flooding inner
  phase_end
  [ "$(heard_good)" = 0 ] || die "$1: a good frame went around it"
}
again() {
  wait_for 240 'the filtering machine to forward again' machine_is fw running
  answer=$(obey ask-inner legit)
  [ "$answer" = 'legit arp 1 dhcp 1 icmp 1 udp 0 tcp 1' ] || die "through it again: $answer"
}
vm suspend fw
nothing 'suspended'
vm resume fw
again
kill -9 "$(stat_of fw pid)"
wait_for 30 'it to have ended' eval '! up fw'
nothing 'killed'
vm start fw
again
vm stop fw --force
nothing 'stopped'
phases_say net_filter
vm stop client --force
