#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a name's answer takes longer through a card's resolver than from the same server directly, both over the same card: parsed twice,
# judged twice, bound in the kernel. Medians of questions in turns, in one run. Goal: under 2 ms.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/names-world.sh"
start_card direct
wait_for 10 'the resolver' eval "[[ \"\$(ask 10.77.0.1 www.example.org/A)\" = *198.51.100.20 ]]"
wait_for 10 'the server' eval "[[ \"\$(ask 198.51.100.10 good.example.org/A)\" = *198.51.100.20 ]]"
for round in 1 2 3; do
  line=$(in_guest python3 "$DNS" latency 10.77.0.1 198.51.100.10 1000 good.example.org)
  say "round $round: $line ms"
  awk '{ print $6 }' <<<"$line" >>added
done
figure net_dns_added_ms "$(sort -g added | sed -n 2p)" ms
figure resolver_rss_kib "$(awk '/VmRSS/ { print $2 }' "/proc/$(pgrep -u 700000)/status")" KiB
