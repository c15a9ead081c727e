#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a machine's packet filter costs: TCP throughput and packets a second from a guest to the world with 10, 1,000 and 50,000 rules, each as
# a ratio to the same path without any; and how long it takes to put 50,000 rules in force. A path is three network namespaces (guest, host,
# world), its tap a veth that is called as the card's tap is: both hooks of the link and all of the flow's are in the path. There is one for each
# number of rules, and one without, which has nothing but the address translation, and of each two copies, for no two are equally fast: how far the
# two without rules are from each other is the noise. They take turns, in rounds so short that whatever else the machine does meets all of them alike;
# what counts is the median of the rounds' ratios.
. "$(dirname "$0")/../lib/host.sh"
for program in ip nft sysctl; do need "$program"; done
TCP_ROUNDS=${TCP_ROUNDS:-15} UDP_ROUNDS=${UDP_ROUNDS:-50}
bulk=$BUILD/tests/net-bulk

# make_path NAME: namespaces guest-NAME, host-NAME and world-NAME.
make_path() {
  local host="ip netns exec host-$1" guest="ip netns exec guest-$1" world="ip netns exec world-$1"
  ip netns add "guest-$1"; ip netns add "host-$1"; ip netns add "world-$1"
  ip link add floe0 netns "host-$1" type veth peer name eth0 netns "guest-$1"
  ip link add uplink netns "host-$1" type veth peer name far netns "world-$1"
  $host sysctl -qw net.ipv4.ip_forward=1
  $host ip link set floe0 address 02:f1:0e:01:00:00 up
  $host ip addr add 10.77.0.1/30 dev floe0
  $host ip addr add 198.51.100.1/24 dev uplink
  $host ip link set uplink up
  $guest ip link set eth0 address 02:f1:0e:00:00:00 up
  $guest ip addr add 10.77.0.2/30 dev eth0
  $guest ip route add default via 10.77.0.1
  $world ip addr add 198.51.100.10/24 dev far
  $world ip link set far up
  $world ip route add 10.77.0.0/16 via 198.51.100.1
  $world "$bulk" sink 5001 >"sink-$1.out" &
  wait_for 10 'the sink' grep -q ready "sink-$1.out"
}

# -- How long it takes. The least of some: what the work itself needs.
ip link add floe0 type veth peer name eth0
for ((i = 0; i < ${APPLIES:-3}; i++)); do "$bulk" load 50000 >>apply.out; "$bulk" remove; done
least() { awk -v which="$1" -v field="$2" '$1 == which { for (i = 2; i < NF; i += 2) if ($i == field) print $(i + 1) }' apply.out | sort -n | head -1; }
sed 's/^/| /' apply.out
figure net_apply_50000_ms "$(($(least first apply_us) / 1000))" ms
figure net_apply_50000_cpu_ms "$(($(least first cpu_us) / 1000))" ms
figure net_apply_50000_again_ms "$(($(least again apply_us) / 1000))" ms
figure net_counters_50000_ms "$(($(least first counters_us) / 1000))" ms

# -- What is left of the path's speed.
paths=(none-a 10-a 1000-a 50000-a none-b 10-b 1000-b 50000-b)
for path in "${paths[@]}"; do
  make_path "$path"
  case "$path" in
  none-*) ip netns exec "host-$path" nft -f - <<'RULES' ;;
table inet nat {
  chain nat { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.77.0.2 oifname != "floe0" masquerade; }
}
RULES
  *) ip netns exec "host-$path" "$bulk" load "${path%-?}" 1 >/dev/null ;;
  esac
done
# rounds NUMBER KIND MS: lines of kind, round, path, what came a second, processor time for a packet or a megabyte, in ns.
rounds() {
  local round i path
  for ((round = 0; round < $1; round++)); do
    for ((i = 0; i < ${#paths[@]}; i++)); do
      path=${paths[(round + i) % ${#paths[@]}]}
      echo "$2 $round $path $(ip netns exec "guest-$path" "$bulk" send 198.51.100.10 5001 "$3" "$2")"
    done
  done
}
rounds "$TCP_ROUNDS" tcp 200 >speed.out
rounds "$UDP_ROUNDS" udp 25 >>speed.out
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
# ratio KIND COLUMN RULES: the median of what each round says. RULES same: of the one copy without rules to the other.
ratio() {
  awk -v kind="$1" -v column="$2" -v rules="$3" '
    $1 == kind { value[$2, $3] = $column; bad[$2] += $4 == 0; if ($2 > last) last = $2 }
    END {
      for (r = 0; r <= last; r++) {
        base = rules == "same" ? value[r, "none-b"] : value[r, "none-a"] + value[r, "none-b"]
        here = rules == "same" ? value[r, "none-a"] : value[r, rules "-a"] + value[r, rules "-b"]
        if (!bad[r]) printf "%.4f\n", column == 4 ? here / base : base / here
      }
    }' speed.out | median
}
for kind in tcp udp; do
  name=$([ $kind = tcp ] && echo tput || echo pps)
  base=$(awk -v kind=$kind '$1 == kind && $3 ~ /^none/ { print $4 }' speed.out | median)
  figure "net_${kind}_none" "$base" "$([ $kind = tcp ] && echo bytes/s || echo packets/s)"
  # A round in which an answer was lost says nothing.
  [ "$(awk -v kind=$kind '$1 == kind && $4 == 0 { print $2 }' speed.out | sort -u | wc -l)" -le $(($([ $kind = tcp ] && echo "$TCP_ROUNDS" || echo "$UDP_ROUNDS") / 2)) ] || { cat speed.out; die "$kind does not arrive"; }
  for rules in same 10 1000 50000; do
    figure "net_${name}_ratio_$rules" "$(ratio $kind 4 $rules)" of_the_same_path
    figure "net_${name}_cpu_ratio_$rules" "$(ratio $kind 5 $rules)" of_processor_time
  done
done
