#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The plugin under real nbdkit: an altered chunk in the local store is refused, named once, asked for again and never served; without an
# agent, or with one that comes and goes, reads wait and complete; what no image has is an I/O error; many readers of one
# missing chunk ask once.
. "$(dirname "$0")/../lib/host.sh"
need nbdkit
need nbdcopy
need nbdinfo

plugin=$BUILD/lib/nbdkit-floe-plugin.so agent=$BUILD/tests/chunk-agent load=$BUILD/tests/nbd-load
chunk=131072

say 'an image'
{ head -c $((40 * chunk)) /dev/urandom; head -c $((12 * chunk)) "$(command -v qemu-system-x86_64)"; } >image.raw
truncate -s $((80 * chunk)) image.raw
head -c 4096 /dev/urandom >>image.raw
floe-image cut --out . --name t image.raw >/dev/null
mv chunks upstream
formats='index=t.caibx table=t.table'
served_wrong=0 nbd=

path_of() { echo "$1/${2:0:4}/$2.cacnk"; }
# The digest of chunk NUMBER, from the index itself.
digest() { dd if=t.caibx bs=1 skip=$((64 + 40 * $1 + 8)) count=32 status=none | od -An -v -tx1 | tr -d ' \n'; }
start_nbd() {
  nbdkit -f -U "$WORK/nbd.sock" --pidfile nbd.pid "$plugin" $formats store=local agent="$WORK/agent.sock" "$@" 2>nbd.log &
  nbd=$!
  wait_for 20 nbdkit test -s nbd.pid
}
stop_nbd() { kill "$nbd"; wait "$nbd" || true; rm -f nbd.pid nbd.sock; }
start_agent() {
  rm -f agent.sock
  "$agent" "$WORK/agent.sock" t.table upstream local >>asked.log 2>agent.log &
  agent_pid=$!
  wait_for 20 'the agent' test -S "$WORK/agent.sock"
}
stop_agent() { kill -9 "$agent_pid"; wait "$agent_pid" 2>/dev/null || true; }
uri="nbd+unix:///?socket=$WORK/nbd.sock"
# Reads everything and counts what differs from the image.
check_whole() {
  nbdcopy "$uri" got.raw || die "$1: reading failed: $(cat nbd.log)"
  cmp -s image.raw got.raw || { served_wrong=$((served_wrong + 1)); say "$1: WRONG bytes were served"; }
}
fresh_local() { rm -rf local; cp -a upstream local; : >asked.log; }

say 'a whole local store, and no agent'
fresh_local
for cache in '' cache=. cache-fd=9; do
  exec 9<>unnamed; rm unnamed
  start_nbd $cache
  check_whole 'local'; check_whole 'local again'; check_whole 'local a third time'
  [ "$(nbdinfo --size "$uri")" = "$(stat -c %s image.raw)" ] || die 'the size is another'
  # 52 chunks of data, then 28 of zeros in one extent, then the short one.
  [ "$(nbdinfo --map "$uri" | awk '$4 == "hole,zero" { print $1, $2 }')" = "$((52 * chunk)) $((28 * chunk))" ] || die "extents: $(nbdinfo --map "$uri")"
  stop_nbd
done
[ ! -s nbd.log ] || die "a good image was complained about: $(cat nbd.log)"

say 'altered in the local store, each in its own way'
fresh_local
d=(); for i in 0 1 2 3 4 5 6 7 8; do d[$i]=$(digest "$i"); done
printf 'X' | dd of="$(path_of local "${d[0]}")" bs=1 seek=777 conv=notrunc status=none                  # one byte
truncate -s 1000 "$(path_of local "${d[1]}")"                                                           # cut short
ln -sf "$WORK/upstream/${d[2]:0:4}/${d[2]}.cacnk" "$(path_of local "${d[2]}")"                          # a link, even to good bytes
cp "$(path_of upstream "${d[4]}")" "$(path_of local "${d[3]}")"                                         # another valid chunk
echo more >>"$(path_of local "${d[4]}")"                                                                # longer
rm "$(path_of local "${d[5]}")"; mkdir "$(path_of local "${d[5]}")"                                     # a directory
mv "local/${d[6]:0:4}" moved; ln -s "$WORK/moved" "local/${d[6]:0:4}"                                   # its directory is a link
rm "$(path_of local "${d[7]}")"; mkfifo "$(path_of local "${d[7]}")"                                    # a FIFO: must not hang
truncate -s 1G zeros; zstd -q zeros -o zeros.zst; rm zeros
head -c "$(stat -c %s "$(path_of upstream "${d[8]}")")" zeros.zst >bomb
cp bomb "$(path_of local "${d[8]}")"                                                                    # a frame that unpacks to far too much
start_agent; start_nbd
check_whole altered; check_whole 'altered, again'
for i in 0 1 2 3 4 5 6 7 8; do
  [ "$(grep -c "chunk ${d[$i]}" nbd.log)" = 1 ] || die "altered chunk $i is in the log $(grep -c "${d[$i]}" nbd.log) times: $(cat nbd.log)"
  [ "$(grep -c "${d[$i]}" asked.log)" = 1 ] || die "altered chunk $i was asked for $(grep -c "${d[$i]}" asked.log) times"
  cmp "$(path_of local "${d[$i]}")" "$(path_of upstream "${d[$i]}")" || die "altered chunk $i was not replaced"
