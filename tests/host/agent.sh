#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-agent against a real floe-server in another network namespace, with a repository that floe-policy and floe-image made, and a plugin's
# uid on the chunk socket: through server outages, altered chunks on both sides, SIGKILL, a full disk, and a hypervisord that comes late.
. "$(dirname "$0")/../lib/host.sh"
need curl; need setpriv; need dbus-daemon

AGENT=64901 PLUGIN=630001
chmod 755 "$WORK"
as() { setpriv --reuid="$1" --regid="$1" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- "${@:2}"; }
ask() { as $PLUGIN "$BUILD/tests/chunk-ask" "$@"; }
SOCKET=/run/floe/agent/chunks.sock STATE=$WORK/state
count() { "$BUILD/tests/chunk-ask" count "$STATE/chunks" "${1:-$TABLE}"; }
said() { grep -c -- "$1" agent.log || true; }

say 'publishing'
mkdir -p data/repo "$STATE" /run/floe
chmod 755 /run/floe
ip netns add server
ip link add uplink type veth peer name uplink netns server
ip address add 192.0.2.2/24 dev uplink
ip link set uplink up
ip netns exec server ip link set lo up
ip netns exec server ip address add 192.0.2.1/24 dev uplink
ip netns exec server ip link set uplink up
echo secret >passphrase
repository=(--repo data/repo --keys keys --passphrase-file passphrase)
floe-policy init "${repository[@]}" >publish.log
# 160 chunks that compress to about half, none like another, and a hole.
python3 - <<'PY'
import random
rng = random.Random(1)
with open("image.raw", "wb") as image:
    for _ in range(160):
        image.write(rng.randbytes(65536) + bytes(65536))
    image.truncate(170 * 131072)
PY
floe-image publish "${repository[@]}" --name desktop --channel stable image.raw >>publish.log
floe-policy publish-policy "${repository[@]}" "$SOURCE/docs/examples/office.json" >>publish.log
pin=$(floe-server --data data --print-pin)

server_start() {
  ip netns exec server floe-server --data data --listen 192.0.2.1:8443 2>>server.log &
  server=$!
  wait_for 20 'floe-server' ip netns exec server bash -c 'exec 3<>/dev/tcp/192.0.2.1/8443'
}
# Killed, and nobody needs to be told.
server_stop() { kill -9 $server; { wait $server || true; } 2>/dev/null; }
agent_start() {
  # No function and no subshell in between: the pid must be the agent's.
  setpriv --reuid=$AGENT --regid=$AGENT --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- \
    "$BUILD/bin/floe-agent" --config floe.conf --interval 3600 "$@" 2>>agent.log &
  agent=$!
}
agent_kill() { kill -9 $agent; { wait $agent || true; } 2>/dev/null; }
agent_ready() { [ "$(ask need $SOCKET "$(printf '0%.0s' $(seq 64))")" = 1 ]; }

cat >floe.conf <<TXT
[server]
url=https://192.0.2.1:8443
pin=$pin
[endpoint]
group=office
[paths]
state=$STATE
run=/run/floe
root=$WORK/root.json
[host]
uid_base=630000
usb=observe
TXT
cp data/repo/metadata/1.root.json root.json
install -d -m 755 -o $AGENT -g $AGENT "$STATE"/{agent,spool,chunks} /run/floe/agent

say 'refusals at start'
refuses() {
  local what=$1 words=$2; shift 2
  "$@" 2>err && die "$what was accepted"
  grep -q -- "$words" err || die "$what was refused with: $(cat err)"
}
refuses 'root' 'does not run as root' floe-agent --config floe.conf
sed 's/^pin=.*/pin=sha256/' floe.conf >bad.conf
refuses 'a bad pin' 'bad.conf: \[server\] pin' as $AGENT "$BUILD/bin/floe-agent" --config bad.conf
sed 's/^group=/gruop=/' floe.conf >bad.conf
refuses 'an unknown key' 'gruop: unknown key' as $AGENT "$BUILD/bin/floe-agent" --config bad.conf
refuses 'a missing file' 'absent.conf' as $AGENT "$BUILD/bin/floe-agent" --config absent.conf

