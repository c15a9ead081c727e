#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# The whole product: the appliance's image, made from this checkout's packages, started in QEMU with OVMF and a TPM, and what a person does with it:
# power on, type the code that the administrator gave, start a desktop that streams from a floe-server and runs on KVM inside the appliance,
# start another, switch between the two, plug a USB stick that is blocked, press the power key; and start again when there is no network. What the
# desktops may send is counted outside. Figures are those of the idle console: memory, processes, ports.
#
# The power key and the start without a network belong to tests/run --long. FLOE_STEPS names steps, in their order.
#
# Pictures of the screen at each step are in build/appliance/; where the screen must be right for the test to go on, a pixel of it is looked at.
# What is read inside (processes, memory, sockets) is read through the debug image's shell on the serial line: the same files and units as a
# shipped image, and that shell, which is left out of the counts.
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  appliance_prepare
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
LOGS=$WORK
trap 'status=$?; [ $status = 0 ] || { appliance_picture failed || true; tail -n 5 server.log dhcp.log >&2; }; exit $status' EXIT

internet_shown() { [ "$(pixel 900 650)" = 0000a8 ]; }
offline_shown() { [ "$(pixel 900 650)" = a80000 ]; }
setup_shown() { [ "$(pixel 420 319)" = 1f6feb ]; }
# A desktop's page, or the desktop, has a bar in its colour above.
bar_shown() { [ "$(pixel 640 10)" = "$1" ]; }
# Something else than in the picture NAME, and not only a cursor.
changed() {
  local pixels
  pixels=$(compare -metric AE -fuzz 5% "$APPLIANCE_PICTURES/$1.png" screen.ppm null: 2>&1 || true)
  awk -v n="${pixels%% *}" 'BEGIN { exit !(n + 0 > 1000) }'
}
power_on() {
  appliance_disk one
  # A path in it must not be taken: anybody can write this file. It names no server, and there is no DNS: the address can come with the lease alone.
  printf '[paths]\nroot=/boot/evil.json\n' >floe.conf
  appliance_boot_file one floe.conf /floe.conf
  appliance_start one
  appliance_wait 300 'the kernel' 'Linux version'
  appliance_picture 1-kernel
  appliance_wait "$APPLIANCE_PATIENCE" 'the shell of the debug image' '^(.*[^#])?# '
  appliance_has 'state is made and sealed to the TPM' 'cat /run/floe/state.conf' '^protection=tpm'
  appliance_shell 'cat /etc/floe/floe.conf' >taken.conf
  ! grep -q evil taken.conf || die 'a path was taken from the boot partition'
  appliance_has 'hypervisord, agent and console run' 'systemctl is-active floe-hypervisord floe-agent floe-console | sort | uniq -c' '3 active'
}

