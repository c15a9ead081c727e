#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A whole local image through the plugin against the same bytes through nbdkit's file plugin, in one run and in turns: sequential 128 KiB
# and random 4 KiB reads, 16 in flight. cached_*: chunks that were verified before in this nbdkit's life (cache=). first_*: a pass in
# which every chunk is read from the store, verified and decompressed. memory_*: without cache=, 4 MiB of slots only.
. "$(dirname "$0")/../lib/host.sh"
need nbdkit

plugin=$BUILD/lib/nbdkit-floe-plugin.so load=$BUILD/tests/nbd-load
mib=$((1 << 20)) rounds=5 seconds=2

say 'an image of 384 MiB of files of this system'
find /usr/lib /usr/bin -xdev -type f -size +64k 2>/dev/null | sort | while IFS= read -r file; do cat "$file"; done 2>/dev/null |
  dd of=image.raw bs=1M count=384 iflag=fullblock status=none || true
[ "$(stat -c %s image.raw)" = $((384 * mib)) ] || truncate -s $((384 * mib)) image.raw
floe-image cut --out . --name x image.raw
formats="index=x.caibx table=x.table store=chunks"
cat image.raw chunks/*/* >/dev/null # all of it in the page cache, for both

start() { # NAME ARGUMENT...
  local name=$1; shift
  nbdkit -f -U "$WORK/$name.sock" --pidfile "$name.pid" "$@" &
  wait_for 20 "nbdkit for $name" test -s "$name.pid"
}
stop() { kill "$(cat "$1.pid")"; while [ -d "/proc/$(cat "$1.pid")" ]; do sleep 0.05; done; rm -f "$1.pid" "$1.sock"; }
requests() { "$load" "nbd+unix:///?socket=$WORK/$1.sock" random $seconds | cut -d' ' -f1; }
bytes() { "$load" "nbd+unix:///?socket=$WORK/$1.sock" seq 0 | cut -d' ' -f2; }
median() { sort -g | sed -n "$(((rounds + 1) / 2))p"; }
over() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'; }
rss() { awk '/VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$(cat "$1.pid")/status"; }
# RATIO-FILE-NAME MEASURE PLUGIN: appends one ratio, measured in turn with the file plugin.
turn() { over "$("$2" "$3")" "$("$2" file)" >>"$1"; }

start file file image.raw
bytes file >/dev/null
for round in $(seq $rounds); do
  say "round $round of $rounds"
  start fresh "$plugin" $formats cache=.
  turn first_seq bytes fresh
  bytes fresh >/dev/null; bytes fresh >/dev/null # twice more: what is read again is kept
  turn cached_seq bytes fresh
  turn cached_4k requests fresh
  rss fresh >>rss; echo >>rss
  stop fresh
  start memory "$plugin" $formats
  turn memory_4k requests memory
  stop memory
done
stop file
figure cached_seq_ratio "$(median <cached_seq)"
figure cached_4k_ratio "$(median <cached_4k)"
figure first_seq_ratio "$(median <first_seq)"
figure memory_4k_ratio "$(median <memory_4k)"
figure plugin_rss_mib "$(median <rss)" MiB
