#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the kernel does with a packet is what the policy's own verdict says, `floe-policy explain packet` among others: random rule sets in
# a namespace, random packets into a real tap, each packet's fate and each rule's counter compared (tests/tools/net-explain.c).
. "$(dirname "$0")/../lib/host.sh"
for program in ip sysctl; do need "$program"; done
RULESETS=${RULESETS:-1100} PACKETS=100
[ -z "${FLOE_LONG:-}" ] || RULESETS=20000
SEED=${SEED:-20070416}

mkfifo go
"$BUILD/tests/net-explain" run "$SEED" "$RULESETS" "$PACKETS" <>go >explain.out 2>explain.log &
explain=$!
wait_for 20 'the taps' grep -q ready explain.out
# As the hypervisor sets a card's tap up; the world is everything else.
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for tap in floe0 world0; do
  sysctl -qw "net.ipv6.conf.$tap.accept_dad=0" "net.ipv4.conf.$tap.rp_filter=0"
  ip link set "$tap" txqueuelen 10000
done
sysctl -qw net.ipv4.conf.all.rp_filter=0
ip link set floe0 address 02:f1:0e:01:00:00 up
ip link set world0 address 02:00:00:00:00:78 up
ip addr add 10.77.0.1/30 dev floe0
ip addr add fdf1:e77::1/64 dev floe0 nodad
ip neigh add 10.77.0.2 lladdr 02:f1:0e:00:00:00 dev floe0 nud permanent
ip neigh add fdf1:e77::2 lladdr 02:f1:0e:00:00:00 dev floe0 nud permanent
ip addr add 192.0.2.2/24 dev world0
ip addr add 2001:db8:ffff::2/64 dev world0 nodad
ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:77 dev world0 nud permanent
ip neigh add 2001:db8:ffff::1 lladdr 02:00:00:00:00:77 dev world0 nud permanent
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8:ffff::1
# Flows that begin and never go on are not to fill the table.
for name in udp_timeout icmp_timeout icmpv6_timeout tcp_timeout_syn_sent; do
  [ ! -e /proc/sys/net/netfilter/nf_conntrack_$name ] || sysctl -qw "net.netfilter.nf_conntrack_$name=2"
done
echo >go
wait "$explain" || { tail -n 5 explain.log explain.out; die 'net-explain'; }
result=$(grep ^cases explain.out)
cases=$(awk '{ print $2 }' <<<"$result") disagreements=$(awk '{ print $4 }' <<<"$result") allowed=$(awk '{ print $6 }' <<<"$result")
figure net_explain_cases "$cases" packets
figure net_explain_disagreements "$disagreements" packets
figure net_explain_allowed "$allowed" packets
[ "$disagreements" = 0 ] || { grep -m 10 ^disagree explain.out; die "$disagreements of $cases cases disagree (SEED=$SEED)"; }
[ "$cases" -ge 100000 ] || die "only $cases cases"
[ "$allowed" -gt $((cases / 20)) ] && [ "$allowed" -lt $((cases * 19 / 20)) ] || die "a lopsided test: $allowed of $cases allowed"
