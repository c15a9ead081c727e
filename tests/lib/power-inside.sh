#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# power-inside.sh update|stream|look RUNNING: in the test machine of tests/host/power-cuts.sh, whose power goes while this is at work. The second disk is an
# appliance's: FAT, two slots, state on ext4. First what the last cut left is looked at: /exchange/verified says what was lost. Then a server, an agent
# and floe-slot (update), or plugins that ask for a desktop's chunks (stream). Looked at are the newest images; the last start (look) looks at all of them, and
# does nothing else.
set -eu
kind=$1 running=$2
AGENT=64901 PLUGIN=630001
export PATH=/build/tests:$PATH
cd /exchange
modprobe -a vfat ext4 nls_ascii nls_cp437
mkdir -p /boot /state /run/floe/agent
mount -t ext4 /dev/vdb6 /state
mount -t vfat -o iocharset=ascii /dev/vdb1 /boot
chown $AGENT /run/floe/agent
slot() { LD_LIBRARY_PATH=/exchange/lib floe-slot "$1" --config floe.conf --disk /dev/vdb --boot /boot --command-line "line.$running" --os-release "release.$running"; }
tables() { find data/repo/targets/"$1" -name '*.table'; }

# What the agent had acknowledged (docs/agent.md) is here and whole: what it found here when it started, and what it has said to be here for
# good until the power went. The directory `whole` has, for each table, what was whole when it was last looked at.
sed -n 's/.*: chunk is here for good DIGEST=\([0-9a-f]\{64\}\)$/\1/p' agent.log 2>/dev/null | sort -u >told || true
newest() { tables "$1" | xargs -r ls -t 2>/dev/null | head -n "$2"; }
# Three versions each; the appliance's have three pieces: the update of the last start is not the newest any more.
if [ $kind = look ]; then look_at=$(tables images; tables appliance); else look_at=$(newest images 3; newest appliance 9); fi
altered=0
mkdir -p whole
: >here
: >lost
for table in $look_at; do
  last=whole/${table//\//_}
  chunk-ask whole /state/chunks "$table" | sort -u >now
  [ ! -e "$last" ] || comm -23 "$last" now >>lost
  cat now >>here
  mv now "$last"
  [[ $table == data/repo/targets/appliance/* ]] || continue
  read -r _ _ _ bad _ <<<"$(chunk-ask count /state/chunks "$table")"
  altered=$((altered + bad))
done
comm -23 told <(sort -u here) >>lost
echo "$(wc -l <lost) $altered $(wc -l <told)" >verified
[ $kind != look ] || exit 0
: >agent.log

floe-server --data data --listen 127.0.0.1:8443 --user nobody 2>server.log &
until (exec 3<>/dev/tcp/127.0.0.1/8443) 2>/dev/null; do sleep 0.1; done
slot good >/dev/null
setpriv --reuid=$AGENT --regid=$AGENT --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- env FLOE_DEBUG=1 floe-agent --config floe.conf --interval 2 2>agent.log &
as_plugin=(setpriv --reuid=$PLUGIN --regid=$PLUGIN --clear-groups --no-new-privs --)
until [ -S /run/floe/agent/chunks.sock ]; do sleep 0.1; done

# The desktop that streamed when the power went, asked for again: whatever the cut left of its chunks, each is whole afterwards.
for table in $(cat streamed 2>/dev/null); do
  for _ in $(seq 120); do
    "${as_plugin[@]}" chunk-ask all /run/floe/agent/chunks.sock "$table" 4 >asked
    chunk-ask count /state/chunks "$table" >counted
    # Until it has heard of the server the agent may say "not now".
    grep -q ' altered 0 absent 0$' counted && break
    sleep 0.5
  done
  grep -q ' altered 0 absent 0$' counted || echo "$table: $(cat asked counted)" >>corrupt
done
rm -f streamed

if [ $kind = stream ]; then
  table=$(tables images | xargs ls -t | head -n 1)
  echo "$table" >streamed
  : >begun
  while :; do "${as_plugin[@]}" chunk-ask all /run/floe/agent/chunks.sock "$table" 4 >asked; done
fi

: >begun
begun=$(date +%s%N)
while :; do
  if [ "$(cat /state/spool/appliance.ready 2>/dev/null)" = $((running + 1)) ] && [ ! -e installed ]; then
    slot update >update.log 2>&1 || true
    if grep -q 'is installed' update.log; then
      echo $((($(date +%s%N) - begun) / 1000000)) >installed
    fi
  fi
  sleep 0.1
done
