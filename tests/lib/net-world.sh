# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by network tests, after host.sh: a world behind the host's uplink, a LAN on another interface, and those who watch for leaks.
#
#   world (namespace) 198.51.100.10 and .11, 2001:db8:51::10 and ::11 ── "far" ─ veth ─ "uplink" ── the host, 198.51.100.1, 2001:db8:51::1
#   lan (namespace)   192.0.2.1 router and DHCP server, 198.51.100.10  ── "port" ─ veth ─ "lan0" ── a host interface without addresses
#
# .10 answers echo, tcp 80 and udp 7 in each; names below example.test are asked of it. .11 is there and must never hear a thing.

TOOLS=$BUILD/tests
in_world() { ip netns exec world "$@"; }
in_lan() { ip netns exec lan "$@"; }

# serve NAMESPACE: what 198.51.100.10 and 2001:db8:51::10 answer there.
serve() {
  local to
  for to in TCP4-LISTEN:80,bind=198.51.100.10 "TCP6-LISTEN:80,bind=[2001:db8:51::10]" UDP4-RECVFROM:7,bind=198.51.100.10 "UDP6-RECVFROM:7,bind=[2001:db8:51::10]"; do
    ip netns exec "$1" socat "$to,fork,reuseaddr" PIPE 2>/dev/null &
  done
}

make_world() {
  ip netns add world
  ip link add uplink type veth peer name far netns world
  ip address add 198.51.100.1/24 dev uplink
  ip address add 2001:db8:51::1/64 dev uplink nodad
  ip link set uplink up
  in_world ip link set lo up
  in_world ip address add 198.51.100.10/24 dev far
  in_world ip address add 198.51.100.11/24 dev far
  in_world ip address add 203.0.113.1/32 dev far
  in_world ip address add 2001:db8:51::10/64 dev far nodad
  in_world ip address add 2001:db8:51::11/64 dev far nodad
  in_world ip link set far up
  serve world
  # A way to everywhere: what stops a packet must be the filter, not a missing route.
  ip route add default via 198.51.100.10
  ip -6 route add default via 2001:db8:51::10
  in_world dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --listen-address=198.51.100.10 --bind-interfaces \
    --address=/www.example.test/198.51.100.10 --address=/www.example.test/2001:db8:51::10 --address=/inside.example.test/10.1.2.3 \
    --local=/test/ --pid-file= --log-facility="$WORK/world-dns.log" 2>/dev/null &
}

# make_lan MAC ADDRESS: the LAN hands ADDRESS to the guest that has MAC.
make_lan() {
  ip netns add lan
  ip link add lan0 type veth peer name port netns lan
  ip link set lan0 up
  in_lan ip link set lo up
  in_lan ip link set port address 02:00:5e:00:53:01
  in_lan ip address add 192.0.2.1/24 dev port
  in_lan ip address add 198.51.100.10/32 dev lo
  in_lan ip address add 198.51.100.11/32 dev lo
  in_lan ip address add 2001:db8:52::1/64 dev port nodad
  in_lan ip address add 2001:db8:51::10/128 dev lo nodad
  in_lan ip link set port up
  serve lan
  in_lan dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --user=root --interface=port --bind-interfaces --pid-file= \
    --dhcp-range=192.0.2.50,192.0.2.99,1h --dhcp-host="$1,$2" --dhcp-authoritative --leasefile-ro \
    --log-facility="$WORK/lan-dhcp.log" 2>/dev/null &
}

# obey NAME WORDS...: a line to the tool whose control is NAME.in, its one line of answer from NAME.out on standard output.
obey() {
  local name=$1 before; shift
  before=$(wc -l <"$name.out")
  echo "$*" >"$name.in"
  wait_for 120 "$name to answer '$*'" eval "[ \$(wc -l <$name.out) -gt $before ]"
  tail -n 1 "$name.out"
}
field() { # field NAME LINE: the word after NAME
  awk -v name="$1" '{ for (i = 1; i < NF; i++) if ($i == name) { print $(i + 1); exit } }' <<<"$2"
}

watchers=()
start_watch() { # start_watch NAME COMMAND...
  local name=$1; shift
  # Emptied here: the watcher before it said "watching" too, and a frame must not go out on its word.
  : >"$name.watch"
  "$@" >>"$name.watch" & watchers+=($!)
  wait_for 10 "watcher $name" grep -q watching "$name.watch"
}
watched=0
end_watch() { # end_watch NAME...: puts these watchers' marked frames, counted together, into `watched`
  local name count
  # PIDs of this shell's own children.
  kill "${watchers[@]}"; wait "${watchers[@]}" || die 'a watcher failed'
  watchers=(); watched=0
  for name in "$@"; do
    count=$(field hostile "$(tail -n 1 "$name.watch")")
    [ "$count" = 0 ] || say "watcher $name saw $count hostile frames"
    watched=$((watched + count))
  done
}
