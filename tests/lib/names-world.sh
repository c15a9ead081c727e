# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the tests of names on a real card, after host.sh: a world with a DNS server, and a card of slot 0 whose guest is the network
# stack of namespace `guest`, behind tests/tools/frame-relay.c.
for program in nft ip python3 dnsmasq; do need "$program"; done
DNS=$SOURCE/tests/lib/hostile-dns.py

ip netns add world
ip netns add guest
ip link add uplink type veth peer name far netns world
in_world() { ip netns exec world "$@"; }
in_guest() { ip netns exec guest "$@"; }
ip addr add 198.51.100.1/24 dev uplink
ip link set uplink up
in_world ip link set lo up
in_world ip addr add 198.51.100.10/24 dev far
for host in 20 21; do in_world ip addr add 198.51.100.$host/24 dev far; done
in_world ip link set far up
ip route add default via 198.51.100.10
touch asked
in_world python3 "$DNS" serve 198.51.100.10 "$PWD/asked" >server.out 2>server.err &
for port in 80 8080; do in_world python3 -c 'import socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
while True:
    listener.accept()[0].close()' $port & done
wait_for 10 'the server' grep -q serving server.out

python3 - "$SOURCE/tests/golden/net/host.json" >policy.json <<'PYTHON'
import json
import sys
policy = json.load(open(sys.argv[1], encoding="utf-8"))


def web(ident):
    return {"id": ident, "protocol": "tcp", "names": ["*.example.org"], "ports": ["80"]}


dns = {"resolver": "rules", "servers": ["198.51.100.10"]}
policy["networks"] = {
    "names": {"mode": "nat", "ipv6": True, "dns": dns, "egress": [web("web")]},
    "more": {"mode": "nat", "ipv6": True, "dns": dns,
             "egress": [{"id": "other", "protocol": "udp", "to": ["203.0.113.0/24"]}, web("web-too")]},
    "without": {"mode": "nat", "ipv6": True, "egress": [{"id": "another", "protocol": "udp", "to": ["203.0.113.0/24"]}]},
    "direct": {"mode": "nat", "ipv6": True, "dns": dns, "egress": [web("web-direct"), {"id": "dns", "protocol": "udp", "to": ["198.51.100.10/32"], "ports": ["53"]}]},
}
for machine in policy["machines"]:
    machine["networks"] = ["names"]
json.dump(policy, sys.stdout)
PYTHON

mkfifo one.ctl
start_card() { # start_card NETWORK: the loader's pid in $loader
  rm -f one.card one.log
  FLOE_RESOLVER=$BUILD/bin/floe-resolver \
    "$BUILD/tests/net-card" open 0 policy.json "$1" ip netns exec guest "$BUILD/tests/frame-relay" 3 eth0 <>one.ctl >one.card 2>one.log & loader=$!
  wait_for 20 "the card" test -s one.card -o -s one.log; grep -q ^ready one.card || die "$(cat one.log)"
  wait_for 10 'the guest' in_guest ip link show eth0
  in_guest sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0
  in_guest ip link set eth0 address "$(awk '/^ready/ { print $3 }' one.card)"
  in_guest ip addr add 10.77.0.2/30 dev eth0
  in_guest ip link set lo up
  in_guest ip link set eth0 up
  in_guest ip -6 addr add fdf1:e77::2/64 dev eth0 nodad
  in_guest ip route add default via 10.77.0.1
}
card() { # card WORDS...: to the loader; waits for its answer
  local before
  before=$(grep -cE '^(done|error)' one.card || true)
  echo "$*" >one.ctl
  wait_for 20 "the card to '$*'" eval "[ \$(grep -cE '^(done|error)' one.card) -gt $before ]"
  tail -n 1 one.card | quietly grep -x 'done' || die "$*: $(tail -n 1 one.card)"
}
ask() { in_guest python3 "$DNS" ask "$@"; }
reach_tcp() { # reach_tcp ADDRESS [PORT]: yes or no
  if in_guest timeout 2 bash -c "exec 5<>/dev/tcp/$1/${2:-80}" 2>/dev/null; then echo yes; else echo no; fi
}
