#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Cards of every mode as hypervisord makes them, with a Linux of its own behind each: several cards, IPv6 behind NAT, a LAN over a bridge with a DHCP
# server on it, and a machine whose only way leads through another one. In each mode the process that made the cards is killed and another
# takes them over. What cannot be is refused with the reason, and nothing is left at the end.
. "$(dirname "$0")/../lib/host.sh"
for program in nft ip ping socat dnsmasq dhclient; do need "$program"; done
TOOLS=$BUILD/tests
export FLOE_RESOLVER=$BUILD/bin/floe-resolver

# -- The world: behind veth `uplink`; and a LAN of its own behind `lan0`, with a DHCP server.
ip netns add world
ip netns add lan
in_world() { ip netns exec world "$@"; }
in_lan() { ip netns exec lan "$@"; }
wire() { # wire NAME NAMESPACE
  ip link add "$1" type veth peer name far netns "$2"
  ip link set "$1" up
  ip netns exec "$2" ip link set lo up
  ip netns exec "$2" ip link set far up
}
wire uplink world
wire lan0 lan
ip addr add 198.51.100.1/24 dev uplink
ip addr add 2001:db8:51::1/64 dev uplink nodad
in_world ip addr add 198.51.100.10/24 dev far
in_world ip addr add 2001:db8:51::10/64 dev far nodad
ip route add default via 198.51.100.10
ip route add default via 2001:db8:51::10
in_world socat TCP-LISTEN:80,fork,reuseaddr PIPE 2>/dev/null &
in_world socat TCP6-LISTEN:80,fork,reuseaddr,ipv6only=1 PIPE 2>/dev/null &
in_lan ip addr add 192.0.2.1/24 dev far
in_lan dnsmasq --conf-file=/dev/null --keep-in-foreground --pid-file --port=0 --log-facility=- --interface=far --bind-interfaces \
  --leasefile-ro --dhcp-range=192.0.2.50,192.0.2.60,120 --dhcp-option=option:router --dhcp-authoritative --no-ping >lan-dhcp.log 2>&1 &
in_lan socat TCP-LISTEN:80,fork,reuseaddr PIPE 2>/dev/null &

