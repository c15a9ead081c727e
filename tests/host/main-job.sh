#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# exclusive
# The main job: a real Debian desktop, published, signed, served, streamed and shown, two machines from one image under two policies, through
# the bad days that the product promises to survive: altered chunks, a server that goes away, every one of our processes killed.
NAME=main-job
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  published_desktop
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
LOGS=$SOURCE/build/test-logs/main-job
rm -rf "$LOGS"
mkdir -p "$LOGS"
# What people need when it fails is what the daemons said.
trap 'status=$?; [ $status = 0 ] || { for log in "$LOGS"/{hypervisord,agent,server,console}.log; do echo "== $log"; tail -n 25 "$log"; done; screenshot "$LOGS/failed.png" || true; }' EXIT
vm() { floe-vm --config $CONFIG "$@"; }
state() { machine_get "$1" State; }
wait_state() {
  local machine=$1 wanted=$2 end=$((SECONDS + $3 * FLOE_PATIENCE))
  until [ "$(state "$machine")" = "$wanted" ]; do
    [ "$(state "$machine")" != failed ] || die "$machine failed: $(machine_get "$machine" Problem)"
    [ $SECONDS -lt $end ] || die "$machine is $(state "$machine"), not $wanted, after $(($3 * FLOE_PATIENCE)) s"
    sleep 0.5
  done
}

endpoint_users
endpoint_world
server_data "$SOURCE/docs/examples/office.json"