done
[ "$(wc -l <asked.log)" = 9 ] || die "asked for $(wc -l <asked.log) chunks, 9 were altered"
stop_nbd
say 'one bit of every chunk, one chunk after the other'
fresh_local
stop_agent; start_agent
n=0
for file in local/*/*.cacnk; do
  size=$(stat -c %s "$file") at=$((n * 7919 % $(stat -c %s "$file")))
  byte=$(dd if="$file" bs=1 skip=$at count=1 status=none | od -An -tu1)
  printf "\\x$(printf %02x $((byte ^ (1 << n % 8))))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
  n=$((n + 1))
done
start_nbd; check_whole 'every chunk altered'; stop_nbd
# The chunk of zeros is never read from a store.
[ "$(grep -c 'asking for it again' nbd.log)" = $((n - 1)) ] || die "$n chunks altered, $(grep -c asking nbd.log) refused"
stop_agent

say 'no agent at first, then one that is killed in between: reads wait and complete'
rm -rf local; mkdir local; : >asked.log
rm -f agent.sock
start_nbd
nbdcopy "$uri" got.raw & copy=$!
sleep 2
kill -0 "$copy" 2>/dev/null || die 'the read ended without an agent'
for round in 1 2 3; do
  start_agent
  sleep 0.1
  stop_agent
  kill -0 "$copy" 2>/dev/null || break
  sleep 0.5
done
start_agent
wait "$copy" || die "the read failed: $(cat nbd.log)"
cmp image.raw got.raw || { served_wrong=$((served_wrong + 1)); say 'WRONG bytes after the agent came back'; }
[ -z "$(grep -v 'shut down' nbd.log)" ] || die "errors were reported: $(cat nbd.log)"
stop_nbd

say 'sixteen readers of one missing chunk ask once; a trace lists first reads in order'
rm -rf local; mkdir local; stop_agent; : >asked.log; start_agent
start_nbd trace="$WORK/trace"
"$load" "$uri" seq 0 >/dev/null
"$load" "$uri" random 1 >/dev/null
[ "$(sort asked.log | uniq -d | wc -l)" = 0 ] || die "asked twice for $(sort asked.log | uniq -d | head -n 3)"
[ "$(wc -l <trace)" = 53 ] || die "the trace has $(wc -l <trace) lines, 53 chunks have data"
[ "$(sort trace | uniq -d | wc -l)" = 0 ] || die 'a chunk is in the trace twice'
stop_nbd
floe-image boot-list --table t.table trace t.boot >/dev/null
[ "$(stat -c %s t.boot)" = $((16 + 32 * 53)) ] || die 'the boot list has another length'
dd if=t.boot bs=1 skip=16 status=none | od -An -v -tx1 -w32 | tr -d ' ' | cmp - trace || die 'the boot list has another order'

say 'a chunk that no image has is an error, others are not'
rm -rf local; mkdir local; stop_agent
head -c $((81 * chunk)) /dev/urandom >other.raw
mkdir other; floe-image cut --out other --name o other.raw >/dev/null
cp t.table t.table.kept; cp other/o.table t.table; start_agent; cp t.table.kept t.table
start_nbd
if timeout 60 nbdcopy "$uri" got.raw 2>copy.log; then die 'a read of an unknown chunk succeeded'; fi
grep -q 'knows no image' nbd.log || die "not said: $(cat nbd.log)"
stop_nbd; stop_agent

say 'nbdkit ends at once while a read waits'
start_nbd
nbdcopy "$uri" got.raw 2>/dev/null & copy=$!
sleep 1
kill "$nbd"
wait_for 20 'nbdkit to end' eval "! kill -0 $nbd 2>/dev/null"
wait "$copy" || true
rm -f nbd.pid nbd.sock

say 'bad configuration'
head -c 1000 t.caibx >cut.caibx
for bad in 'index=cut.caibx table=t.table store=upstream' 'index=t.caibx table=other/o.table store=upstream' \
  'index=t.caibx table=t.table' 'index=t.caibx table=t.table store=missing' "$formats store=upstream nonsense=1" \
  "$formats store=upstream store=upstream" "$formats store=upstream cache-fd=0x7" "$formats store=upstream cache-fd=1" "$formats store=upstream cache=missing" 'index=t.table table=t.table store=upstream'; do
  if nbdkit -U - "$plugin" $bad --run true 2>bad.log; then die "accepted: $bad"; fi
  [ -s bad.log ] || die "nothing was said: $bad"
done

figure corrupt_chunks_served "$served_wrong"
[ "$served_wrong" = 0 ] || die 'altered bytes reached a reader'
