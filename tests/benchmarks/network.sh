#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a machine's packet filter costs: TCP throughput and packets a second from a guest to the world with 10, 1,000 and 50,000 rules, each as
# a ratio to the same path without any table, by turns in one run, medians; and how long it takes to put 50,000 rules in force. The guest
# is a network namespace behind a veth that is called as the card's tap is: both hooks of the link and all of the flow's are in the path.
. "$(dirname "$0")/../lib/host.sh"
for program in ip nft sysctl; do need "$program"; done
ROUNDS=${ROUNDS:-7} MS=${MS:-700}
bulk=$BUILD/tests/net-bulk

ip netns add guest; ip netns add world
ip link add floe0 type veth peer name eth0 netns guest
ip link add uplink type veth peer name far netns world
sysctl -qw net.ipv4.ip_forward=1
ip link set floe0 address 02:f1:0e:01:00:00 up
ip addr add 10.77.0.1/30 dev floe0
ip addr add 198.51.100.1/24 dev uplink
ip link set uplink up
in_guest() { ip netns exec guest "$@"; }
in_guest ip link set eth0 address 02:f1:0e:00:00:00 up
in_guest ip addr add 10.77.0.2/30 dev eth0
in_guest ip route add default via 10.77.0.1
ip netns exec world ip addr add 198.51.100.10/24 dev far
ip netns exec world ip link set far up
ip netns exec world ip route add 10.77.0.0/16 via 198.51.100.1
ip netns exec world "$bulk" sink 5001 >sink.out &
wait_for 10 'the sink' grep -q ready sink.out

# -- How long it takes. The least of some: what the work itself needs.
for ((i = 0; i < ${APPLIES:-3}; i++)); do "$bulk" load 50000 >>apply.out; "$bulk" remove; done
least() { awk -v which="$1" -v field="$2" '$1 == which { for (i = 2; i < NF; i += 2) if ($i == field) print $(i + 1) }' apply.out | sort -n | head -1; }
sed 's/^/| /' apply.out
figure net_apply_50000_ms "$(($(least first apply_us) / 1000))" ms
figure net_apply_50000_cpu_ms "$(($(least first cpu_us) / 1000))" ms
figure net_apply_50000_again_ms "$(($(least again apply_us) / 1000))" ms
figure net_counters_50000_ms "$(($(least first counters_us) / 1000))" ms

# -- What is left of the path's speed. Without rules: without any table of ours, but translated and tracked, as the path is.
nft -f - <<'RULES'
table inet tracking {
  chain forward {
    type filter hook forward priority 1; policy accept;
    ct state invalid drop
  }
  chain nat { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.77.0.2 oifname "uplink" masquerade; }
}
RULES
for ((round = 0; round < ROUNDS; round++)); do
  for rules in none 10 1000 50000; do
    if [ "$rules" = none ]; then "$bulk" remove; else "$bulk" load "$rules" 1 >/dev/null; fi
    echo "$rules tcp $(in_guest "$bulk" send 198.51.100.10 5001 "$MS")"
    echo "$rules udp $(in_guest "$bulk" send 198.51.100.10 5001 "$MS" udp)"
  done
done >speed.out
median() { awk -v rules="$1" -v kind="$2" '$1 == rules && $2 == kind { print $3 }' speed.out | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
for kind in tcp udp; do
  base=$(median none $kind)
  [ "$base" -gt 0 ] || { cat speed.out; die "no $kind without rules"; }
  figure "net_${kind}_none" "$base" "$([ $kind = tcp ] && echo bytes/s || echo packets/s)"
  for rules in 10 1000 50000; do
    here=$(median $rules $kind)
    [ "$here" -gt 0 ] || { cat speed.out; die "no $kind through $rules rules"; }
    name=$([ $kind = tcp ] && echo net_tput_ratio_$rules || echo net_pps_ratio_$rules)
    figure "$name" "$(awk -v a="$here" -v b="$base" 'BEGIN { printf "%.3f", a / b }')" of_the_same_path
  done
done