# -- Altered chunks on the server: one in thirty of all has a bit flipped -------------------------------------------------------------
mapfile -t altered < <(find "$DATA/repo/chunks" -name '*.cacnk' | sort | awk 'NR % 30 == 0')
[ ${#altered[@]} -gt 100 ] || die 'the store has too few chunks to be a desktop'
for chunk in "${altered[@]}"; do
  size=$(stat -c %s "$chunk")
  byte=$(od -An -tu1 -j $((size / 2)) -N 1 "$chunk")
  printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$chunk" bs=1 seek=$((size / 2)) conv=notrunc status=none
done
endpoint_up office
display_start
console_start

[ "$(state office)" != stopped ] || vm start office
refusals() { grep -c 'chunk.*refused' "$LOGS/agent.log" || true; }
chunk_refused() { [ "$(refusals)" -gt 0 ]; }
wait_for 90 'an altered chunk to be refused' chunk_refused
say "altered chunks refused so far: $(refusals)"
sleep 3
twice=$(grep 'chunk.*refused' "$LOGS/agent.log" | grep -oE 'DIGEST=[0-9a-f]{64}' | sort | uniq -d | wc -l)
[ "$twice" = 0 ] || die "$twice refused chunks were said more than once"
# None of them may be in the endpoint's store, under any content.
for chunk in "${altered[@]}"; do
  if [ -e "$STATE/chunks/${chunk#"$DATA"/repo/chunks/}" ]; then die "an altered chunk reached the local store: $chunk"; fi
done
for chunk in "${altered[@]}"; do cp "$PUBLISHED/${chunk#"$WORK"/data/}" "$chunk"; done

# -- The server goes away for a minute; meanwhile the agent and the plugin are killed ---------------------------------------------------
sleep 10
kill -TERM $SERVER_PID
say 'server stopped for a minute'
qemu=$(pgrep -f 'qemu-system-x86_64.*office' | head -n 1)
[ -n "$qemu" ] || die 'no QEMU runs'
sleep 15
kill -KILL "$(agent_pid)"
nbdkit=$(pgrep -x nbdkit | head -n 1)
kill -KILL "$nbdkit"
sleep 45
[ "$(state office)" = starting ] || die "office is $(state office) while the server is away"
server_start
say 'server back'
wait_state office running 420
[ "$(pgrep -f 'qemu-system-x86_64.*office' | head -n 1)" = "$qemu" ] || die 'QEMU was restarted: it should have waited'
[ "$(pgrep -x nbdkit | head -n 1)" != "$nbdkit" ] || die 'the killed nbdkit still runs'
say "office: desktop after $(printf %.0f "$(machine_get office DesktopSeconds)") s, $(($(machine_get office ImageFetchedBytes) / 1048576)) MiB fetched since the agent's restart"

# -- Its packets, seen from the other side ------------------------------------------------------------------------------------------------
arrived() { arrivals | cut -d' ' -f1-3 | quietly grep -xF "$1"; }
for flow in 'tcp 198.51.100.10 80' 'tcp 198.51.100.10 8000' 'ping 198.51.100.10 -'; do
  wait_for 120 "office's $flow to arrive" arrived "$flow"
done
wait_for 120 'the intranet to answer office' answered 198.51.100.10 80
# The demo tries everything in turn: by the second round all of it has been tried.
sleep 45
[ "$(arrivals | cut -d' ' -f1-3 | sort -u)" = "$(printf '%s\n' 'ping 198.51.100.10 -' 'tcp 198.51.100.10 80' 'tcp 198.51.100.10 8000')" ] \
  || { arrivals; die 'something else than what policy allows left office'; }
dropped() { vm stats "$1" | awk '$1 == "dropped_packets" { print $2 }'; }
[ "$(dropped office)" -gt 0 ] || die 'office dropped nothing: the demo did not try'

# -- A chunk altered in the local store ---------------------------------------------------------------------------------------------------
# The guest cannot be made to read a given chunk again; the second machine does, as it boots from the same image.
mapfile -t present < <(find "$STATE/chunks" -name '*.cacnk' | sort | awk 'NR % 10 == 0')
for chunk in "${present[@]}"; do
  size=$(stat -c %s "$chunk")
  printf '\xa5\x5a' | dd of="$chunk" bs=1 seek=$((size / 2)) conv=notrunc status=none
done
vm start internet

# -- hypervisord is killed while both run ---------------------------------------------------------------------------------------------------
tables() { nft list tables | sort; }
wait_for 60 'the second machine to start' eval '[ "$(pgrep -cf qemu-system-x86_64)" -ge 2 ]'
before=$(tables)
qemus=$(pgrep -f qemu-system-x86_64 | sort)
killed=$(hypervisord_pid)
(while [ -e "$LOGS" ] && [ ! -e "$WORK/watched" ]; do tables; sleep 0.05; done | awk '{ seen[$0]++ } END { for (t in seen) print seen[t], t }' >"$LOGS/tables.txt") &
kill -KILL "$killed"
gone() { [ "$(hypervisord_pid)" != "$killed" ] && gdbus wait --system --timeout 1 org.floe.Hypervisor1; }
wait_for 30 'hypervisord to be back' gone
wait_for 30 'office to be adopted' machine_is office running
sleep 2
touch "$WORK/watched"
[ "$(pgrep -f qemu-system-x86_64 | sort)" = "$qemus" ] || die 'a machine ended with hypervisord'
[ "$(tables)" = "$before" ] || die "the tables differ after hypervisord's death"
sleep 0.5
[ "$(awk '{ print $1 }' "$LOGS/tables.txt" | sort -u | wc -l)" = 1 ] || { cat "$LOGS/tables.txt"; die 'a table was away for a moment'; }
wait_state internet running 420
say "internet: desktop after $(printf %.0f "$(machine_get internet DesktopSeconds)") s"
# The chunks altered above that were read have been replaced; those nobody read may still be as they were.
replaced=$(grep -ohE 'altered.*DIGEST=[0-9a-f]{64}|DIGEST=[0-9a-f]{64}.*altered' "$LOGS"/*.log | grep -oE '[0-9a-f]{64}' | sort -u | wc -l)
[ "$replaced" -gt 0 ] || die 'no altered local chunk was noticed'
say "altered local chunks noticed and replaced: $replaced"
wait_for 240 "internet's allowed flow to be answered" answered 203.0.113.20 80
sleep 30
for flow in 'tcp 198.51.100.10 22' 'ping 203.0.113.20 -' 'udp 203.0.113.20 53'; do
  if arrived "$flow"; then arrivals; die "$flow arrived: neither policy allows it"; fi
done

# -- On the screen --------------------------------------------------------------------------------------------------------------------------
# The list is sorted by title: Internet, Office. Alt and a digit open a machine.
xdotool key alt+2
sleep 6
screenshot "$LOGS/one.png"
xdotool key ctrl+alt+Right
sleep 6
screenshot "$LOGS/two.png"
pictures_differ "$LOGS/one.png" "$LOGS/two.png" || die 'the hotkey switched nothing'
[ "$(state office) $(state internet)" = 'running running' ] || die 'both machines should run on'

# -- Suspend and resume ---------------------------------------------------------------------------------------------------------------------
vm suspend internet
wait_state internet suspended 180
vm resume internet
wait_state internet running 180

read -r daemons daemons_sum < <(together_mib "$(hypervisord_pid)" "$(agent_pid)" $(pgrep -x nbdkit))
figure daemons_rss_mib "$daemons" MiB
figure daemons_rss_summed_mib "$daemons_sum" MiB

# -- Nothing is left of a machine that was stopped --------------------------------------------------------------------------------------------
# One is asked and shuts down by itself, as by its power button; the other is ended.
vm stop office
vm stop --force internet
wait_state office stopped 180
wait_state internet stopped 60
left=$({ pgrep -lx 'qemu-system-x86|nbdkit|dnsmasq' || true; ip -br link | grep -E '^floe' || true; nft list tables | grep floe || true; mount | grep -E '/(run/floe|state)/.*(machine|jail)' || true; } | wc -l)
[ "$left" = 0 ] || { pgrep -lx 'qemu-system-x86|nbdkit|dnsmasq' || true; ip -br link; nft list tables; mount | tail; die "$left things are left of stopped machines"; }
figure leftovers_of_machines "$left"