machine() { # machine ID NETWORK...
  local id=$1 networks; shift
  networks=$(printf '"%s",' "$@")
  cat <<JSON
{ "id": "$id", "title": "$id", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128, "disk": "reset",
  "firmware": "bios", "networks": [${networks%,}], "emulation": "allow", "autostart": false,
  "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } }
JSON
}
rule() { echo "{ \"id\": \"$1\", \"protocol\": \"tcp\", \"to\": [$2], \"ports\": [\"80\"] }, { \"id\": \"$1-ping\", \"protocol\": \"icmp\", \"to\": [$3] }"; }
cat >policy.json <<JSON
{ "floe": 1, "group": "test", "machines": [ $(machine one world lan), $(machine fw world inside), $(machine client inside) , $(machine two lan) ],
  "networks": {
    "world": { "mode": "nat", "ipv6": true, "egress": [ $(rule web '"198.51.100.0/24", "2001:db8:51::/64"' '"198.51.100.0/24"'),
      { "id": "web-ping6", "protocol": "icmp6", "to": ["2001:db8:51::/64"] } ] },
    "lan": { "mode": "bridge", "interface": "lan0", "dhcp": { "servers": ["192.0.2.1"] }, "egress": [ $(rule lan-web '"192.0.2.0/24"' '"192.0.2.0/24"') ] },
    "inside": { "mode": "filter", "through": "fw", "egress": [ $(rule inner '"198.51.100.0/24"' '"198.51.100.0/24"') ] },
    "addressed": { "mode": "bridge", "interface": "uplink", "dhcp": { "servers": ["198.51.100.10"] }, "egress": [] },
    "nowhere": { "mode": "bridge", "interface": "eth77", "dhcp": { "servers": ["198.51.100.10"] }, "egress": [] },
    "tagged": { "mode": "vlan", "interface": "uplink", "vlan": 7, "dhcp": { "servers": ["198.51.100.10"] }, "egress": [] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one", "fw", "client", "two"] }] }
JSON
floe-policy lint policy.json >lint.log 2>&1 || { cat lint.log; die 'the policy does not parse'; }

# -- Cards and the guests behind them, all in one process as in hypervisord's. Slots: one 0 and 1, fw 4 and 5, client 8, two 12.
declare -A SLOTS=([world-one]=0 [lan-one]=1 [world-fw]=4 [inside-fw]=5 [inside-client]=8 [lan-two]=12)
: >cards.out
answers() { grep -cE '^(done|error)' cards.out || true; }
ask() { # ask COMMAND...: one answer, done or error
  local before; before=$(answers)
  echo "$*" >cards.ctl
  wait_for 30 "an answer to '$*'" eval "[ \$(answers) -gt $before ]"
  grep -E '^(done|error)' cards.out | tail -n 1 | tee last.out | quietly grep -x 'done'
}
tell() { ask "$@" || { cat cards.log; die "$*: $(cat last.out)"; }; }
start_loader() { # start_loader open|adopt NETWORK-GUEST COMMAND...
  "$TOOLS/net-card" "$1" "${SLOTS[$2]}" policy.json "${2%-*}" "${@:3}" <>cards.ctl >>cards.out 2>>cards.log &
  LOADER=$!
}
guest_of() { # guest_of CARD INTERFACE: the words that relay a card to INTERFACE of its guest's namespace
  echo ip netns exec "${1#*-}" "$TOOLS/frame-relay" 3 "$2"
}
plug() { # plug CARD INTERFACE: a new card, whose other end is the guest's INTERFACE
  local card=$1 guest=${1#*-} before
  [ -e "/run/netns/$guest" ] || { ip netns add "$guest"; inside "$guest" ip link set lo up; }
  before=$(grep -c ^ready cards.out || true)
  # shellcheck disable=SC2046 # words
  if [ -z "${LOADER:-}" ]; then start_loader open "$card" $(guest_of "$card" "$2"); else tell also open "${SLOTS[$card]}" "${card%-*}" $(guest_of "$card" "$2"); fi
  wait_for 30 "card $card" eval "[ \$(grep -c ^ready cards.out || true) -gt $before ]" || { cat cards.log; die "card $card"; }
  wait_for 20 "the guest's end of $card" inside "$guest" ip link show "$2" >/dev/null
  inside "$guest" ip link set "$2" address "$(awk '/^ready/ { mac = $3 } END { print mac }' cards.out)"
  inside "$guest" ip link set "$2" up
}
use() { tell card "${SLOTS[$1]}"; }
# kill_and_adopt CARD...: the process that made the cards dies, another one takes them over.
kill_and_adopt() {
  local card before
  kill -KILL "$LOADER"
  wait "$LOADER" 2>/dev/null || true
  [ -z "${BETWEEN:-}" ] || $BETWEEN
  before=$(grep -c ^ready cards.out)
  start_loader adopt "$1"
  wait_for 30 "adoption of $1" eval "[ \$(grep -c ^ready cards.out) -gt $before ]" || { cat cards.log; die "adoption of $1"; }
  for card in "${@:2}"; do tell also adopt "${SLOTS[$card]}" "${card%-*}"; done
  tell sweep
}
unplug() { use "$1"; tell close; }
inside() { local name=$1; shift; ip netns exec "$name" "$@"; }
mkfifo cards.ctl
cat >dhcp-script <<'SH'
#!/bin/sh
case $reason in
  BOUND | RENEW | REBIND | REBOOT)
    ip addr flush dev "$interface" scope global
    ip addr add "$new_ip_address/$new_subnet_mask" dev "$interface"
    for router in $new_routers; do ip route replace default via "$router"; done
    echo "$new_rfc3442_classless_static_routes" >"$RUN_DIRECTORY/routes" ;;
  BOUND6 | RENEW6 | REBIND6) ip -6 addr add "$new_ip6_address/128" dev "$interface" nodad ;;
esac
exit 0
SH
chmod +x dhcp-script
lease() { # lease GUEST INTERFACE [-6]: as any Linux gets its address
  local guest=$1 run=run-$1-$2
  [ "${3:-}" != -6 ] || wait_for 10 'a link-local address' eval "inside $guest ip -6 addr show dev $2 scope link -tentative | quietly grep fe80"
  mkdir -p "$run"
  cat >"$run/conf" <<'CONF'
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name-servers, rfc3442-classless-static-routes;
CONF
  timeout 40 ip netns exec "$guest" dhclient "${3:--4}" ${DUID:+-D "$DUID"} -1 -v -cf "$PWD/$run/conf" -sf "$PWD/dhcp-script" -lf "$PWD/$run/leases" -pf "$PWD/$run/pid" \
    -e RUN_DIRECTORY="$PWD/$run" "$2" >"$run/dhclient${3:-}.log" 2>&1 || { cat "$run/dhclient${3:-}.log" cards.log; nft list ruleset; die "$guest gets no address ${3:-}"; }
  # The client that this function started.
  kill "$(cat "$run/pid")" 2>/dev/null || true
}
reaches() { inside "$1" socat -T 5 -t 5 - "TCP:$2:80,connect-timeout=4" <<<hello 2>/dev/null | quietly grep -x hello; }
cannot() { if reaches "$1" "$2"; then nft list ruleset; die "$1 reaches $2"; fi; }
can() { reaches "$1" "$2" || { cat cards.log; ip rule; ip -6 route; nft list ruleset; die "$1 does not reach $2"; }; }

say 'nat: DHCP, both families, what policy allows and nothing else'
plug world-one eth0
lease one eth0
can one 198.51.100.10
wait_for 20 'a router advertisement' eval 'inside one ip -6 route show default | quietly grep fe80'
lease one eth0 -6
inside one ip -6 addr show dev eth0 | quietly grep 'fdf1:e77::2/128' || die "addresses: $(inside one ip -6 addr show dev eth0)"
can one '[2001:db8:51::10]'
inside one ping -c 1 -W 5 2001:db8:51::10 >/dev/null || die 'no echo over IPv6'
in_world ip addr add 203.0.113.9/32 dev far
cannot one 203.0.113.9
dhcp=$(use world-one; tell dhcp; sed -n 's/^dhcp //p' cards.out | tail -n 1)
[ "$(awk '/^CapEff/ { print $2 }' "/proc/$dhcp/status")" = 0000000000003400 ] && [ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$dhcp/status")" = 2 ] ||
  die "the DHCP server has $(grep -E '^(CapEff|Seccomp)' "/proc/$dhcp/status")"

say 'nat: the same card by another process, while packets go on'
BETWEEN='can one 198.51.100.10' kill_and_adopt world-one
can one '[2001:db8:51::10]'
lease one eth0 -6

say 'nat: a guest that begins anew as another DHCPv6 client gets the address, the only one that there is'
use world-one; tell reset
rm -f run-one-eth0/leases
inside one ip -6 addr flush dev eth0 scope global
DUID=LL lease one eth0 -6
can one '[2001:db8:51::10]'

say 'bridge: a second card of the same machine, on a LAN whose DHCP server is known'
plug lan-one eth1
bridge=$(ip -j link show master floeb0-lan0 | jq -r '.[].ifname' | sort | tr '\n' ' ')
[ "$bridge" = 'floe1 lan0 ' ] || die "ports of the bridge: $bridge"
[ -z "$(ip -j addr show dev floeb0-lan0 | jq -r '.[].addr_info[].local')" ] || die 'the host has an address on the LAN'
inside one ip addr add 192.0.2.200/24 dev eth1
cannot one 192.0.2.1
inside one ip addr flush dev eth1
lease one eth1
inside one ip -4 addr show dev eth1 | quietly grep 'inet 192.0.2.5[0-9]' || die 'no lease of the LAN'
wait_for 10 'the lease to be learnt' eval "use lan-one; tell address; tail -n 2 cards.out | quietly grep '^address 192.0.2.5'"
can one 192.0.2.1
in_lan ip addr add 192.0.2.2/24 dev far
can one 192.0.2.2

say 'bridge: machines on one LAN are isolated from each other'
plug lan-two eth0
lease two eth0
can two 192.0.2.1
two=$(inside two ip -j -4 addr show dev eth0 | jq -r '.[].addr_info[].local')
inside one ping -c 1 -W 2 -I eth1 "$two" >/dev/null && die 'two machines see each other'
bridge -d link show dev floe1 | quietly grep 'isolated on' || die "$(bridge -d link show dev floe1)"

say 'bridge: adopted'
kill_and_adopt world-one lan-one lan-two
can one 198.51.100.10
can one 192.0.2.1
can two 192.0.2.1

say 'filter: no way but through the machine that filters, and none while it is away'
plug inside-client eth0
lease client eth0
cannot client 198.51.100.10
ip rule show | quietly grep 'iif floe8' || die "$(ip rule)"
ip route show table 4044226568 | quietly grep '^unreachable default' || die 'the way does not fail closed'
plug world-fw eth0
lease fw eth0
plug inside-fw eth1
lease fw eth1
[ "$(cat run-fw-eth1/routes)" = '16 10 77 10 77 0 21' ] || die "the inner side is told '$(cat run-fw-eth1/routes)'"
inside fw ip route add 10.77.0.0/16 via 10.77.0.21 dev eth1
inside fw sysctl -qw net.ipv4.ip_forward=1
cannot client 198.51.100.10 # the inner machine does not masquerade yet: what it sends is not its own
inside fw nft -f - <<'NFT'
table ip fw {
  chain forward { type filter hook forward priority 0; policy drop; ct state established accept; ip daddr 198.51.100.10 counter accept; }
  chain nat { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
NFT
can client 198.51.100.10
inside fw nft list table ip fw | quietly grep 'counter packets [1-9]' || die 'it did not go through the filtering machine'
in_world ip addr add 198.51.100.12/24 dev far
cannot client 198.51.100.12 # policy allows it, the filtering machine does not

say 'filter: adopted, and with the filtering machine ended and started again'
kill_and_adopt world-one lan-one lan-two inside-client world-fw inside-fw
can client 198.51.100.10
unplug inside-fw
cannot client 198.51.100.10
ip route show table 4044226568 | quietly grep '^default' && die "a way is left: $(ip route show table 4044226568)"
inside fw ip link del eth1 2>/dev/null || true
plug inside-fw eth1
lease fw eth1
inside fw ip route replace 10.77.0.0/16 via 10.77.0.21 dev eth1
can client 198.51.100.10

say 'what cannot be is refused, with the reason'
refuse() { # refuse NETWORK REASON
  ask also open 13 "$1" && die "network $1 was opened"
  quietly grep "$2" last.out || die "network $1: $(cat last.out)"
}
refuse addressed "carries the host's address 198.51.100.1"
refuse nowhere 'the host has no interface eth77'
if ip link add link lan0 name probe type vlan id 9 2>/dev/null; then ip link del probe; else refuse tagged 'CONFIG_VLAN_8021Q'; fi
ip addr show dev uplink | quietly grep 198.51.100.1/24 || die "the host's address is gone"

say 'nothing is left'
for card in world-one lan-one lan-two inside-client world-fw inside-fw; do unplug "$card"; done
wait "$LOADER" || true
left=$(ip -j link | jq -r '.[].ifname' | grep -E '^floe' || true; nft list tables | grep floe || true; ip rule | grep floe || true; ip -6 rule | grep floe || true
  ip route show table all | grep 40442 || true; ip -6 route show table all | grep 40442 || true)
[ -z "$left" ] || die "left behind: $left"
[ -z "$(ip -j link show lan0 | jq -r '.[].master // empty')" ] || die 'the interface is still a port'
figure net_cards_left 0
