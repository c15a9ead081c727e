#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside the test machine, for tests/host/usb-races.sh. The virtual controller's ports are all used, and used again at once: so are device numbers.
. /source/tests/lib/usb-inside.sh
. /source/tests/lib/usb-hostile.sh

# Four fifths of them with a daemon that is killed at every eighth, the rest with one that lives, whose memory and descriptors are watched.
RACES=$1 PORTS=6
STORM=$((RACES * 4 / 5))
usb_witness_start
modprobe -a vhci_hcd usbhid hid_generic usb_storage
for root in /sys/devices/platform/vhci_hcd.0/usb*; do
  slurp "$root/speed"
  [ "${SLURPED//[[:space:]]/}" != 480 ] || BUS=${root##*usb}
done
usb_bus
usb_endpoint
face good "device $(device 0x0a01 0 1)" "$fine" "${words[@]}"
face bad "device $(device 0x0b02 0 1)" "config $(configuration 1 2 "$(fine_interface)" "$(keyboard_interface 1)")" "${words[@]}"
face turns-bad "device $(device 0x0b10 0 1)" "config $(configuration 1 2 "$(fine_interface)" "$(keyboard_interface 1)")" "${words[@]}"

resident() { awk '/^VmRSS/ { print $2 }' "/proc/$DAEMON_PID/status"; }
descriptors() { local fds=("/proc/$DAEMON_PID/fd/"*); echo ${#fds[@]}; }
daemon_up() { floe-hypervisord --config $CONFIG >>$LOG 2>&1 & DAEMON_PID=$!; }

declare -a pids kinds
# A device on PORT: one that may be let in, one that may not, or one that may and then turns when it is read again.
come() {
  local port=$1
  case $((RANDOM % 4)) in
    0 | 1) kinds[port]=good; usb-gadget -p "$port" /run/good.face >>/run/gadgets.log 2>&1 & ;;
    2) kinds[port]=bad; usb-gadget -p "$port" /run/bad.face >>/run/gadgets.log 2>&1 & ;;
    3) kinds[port]=turns; usb-gadget -r -p "$port" /run/good.face /run/turns-bad.face >>/run/gadgets.log 2>&1 & ;;
  esac
  pids[port]=$!
}
# KILL: a shell that has not become the gadget yet catches anything else, and forgets it.
go() { kill -KILL "${pids[$1]}" 2>/dev/null || true; wait "${pids[$1]}" 2>/dev/null || true; pids[$1]=; }
# seen PORT: waits until the kernel has announced what is there: most devices that go sooner never reach anybody.
seen() {
  local path=$SYSFS/$BUS-$(($1 + 1)) end=$((SECONDS + 5))
  until [ -e "$path" ] || [ $SECONDS -gt $end ]; do pause 0.02; done
}
# race FROM TO: that many comings and goings; every eighth, hypervisord is killed if KILLS is set.
race() {
  local n port
  for ((n = $1; n < $2; n++)); do
    echo $n >/run/progress
    port=$((RANDOM % PORTS))
    [ -z "${pids[port]:-}" ] || go $port
    come $port
    [ $((RANDOM % 4)) = 0 ] || seen $port
    if [ $((RANDOM % 3)) = 0 ]; then
      pause "0.0$((RANDOM % 10))"
      go $port
    else
      pause "0.$((RANDOM % 4))$((RANDOM % 10))"
    fi
    if [ -n "${KILLS:-}" ] && [ $((n % 8)) = 7 ]; then
      kill -KILL $DAEMON_PID
      wait $DAEMON_PID 2>/dev/null || true
      daemon_up
      killed=$((killed + 1))
    fi
    [ $((n % 50)) != 49 ] || say "$((n + 1)) races, $killed kills"
  done
}
# Where everybody is, when there has been no race for two minutes: whatever is stuck is a failure, and wants to be seen.
watch_progress() {
  local last= now= still=0 process
  while [ $still -lt 8 ]; do
    pause 15
    now=$(</run/progress)
    if [ "$now" = "$last" ]; then still=$((still + 1)); else still=0; fi
    last=$now
  done
  say "no race since race $now: who is where"
  for process in /proc/[0-9]*; do
    [ -e "$process/exe" ] || continue
    say "${process#/proc/} $(tr '\0' ' ' <"$process/cmdline" | cut -c1-120): $(awk '/^State/ { print $2 }' "$process/status")"
    cat "$process/stack" || true
  done
  kill -KILL $$
}
all_gone() { usb_list; [ "$LISTED" = ' ' ]; }
killed=0 failures=0
usb_daemon_start
echo begun >/run/progress
watch_progress & watch=$!
say 'with a daemon that is killed'
KILLS=1 race 0 $STORM
for ((port = 0; port < PORTS; port++)); do [ -z "${pids[port]:-}" ] || go $port; done
until_so 120 'all devices to go' all_gone
# The daemon that is left must be there, and in its senses: a good one is let in, a bad one not.
wait_for 180 floe-hypervisord gdbus wait --system --timeout 1 org.floe.Hypervisor1
forget
say 'what is there afterwards works'
for port in 0 1 2 3 4 5; do
  echo "afterwards $port" >/run/progress
  expect_gadget "a good device at port $port after all that" $port host good none /run/good.face
  expect_gadget "a bad one" $port block default '' /run/bad.face
done
say 'memory and descriptors of one daemon'
# The first half lets it grow to its size.
race $STORM $(((STORM + RACES) / 2))
for ((port = 0; port < PORTS; port++)); do [ -z "${pids[port]:-}" ] || go $port; done
until_so 120 'all devices to go' all_gone
pause 1
before_fds=$(descriptors) before_kib=$(resident)
race $(((STORM + RACES) / 2)) "$RACES"
for ((port = 0; port < PORTS; port++)); do [ -z "${pids[port]:-}" ] || go $port; done
until_so 120 'all devices to go' all_gone
pause 1
after_fds=$(descriptors) after_kib=$(resident)
[ "$after_fds" -le "$before_fds" ] || fails "$before_fds descriptors before, $after_fds after"
[ "$after_kib" -le $((before_kib + 1024)) ] || fails "$before_kib KiB before, $after_kib KiB after"
kill $watch
usb_witness_judge
say "$CONNECTIONS connections, $killed kills; $before_fds to $after_fds descriptors, $before_kib to $after_kib KiB"
[ "$CONNECTIONS" -gt $((RACES / 2)) ] || fails "only $CONNECTIONS connections for $RACES races: the kernel saw too few of them"
figure usb_races "$RACES"
figure usb_race_kills $killed
figure usb_race_failures $((FAILURES + EARLY + WRONG))
figure usb_race_descriptors_grown $((after_fds - before_fds))
figure usb_race_memory_grown $((after_kib - before_kib)) KiB
[ $((FAILURES + EARLY + WRONG)) = 0 ]