say 'server away at first start: whoever asks is told to come back'
agent_start
wait_for 20 'the chunk socket' test -S $SOCKET
some=$(printf '1%.0s' $(seq 64))
server_start
kill -HUP $agent
wait_for 30 'the image to be known' agent_ready
TABLE=$(echo "$STATE"/spool/targets/images/desktop/*.table)
"$BUILD/tests/chunk-ask" list "$TABLE" | cut -d' ' -f1 >digests
total=$(wc -l <digests)
[ "$total" = 161 ] || die "$total distinct chunks, 161 (one of them zero) expected"
digest() { sed -n "$1p" digests; }
file_of() { local d; d=$(digest "$1"); echo "$2/${d:0:4}/$d.cacnk"; }
for name in metadata/timestamp.json targets/policy/'*'.office.json targets/images/desktop/'*'.stable.json targets/images/desktop/'*'.caibx; do
  ls "$STATE"/spool/$name >/dev/null || die "$name is not in the spool"
  cmp "$(echo "$STATE"/spool/$name)" "$(echo data/repo/$name)"
done
refuses 'a second agent' 'another' as $AGENT "$BUILD/bin/floe-agent" --config floe.conf

say 'confinement'
status_of() { awk -v key="$1:" '$1 == key { print $2 }' /proc/$agent/status; }
[ "$(status_of Uid)" = $AGENT ] && [ "$(status_of NoNewPrivs)" = 1 ] && [ "$(status_of Seccomp)" = 2 ] || die 'the agent is not confined'
for set in CapInh CapPrm CapEff CapAmb; do [ "$(status_of $set)" = 0000000000000000 ] || die "$set is $(status_of $set)"; done

say 'demand, and nothing but demand'
[ "$(ask need $SOCKET "$(digest 7)" "$some")" = $'0\n1' ] || die 'a chunk of the image, or one of no image, was answered wrongly'
sleep 1.5
[ "$(count)" = "good 1 altered 0 absent 160" ] || die "after one demand the store has: $(count)"
for uid in 630000 0 65534 $AGENT 697999; do
  as $uid "$BUILD/tests/chunk-ask" need $SOCKET "$(digest 8)" 2>/dev/null && die "uid $uid is served"
done
[ "$(said 'refused, not the uid of a plugin UID=630000')" = 1 ] || die 'the refusal of a foreign uid is not in the log'
ask hostile $SOCKET
flood=$(ask flood $SOCKET "$(digest 7)")
[ "$(ask need $SOCKET "$(digest 7)")" = 0 ] || die 'no answer after hostile peers'

say 'the server is away in between'
server_stop
ask all $SOCKET "$TABLE" 6 >all.out &
asking=$!
sleep 4
kill -0 $asking || die 'the plugin was answered without a server'
[ "$(count | cut -d' ' -f1-2)" = 'good 1' ] || die 'chunks came from nowhere'
server_start
wait $asking
[ "$(cat all.out)" = "here $total unknown 0 not-now 0 broken 0" ] || die "an outage was seen by the plugin: $(cat all.out)"
[ "$(count)" = "good $total altered 0 absent 0" ] || die "the store has: $(count)"
[ "$(said 'server away')" = 1 ] && [ "$(said 'server back')" = 1 ] || die 'the outage was not said exactly once'

say 'chunks altered on the server'
damage() {
  local file; file=$(file_of "$1" data/repo/chunks)
  cp "$file" "saved.$1"
  case $2 in
    flip) printf '\x00\xff' | dd of="$file" bs=1 seek=1000 conv=notrunc status=none ;;
    long) head -c 200000 /dev/zero >>"$file" ;;
    short) truncate -s 5000 "$file" ;;
    empty) truncate -s 0 "$file" ;;
    absent) rm "$file" ;;
  esac
  rm "$(file_of "$1" "$STATE/chunks")"
}
kinds=(flip long short empty absent)
for i in 0 1 2 3 4; do damage $((20 + i)) ${kinds[$i]}; done
for i in 0 1 2 3 4; do ask need $SOCKET "$(digest $((20 + i)))" >bad.$i & waiting[$i]=$!; done
[ "$(ask need $SOCKET "$(digest 40)")" = 0 ] || die 'a good chunk is held up by bad ones'
sleep 4
for i in 0 1 2 3 4; do
  [ ! -s bad.$i ] || die "a chunk ${kinds[$i]} on the server was answered $(cat bad.$i)"
  [ ! -e "$(file_of $((20 + i)) "$STATE/chunks")" ] || die "a chunk ${kinds[$i]} on the server was stored"
  [ "$(said "chunk refused.*DIGEST=$(digest $((20 + i)))")" = 1 ] || die "a chunk ${kinds[$i]} on the server was not said exactly once"
  mv saved.$((20 + i)) "$(file_of $((20 + i)) data/repo/chunks)"
done
wait "${waiting[@]}"
[ "$(cat bad.? | sort -u)" = 0 ] || die 'repaired chunks were not answered'
[ "$(count)" = "good $total altered 0 absent 0" ] || die "after repair the store has: $(count)"

say 'chunks altered in the store'
printf '\xff\x00' | dd of="$(file_of 30 "$STATE/chunks")" bs=1 seek=2000 conv=notrunc status=none
truncate -s 10 "$(file_of 31 "$STATE/chunks")"
cp "$(file_of 32 "$STATE/chunks")" elsewhere; chmod 644 elsewhere
ln -sf "$WORK/elsewhere" "$(file_of 32 "$STATE/chunks")"
rm "$(file_of 33 "$STATE/chunks")"
[ "$(ask need $SOCKET "$(digest 30)" "$(digest 31)" "$(digest 32)" "$(digest 33)" "$(digest 30)" | sort -u)" = 0 ] || die 'altered chunks were not replaced'
[ "$(count)" = "good $total altered 0 absent 0" ] || die "after replacement the store has: $(count)"
[ ! -L "$(file_of 32 "$STATE/chunks")" ] || die 'a link is left in the store'
[ "$(said "in the store was altered.*DIGEST=$(digest 30)")" = 1 ] || die 'the altered chunk was not said exactly once'

say 'SIGKILL while chunks come'
lost=0
for round in 1 2 3 4 5 6; do
  rm -rf "$STATE"/chunks/????
  rm -f acknowledged; : >acknowledged
  ask need $SOCKET $(cat digests) >acknowledged 2>/dev/null & asking=$!
  wait_for 20 'a first answer' test -s acknowledged
  sleep "0.0$((RANDOM % 9))"
  agent_kill
  wait $asking || true
  for i in $(seq "$(wc -l <acknowledged)"); do
    file=$(file_of "$i" "$STATE/chunks")
    cmp -s "$file" "$(file_of "$i" data/repo/chunks)" || { lost=$((lost + 1)); say "round $round: lost chunk $i"; }
  done
  say "round $round: $(wc -l <acknowledged) acknowledged"
  agent_start
  wait_for 20 'the agent to be back' agent_ready
done
[ $lost = 0 ] || die "$lost chunks were acknowledged and lost"
# A plugin that keeps asking only sees that it took longer.
rm -rf "$STATE"/chunks/????
ask all $SOCKET "$TABLE" 4 >all.out & asking=$!
sleep 0.05; agent_kill; agent_start
wait $asking
grep -q "^here $total unknown 0" all.out || die "through a restart: $(cat all.out)"
[ "$(count)" = "good $total altered 0 absent 0" ] || die "after the restart the store has: $(count)"

say 'a full disk'
kill -TERM $agent; wait $agent || die 'SIGTERM is no clean end'
rm -rf "$STATE"/chunks/????
mount -t tmpfs -o "size=2m,mode=755,uid=$AGENT,gid=$AGENT" tmpfs "$STATE/chunks"
agent_start
wait_for 20 'the agent' agent_ready
ask all $SOCKET "$TABLE" 4 >all.out & asking=$!
wait_for 20 'the disk to be full' grep -q 'no room in the chunk store' agent.log
sleep 6
kill -0 $asking || die 'all chunks fit a disk that is too small'
[ "$(said 'no room in the chunk store')" = 1 ] || die 'a full disk is not said exactly once'
[ "$(count | cut -d' ' -f3-4)" = 'altered 0' ] || die "half-made chunks on a full disk: $(count)"
[ -z "$(ls -A "$STATE/chunks/.writing")" ] || die 'temporaries are left on a full disk'
mount -o remount,size=64m "$STATE/chunks"
wait $asking
grep -q "^here $total unknown 0 not-now [1-9]" all.out || die "through a full disk: $(cat all.out)"
grep -q 'room in the chunk store again' agent.log || die 'recovery is not said'
kill -TERM $agent; wait $agent
umount "$STATE/chunks"

say 'offline start'
server_stop
known=$(said 'image known')
agent_start
wait_for 20 'the agent to know its image without a server' bash -c "[ \$(grep -c 'image known' agent.log) -gt $known ]"
ask need $SOCKET "$(digest 150)" >offline.out & asking=$!
[ "$(ask need $SOCKET "$some")" = 2 ] || die 'what may be of a new image is refused for good while the server is away'
sleep 1
[ ! -s offline.out ] || die "without a server: $(cat offline.out)"
server_start
wait $asking
[ "$(cat offline.out)" = 0 ] || die "after the server came back: $(cat offline.out)"
kill -HUP $agent
wait_for 20 'the agent' agent_ready

say 'a new version with a boot list; the old one still runs somewhere'
python3 - <<'PY'
import random
rng = random.Random(2)
with open("image.raw", "r+b") as image:
    for _ in range(20):
        image.write(rng.randbytes(131072))
PY
"$BUILD/bin/floe-image" cut --out cut --name desktop image.raw >>publish.log
"$BUILD/tests/chunk-ask" list "$(echo cut/*.table)" | cut -d' ' -f1 | tail -n 40 | sort -k1.5 >trace
floe-image publish "${repository[@]}" --name desktop --channel stable --boot-trace trace image.raw >>publish.log
kill -HUP $agent
wait_for 20 'the new version' bash -c "ls $STATE/spool/targets/images/desktop/*.boot"
wait_for 20 'the new version' bash -c "[ \$(grep -c 'image known' agent.log) -ge 2 ]"
NEW=$(ls -t "$STATE"/spool/targets/images/desktop/*.table | head -n 1)
gone=$("$BUILD/tests/chunk-ask" list "$NEW" | cut -d' ' -f1 | sort | comm -13 - <(sort digests) | head -n 1)
[ -n "$gone" ] || die 'the new version changed nothing'
[ "$(ask need $SOCKET "$gone")" = 0 ] || die 'a chunk of the version that still runs is refused'
agent_kill; agent_start
wait_for 20 'the agent' agent_ready
rm "$STATE/chunks/${gone:0:4}/$gone.cacnk"
[ "$(ask need $SOCKET "$gone")" = 0 ] || die 'after a restart a chunk of the version that still runs is refused'
agent_kill
rm -rf "$STATE"/chunks/????
agent_start
wait_for 20 'the agent' agent_ready
[ "$(ask need $SOCKET "$(sed -n 5p trace)")" = 0 ] || die 'the first chunk of a boot'
wait_for 20 'the boot list' bash -c "[ \"\$($BUILD/tests/chunk-ask count $STATE/chunks $NEW | cut -d' ' -f2)\" = 40 ]"
sleep 1
[ "$(count "$NEW" | cut -d' ' -f1-4)" = 'good 40 altered 0' ] || die "a boot list of 40 chunks brought: $(count "$NEW")"
agent_kib=$(awk '/^VmRSS/ { print $2 }' /proc/$agent/status)

say 'hypervisord comes late'
mkdir -p /run/dbus
# The bus serves only uids that have a name.
cp /etc/passwd /run/passwd
echo "floe-agent:x:$AGENT:$AGENT::/nonexistent:/usr/sbin/nologin" >>/run/passwd
mount --bind /run/passwd /etc/passwd
cat >bus.conf <<'XML'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="false"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
XML
dbus-daemon --config-file=bus.conf --nofork --nopidfile 2>bus.log &
wait_for 10 'the bus' test -S /run/dbus/system_bus_socket
mkfifo commands
"$BUILD/tests/bus-listener" <commands >calls &
exec 5>commands
wait_for 30 'SpoolChanged' grep -q '^SpoolChanged' calls
wait_for 10 'ReportImage' grep -q '^ReportImage' calls
grep -q "^ReportImage ('desktop/[0-9a-f]\{16\}', [0-9]*, [0-9]*, [0-9]*)" calls || die "reported: $(cat calls)"
sleep 2
[ "$(count "$NEW" | cut -d' ' -f1-2)" = 'good 40' ] || die 'it fills the store though hypervisord says no'
echo yes >&5
wait_for 30 'the rest in the background' bash -c "$BUILD/tests/chunk-ask count $STATE/chunks $NEW | grep 'absent 0' >/dev/null"
[ "$(count "$NEW" | cut -d' ' -f3-4)" = 'altered 0' ] || die "the background brought: $(count "$NEW")"
complete() { tail -n 3 calls | grep -Eq "ReportImage \('desktop/[0-9a-f]{16}', ([0-9]+), \1,"; }
wait_for 10 'the report that all is here' complete
spooled=$(grep -c SpoolChanged calls)
kill -HUP $agent
wait_for 20 'SpoolChanged after a refresh' bash -c "[ \$(grep -c SpoolChanged calls) -gt $spooled ]"

say 'metadata altered on the server: what was in force stays'
cp data/repo/metadata/timestamp.json saved.timestamp
sed -i 's/"version": *\([0-9]\)/"version":9\1/' data/repo/metadata/timestamp.json
cmp -s data/repo/metadata/timestamp.json saved.timestamp && die 'nothing was altered'
kill -HUP $agent
wait_for 20 'the refusal' grep -q 'refresh failed: what was in force stays REASON=metadata/timestamp.json' agent.log
before=$(said 'refresh failed')
kill -HUP $agent; sleep 2; kill -HUP $agent; sleep 2
[ "$(said 'refresh failed')" = "$before" ] || die 'the same problem is said again and again'
[ "$(ask need $SOCKET "$(digest 50)")" = 0 ] || die 'chunks are not served while metadata is refused'
cp saved.timestamp data/repo/metadata/timestamp.json
recovered=$(said 'refresh works again')
kill -HUP $agent
wait_for 20 'recovery' bash -c "[ \$(grep -c 'refresh works again' agent.log) -gt $recovered ]"

say 'SIGTERM while the server hangs'
kill -STOP $server
kill -HUP $agent
sleep 0.5
kill -TERM $agent
wait $agent || die "SIGTERM in the middle of a refresh: status $?"

figure agent_rss_mib "$(awk -v kib="$agent_kib" 'BEGIN { printf "%.1f", kib / 1024 }')" MiB
figure agent_chunks_lost $lost
figure agent_flood_taken "$flood" requests