# First start: the screen that asks for a server has the hardware check; the address that DHCP gave is there, the code is typed and no more.
enrol() {
  local code endpoint
  code=$(outside floe-server code --data "$DATA" --group office --address 192.0.2.1:8443 | sed -n 's/^code  *//p' | tr -d - | tr A-Z a-z)
  [ ${#code} = 20 ] || die "floe-server code said: $code"
  # The keyboard goes to the code's field when there is an address.
  until_screen 2-setup setup_shown
  appliance_has 'the address came with the lease' 'busctl get-property org.floe.Agent1 /org/floe/Agent1 org.floe.Agent1 Address AddressSource' '"dhcp"'
  appliance_has 'the hardware is good' 'floe-vm check' '^tpm  *good'
  appliance_type "$code"
  until_screen 3-code changed 2-setup
  appliance_key ret
  until_screen 4-list list_shown
  floe-server endpoints --data "$DATA" --json >endpoints.json
  endpoint=$(jq -r '.[0].endpoint' endpoints.json)
  [ "$(jq -r '.[0].group' endpoints.json)" = office ] && jq -e '.[0].facts | (.kvm, .tpm) | test("^good: ")' endpoints.json >/dev/null ||
    die "the server knows: $(cat endpoints.json)"
  floe-server recovery-key --data "$DATA" "$endpoint" | quietly grep -E '[0-9a-f]{64}' || die 'the server has not got the recovery key'
}

# What the console costs that shows the list of desktops, none of which runs. The shell and what it runs are not counted.
idle() {
  local memory processes
  appliance_has 'nothing is being started any more' 'systemctl is-system-running; true' '^(running|degraded)$'
  appliance_has 'all devices have their drivers' 'ps -e -o comm= | grep -c "[u]dev-worker"; true' '^0$'
  memory=$(appliance_shell 'cat /proc/meminfo' | awk '# a prompt may stand before
    { for (i = 1; i < NF; i++) if ($i == "MemTotal:") t = $(i + 1); else if ($i == "MemAvailable:") a = $(i + 1) } END { printf "%d", (t - a) / 1024 }')
  appliance_shell 'ps -e -o pid= -o ppid= -o args=' >processes
  processes=$(awk '/sh -i$/ { shell = $1 } NF { parent[$1] = $2; all[n++] = $1 }
    END { for (i = 0; i < n; i++) if (all[i] != 2 && parent[all[i]] != 2 && all[i] != shell && parent[all[i]] != shell) count++; print count }' processes)
  figure idle_memory_mib "$memory" MiB
  figure idle_processes "$processes"
  [ "$memory" -gt 50 ] && [ "$memory" -le 350 ] || die "$memory MiB are in use at the idle console; 350 at most"
  [ "$processes" -gt 5 ] && [ "$processes" -le 25 ] || { cat processes; die "$processes processes at the idle console; 25 at most"; }
}

# Nobody is to be reached from the network: by every TCP port from outside, and by the sockets inside. A DHCP client's own port is open to its server.
ports() {
  local open
  outside nmap -n -Pn -sS -p- --min-rate 3000 --max-retries 2 -oG scan 192.0.2.50 >scan.log 2>&1 || { cat scan.log; die nmap; }
  quietly grep -E 'Status: Up' scan || { cat scan; die 'the scan has reached nobody'; }
  appliance_shell 'ss -Hlntu' >sockets
  open=$({ grep -oE '[0-9]+/open/' scan || true; } | wc -l)
  awk 'NF >= 5 { print $1, $5 }' sockets | grep -vE ' (127\.|\[::1\])|^udp .*(:68|:546)$|%floe' >open-inside || true
  figure open_ports $((open + $(wc -l <open-inside)))
  [ "$open" = 0 ] && [ ! -s open-inside ] || { cat scan open-inside sockets; die 'something listens'; }
}

# The list is sorted by title: Internet, Office. Each desktop tries both addresses; outside, each address has heard from the one that may reach it, and
# nobody has heard anything else. Policy refuses emulation, so what starts runs on KVM; QEMU's open files say so too, and the desktops themselves.
desktops() {
  local end=$((SECONDS + APPLIANCE_PATIENCE))
  appliance_awake
  appliance_key home
  appliance_key ret
  until_screen 5-starting bar_shown c62828
  appliance_key ctrl alt home
  until_screen 6-list list_shown
  appliance_key end
  appliance_key ret
  until_screen 7-starting bar_shown 2e7d32
  appliance_key ctrl alt home
  until [ "$(arrivals | grep -c ' 80 packets')" = 2 ]; do
    [ $SECONDS -lt $end ] || { arrivals; die 'what the desktops may reach was not reached'; }
    sleep 1
  done
  say "both have reached what they may ($SECONDS s)"
  appliance_has 'internet runs' 'floe-vm list' '^internet +running +kvm'
  appliance_has 'office runs' 'floe-vm list' '^office +running +kvm'
  appliance_shell 'ps -e -o args= | grep [q]emu-system; ls -l /proc/*/fd 2>/dev/null | grep kvm-vcpu' >desktops || { cat desktops; die 'what runs cannot be read'; }
  [ "$(grep -c -- '-accel kvm' desktops)" = 2 ] && [ "$(grep -c 'anon_inode:kvm-vcpu' desktops)" -ge 2 ] ||
    { cat desktops; die 'the desktops do not run on KVM'; }
}

# The switch keys, whatever desktop has the keyboard.
screens() {
  until_screen 8-list list_shown
  appliance_key home
  appliance_key ret
  until_screen 9-internet internet_shown
  appliance_key ctrl alt right
  until_screen 10-office office_shown
  appliance_key ctrl alt right
  until_screen 11-internet-again internet_shown
}

packets() {
  appliance_has 'refused packets of office are counted' 'floe-vm stats office' '^dropped_packets +[1-9]'
  appliance_has 'refused packets of internet are counted' 'floe-vm stats internet' '^dropped_packets +[1-9]'
  # The appliance itself has asked for an address; no desktop's question for one came out.
  arrivals | { grep -v '^udp 255\.255\.255\.255 67 ' || true; } >arrived
  [ "$(grep -o 'DHCP[DR][A-Z]*(uplink).*' dhcp.log | grep -oE '([0-9a-f]{2}:){5}[0-9a-f]{2}' | sort -u)" = 52:54:00:12:34:56 ] ||
    { cat dhcp.log; die 'somebody else than the appliance has asked for an address'; }
  [ "$(cat arrived)" = "$(printf '%s\n' 'tcp 198.51.100.10 80 packets 1' 'tcp 203.0.113.20 80 packets 1')" ] ||
    { cat arrived; die 'packets came out that no rule lets out'; }
}

stick() {
  truncate -s 8M stick.img
  appliance_qmp blockdev-add "{\"driver\":\"file\",\"node-name\":\"stick\",\"filename\":\"$WORK/stick.img\",\"read-only\":true}" >/dev/null || die 'blockdev-add'
  appliance_qmp device_add '{"driver":"usb-storage","id":"stick","drive":"stick","bus":"usb.0"}' >/dev/null || die 'device_add'
  until_screen 12-stick-blocked changed 11-internet-again
  appliance_has 'the stick is blocked by its rule' 'floe-vm usb' 'no-storage'
  appliance_shell 'ls -1 /sys/block' >disks
  quietly grep -x 'vda' disks || die "no disks are seen: $(cat disks)"
  ! grep -q '^sd[a-z]$' disks || die 'the stick became a disk'
}

# The power key, with one desktop running, which is suspended. The server goes away.
power_key() {
  appliance_shell 'floe-vm stop --force internet' || die 'internet does not stop'
  appliance_qmp system_powerdown >/dev/null
  wait_for "$APPLIANCE_PATIENCE" 'the appliance to turn itself off' eval '! kill -0 $APPLIANCE_PID'
  kill $SERVER_PID
  wait $SERVER_PID || true
}
# The same disk and TPM, no server, no cable: the desktop is as it was left, and the other starts from what is here.
offline() {
  appliance_start one
  appliance_qmp set_link '{"name":"net","up":false}' >/dev/null || die 'set_link'
  until_screen 13-list-offline list_shown
  appliance_awake
  appliance_shell 'cat /run/floe/state.conf' >state.conf
  quietly grep -x 'protection=tpm' state.conf && quietly grep -x 'created=false' state.conf || { cat state.conf; die 'the TPM has not opened the state'; }
  appliance_has 'office is back' 'floe-vm list' '^office +running +kvm'
  appliance_shell 'ps -e -o args= | grep [q]emu-system; ip -4 -br address show scope global' >offline
  quietly grep -E 'qemu-system.* -incoming defer' offline || { cat offline; die 'office was started anew, not resumed'; }
  ! grep -q '192\.0\.2\.' offline || { cat offline; die 'the appliance has a network'; }
  appliance_key end
  appliance_key ret
  until_screen 14-office-offline office_shown
  appliance_key ctrl alt home
  until_screen 15-list-offline list_shown
  appliance_key home
  appliance_key ret
  until_screen 16-internet-offline offline_shown
}

for program in mcopy nmap jq convert swtpm; do need $program; done
endpoint_users
appliance_world
PUBLISHED=$APPLIANCE_SERVER
server_data "$SOURCE/tests/lib/appliance-policy.json" >publish.log 2>&1 || { cat publish.log; die 'publishing'; }
chown $SERVER_UID "$DATA"
server_start
root_mib=$(($(stat -c %s "$APPLIANCE_DEBUG.d/root") / 1048576))
figure debug_root_image_mib $root_mib MiB
[ $root_mib -le 250 ] || die 'the root is larger than 250 MiB'
for step in ${FLOE_STEPS:-power_on enrol idle ports desktops screens packets stick ${FLOE_LONG:+power_key offline}}; do
  say "-- $step ($SECONDS s)"
  $step
done
appliance_stop
