#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# exclusive
# Two real guests, from the desktop image, through the real server, agent and hypervisord: apt through the NAT by name, and not by address; a
# policy that withdraws a rule cuts the download that it had allowed and nothing else; neither machine sees the other; IPv6 as Linux does it.
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/guest.sh"
  published_guest
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/guest.sh"
LOGS=$SOURCE/build/test-logs/net-guest
rm -rf "$LOGS"
mkdir -p "$LOGS"
trap 'status=$?; [ $status = 0 ] || { for log in "$LOGS"/{hypervisord,agent}.log "$CONTROL/log" "$CONTROL/dns.log"; do echo "== $log"; tail -n 25 "$log"; done; nft list ruleset >"$LOGS/ruleset.txt"; } >&2; exit $status' EXIT
vm() { floe-vm --config $CONFIG "$@"; }

write_policy() { # write_policy [WITHOUT]: the rule with this id is left out
  cat <<JSON | jq --arg without "${1:-}" '.networks[].egress |= map(select(.id != $without))' >"$WORK/policy.json"
{ "floe": 1, "group": "office",
  "machines": [
    { "id": "one", "title": "One", "colour": "#2e7d32", "image": { "name": "desktop", "channel": "stable" }, "vcpus": 1, "memory_mib": 640,
      "disk": "reset", "firmware": "uefi", "networks": ["one"], "emulation": "allow", "autostart": true,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "two", "title": "Two", "colour": "#c62828", "image": { "name": "desktop", "channel": "stable" }, "vcpus": 1, "memory_mib": 640,
      "disk": "reset", "firmware": "uefi", "networks": ["two"], "emulation": "allow", "autostart": true,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": {
    "one": { "mode": "nat", "ipv6": true, "dns": { "resolver": "rules", "servers": ["198.51.100.53"] },
      "egress": [
        { "id": "control", "protocol": "tcp", "to": ["198.51.100.9/32"], "ports": ["9000"] },
        { "id": "repository", "protocol": "tcp", "names": ["repo.example.test"], "ports": ["80"] },
        { "id": "inside", "protocol": "tcp", "names": ["inside.example.test"], "ports": ["80"] },
        { "id": "download", "protocol": "tcp", "to": ["198.51.100.30/32"], "ports": ["80"] },
        { "id": "ping", "protocol": "icmp", "to": ["198.51.100.10/32"] },
        { "id": "ping6", "protocol": "icmp6", "to": ["2001:db8:51::10/128"] },
        { "id": "neighbours", "protocol": "any", "to": ["10.77.0.0/16", "fdf1:e77::/48"] } ] },
    "two": { "mode": "nat", "ipv6": true,
      "egress": [
        { "id": "control-two", "protocol": "tcp", "to": ["198.51.100.9/32"], "ports": ["9000"] },
        { "id": "neighbours-two", "protocol": "any", "to": ["10.77.0.0/16", "fdf1:e77::/48"] } ],
      "ingress": [ { "id": "from-neighbours", "protocol": "any", "from": ["10.77.0.0/16", "fdf1:e77::/48"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one", "two"] }] }
JSON
}

endpoint_users
endpoint_world
guest_world
make_archive floe-hello
write_policy
server_data "$WORK/policy.json"
endpoint_up office
is_going() { machine_is "$1" starting || machine_is "$1" running; }
for machine in one two; do wait_for 120 "machine $machine to start by itself" is_going $machine; done
began=$SECONDS
one=02:f1:0e:00:00:00 two=02:f1:0e:00:00:04
wait_for 900 'guest one to come up' guest_is_up $one
wait_for 600 'guest two to come up' guest_is_up $two
say "both guests are up after $((SECONDS - began)) s"

say 'by name, and what the name stands for only then'
tell $one 'curl --silent --max-time 4 http://198.51.100.20/Packages' && die 'the address of a name that nobody asked for was open'
tell $one 'curl --silent --show-error --max-time 4 http://198.51.100.21/Packages' && die 'another address of the repository was reached'
tell_long $one 400 "echo 'deb [trusted=yes] http://repo.example.test/ ./' >/etc/apt/sources.list && apt-get -q -o Acquire::Languages=none update && apt-get -q -y install floe-hello && cat /usr/share/floe-hello/hello" \
  >"$LOGS/apt.txt" || { cat "$LOGS/apt.txt" >&2; die 'apt by name'; }
[ "$(tail -n 1 "$LOGS/apt.txt")" = 'from the repository' ] || { cat "$LOGS/apt.txt" >&2; die 'the package was not installed'; }
tell_long $one 400 "echo 'deb [trusted=yes] http://198.51.100.21/ ./' >/etc/apt/sources.list && apt-get -q -o Acquire::Languages=none -o Acquire::http::Timeout=5 -o Acquire::Retries=0 -o APT::Update::Error-Mode=any update" \
  >"$LOGS/apt-address.txt" && { cat "$LOGS/apt-address.txt" >&2; die 'apt by address'; }
tell $one 'curl --silent --max-time 4 http://other.example.test/Packages' && die 'a name that no rule names was reached'
grep -q 'other.example.test' "$CONTROL/dns.log" && die 'a name that no rule names was asked outside'
tell $one 'getent ahosts inside.example.test' && die 'an answer that points inside was passed on'
arrivals | quietly grep -F 198.51.100.21 && { arrivals; die 'packets to the address arrived'; }

say 'IPv6, as an ordinary Linux does it'
tell $one 'ping -6 -c 1 -W 5 2001:db8:51::10' >"$LOGS/ping6.txt" || { cat "$LOGS/ping6.txt" >&2; tell $one 'ip -6 address; ip -6 route; networkctl status' >&2; die 'no IPv6'; }
tell $one 'curl -6 --silent --max-time 5 --output /dev/null http://repo.example.test/Packages' || die 'the repository by name over IPv6'
tell $one 'curl -6 --silent --max-time 4 --output /dev/null "http://[2001:db8:51::21]/Packages"' && die 'another IPv6 address was reached'

say 'two machines do not see each other, whatever rules say'
two_address=$(tell $two "ip -4 -o address show scope global | sed -E 's/.* inet ([0-9.]+).*/\\1/'")
two_six=$(tell $two "ip -6 -o address show scope global | sed -E 's/.* inet6 ([0-9a-f:]+).*/\\1/' | head -n 1")
[ "$two_address" = 10.77.0.18 ] || die "guest two has address '$two_address'"
[ -n "$two_six" ] || die 'guest two has no IPv6 address'
nft -f - <<'NFT'
table netdev seen {
  counter four { }
  counter six { }
  chain seen {
    type filter hook egress device "floe4" priority 100; policy accept;
    ip saddr 10.77.0.2 counter name four
    ip6 saddr fdf1:e77:0:0::/64 counter name six
  }
}
NFT
for probe in "ping -c 2 -W 2 $two_address" "ping -6 -c 2 -W 2 $two_six" "curl --silent --max-time 3 http://$two_address:111/"; do
  tell $one "$probe" >>"$LOGS/neighbours.txt" && die "'$probe' reached machine two"
done
seen=$(nft -j list counters table netdev seen | jq '[.nftables[].counter? | select(. != null) | .packets] | add')
[ "$seen" = 0 ] || die "$seen packets of machine one's went to machine two's tap"
figure net_neighbour_packets "$seen" packets

say 'a rule is withdrawn while a download runs'
tell $one 'curl --silent --show-error --speed-limit 1024 --speed-time 5 --output /dev/null http://198.51.100.30/big >/run/download 2>&1; echo $? >/run/download.status' >/dev/null &
telling=$!
wait_for 30 'the download to begin' test -e "$CONTROL/sent"
sleep 2
write_policy download
version=$(vm status | sed -n 's/^policy:.*version //p')
publish_policy "$WORK/policy.json" >>"$LOGS/publish.log" 2>&1
kill -HUP "$(agent_pid)"
in_force_after() { [ "$(vm status | sed -n 's/^policy:.*version //p')" -gt "$1" ]; }
wait_for 30 'the new policy to be in force' in_force_after "$version"
cut=$SECONDS sent=$(cat "$CONTROL/sent")
sleep 1.5
# What the server's and the kernel's buffers take may still be "sent"; nothing of it arrives, so it comes to an end by itself.
wait $telling || true
later=$(cat "$CONTROL/sent")
say "download: $((sent / 1024)) KiB sent when the rule went, $((later / 1024)) KiB in all; it ended $((SECONDS - cut)) s later"
[ ! -e "$CONTROL/sending" ] || sleep 6
[ ! -e "$CONTROL/sending" ] || die 'the server still sends'
status=$(tell $one cat /run/download.status) || die 'the download did not end'
[ "$status" -gt 0 ] || die 'the download came to a good end'
tell $one 'curl --silent --max-time 4 --output /dev/null http://198.51.100.30/big' && die 'a new download began without a rule'
tell $one 'curl --silent --max-time 10 --fail --output /dev/null http://repo.example.test/Packages' || die 'another rule was lost with it'
tell $one 'ping -c 1 -W 5 198.51.100.10' >/dev/null || die 'another rule was lost with it'
vm net one || true
vm stop --force one
vm stop --force two
