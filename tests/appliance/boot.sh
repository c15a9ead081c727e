#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot.sh [STEPS]: the appliance's image, made from this checkout's packages, started in QEMU with OVMF and a TPM: from power-on to two desktops that stream from a
# floe-server and run on KVM inside it, the key that switches them, a USB stick that is blocked, packets that are filtered, ports that are closed;
# what it takes of disk, memory and processes. Then what must not start does not: disks with a byte changed, a state beside another TPM.
# Pictures of the screen at each step are in build/appliance/.
#
# Run by hand, with the machine to itself; tests/run does not run it. Without STEPS: first_start idle ports. The others (server_start desktops screens
# packets stick appliance_stop tampering, in this order, after first_start) have not been seen through to their end.
#
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
owner=7b2c1f0e-3a55-4f0c-9d6b-0f5a4d1e2c3b
# has WHAT COMMAND PATTERN: the shell inside, asked until its answer has PATTERN.
has() {
  local end=$((SECONDS + ${FLOE_APPLIANCE_SECONDS:-1200})) answer
  until answer=$(appliance_shell "$2" 120) && quietly grep -E "$3" <<<"$answer"; do
    [ $SECONDS -lt $end ] || { echo "$answer" >&2; appliance_picture failed || true; die "gave up waiting for $1"; }
    sleep 2
  done
  say "$1 ($SECONDS s)"
}

first_start() {
  appliance_disk one
  # A path in it must not be taken: anybody can write this file.
  printf '[server]\nurl=https://192.0.2.1:8443\npin=%s\n[endpoint]\ngroup=office\n[paths]\nroot=/boot/evil.json\n' \
    "$(floe-server --data "$DATA" --print-pin --user floe-server)" >floe.conf
  appliance_boot_file one floe.conf /floe.conf
  appliance_start one
  appliance_wait 900 'the kernel' 'Linux version'
  appliance_picture 1-kernel
  appliance_wait 900 'the root' 'import_credentials=no is set'
  # What is typed before the shell is there is lost.
  appliance_wait 900 'the shell of the debug image' '^(.*[^#])?# '
  has 'state is made and sealed to the TPM' 'cat /run/floe/state.conf' '^protection=tpm'
  appliance_shell 'cat /etc/floe/floe.conf' 60 >taken.conf
  ! grep -q evil taken.conf || die 'a path was taken from the boot partition'
  has 'hypervisord, agent and console run' 'systemctl is-active floe-hypervisord floe-agent floe-console | sort | uniq -c' '3 active'
}

# What the console costs that has nothing to show yet: no server has answered. The shell and what it runs are not counted.
idle() {
  local memory processes
  appliance_picture 2-console
  memory=$(appliance_shell 'cat /proc/meminfo' 60 | awk '# a prompt may stand before
    { for (i = 1; i < NF; i++) if ($i == "MemTotal:") t = $(i + 1); else if ($i == "MemAvailable:") a = $(i + 1) } END { printf "%d", (t - a) / 1024 }')
  appliance_shell 'ps -e -o pid= -o ppid= -o args=' 60 >processes
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
  appliance_shell 'ss -Hlntu' 60 >sockets
  open=$({ grep -oE '[0-9]+/open/' scan || true; } | wc -l)
  awk 'NF >= 5 { print $1, $5 }' sockets | grep -vE ' (127\.|\[::1\])|^udp .*(:68|:546)$|%floe' >open-inside || true
  figure open_ports $((open + $(wc -l <open-inside)))
  [ "$open" = 0 ] && [ ! -s open-inside ] || { cat scan open-inside sockets; die 'something listens'; }
}

# Both desktops come up by themselves (autostart), on KVM: the policy refuses emulation.
desktops() {
  has 'the policy is in force and both desktops run' 'floe-vm list' '^internet .*running'
  has 'both' 'floe-vm list' '^office .*running'
  appliance_shell 'floe-vm list; ps -e -o args= | grep [q]emu-system' 60 >desktops
  [ "$(grep -c -- '-accel kvm' desktops)" = 2 ] || { cat desktops; die 'the desktops do not run on KVM'; }
  appliance_picture 3-list
}

key() {
  local keys
  keys=$(printf '{"type":"qcode","data":"%s"},' "$@")
  appliance_qmp send-key "{\"keys\":[${keys%,}]}" >/dev/null
}
# A switch is seen on the screen: it waits until the picture has changed from the one before.
switch() {
  local end=$((SECONDS + 300))
  key ctrl alt right
  until appliance_picture "$2" && pictures_differ "$APPLIANCE_PICTURES/$1.png" "$APPLIANCE_PICTURES/$2.png"; do
    [ $SECONDS -lt $end ] || die "the screen is the same after Ctrl+Alt+Right: $2.png"
    sleep 1
  done
}
screens() {
  switch 3-list 4-first-desktop
  sleep 3
  appliance_picture 4-first-desktop
  switch 4-first-desktop 5-second-desktop
}

# Each desktop tries both addresses; outside, each address has heard from the one that may reach it and from nobody else.
packets() {
  local end=$((SECONDS + 300))
  until [ "$(arrivals | grep -c ' 80 packets')" = 2 ]; do
    [ $SECONDS -lt $end ] || { arrivals; die 'what the desktops may reach was not reached'; }
    sleep 1
  done
  has 'refused packets of both are counted' 'floe-vm stats office; floe-vm stats internet' 'default|drop'
  arrivals >arrived
  [ "$(grep -c . arrived)" = 2 ] && [ "$(grep -c 'packets 1$' arrived)" = 2 ] || { cat arrived; die 'packets came out that no rule lets out'; }
}

stick() {
  truncate -s 8M stick.img
  appliance_qmp blockdev-add "{\"driver\":\"file\",\"node-name\":\"stick\",\"filename\":\"$WORK/stick.img\",\"read-only\":true}" >/dev/null || die 'blockdev-add'
  appliance_qmp device_add '{"driver":"usb-storage","id":"stick","drive":"stick","bus":"usb.0"}' >/dev/null || die 'device_add'
  has 'the stick is blocked by its rule' 'floe-vm usb' 'no-storage'
  appliance_shell 'ls /sys/block' 60 | quietly grep -x 'sd[a-z]' && die 'the stick became a disk'
  sleep 2
  appliance_picture 6-stick-blocked
}

# -- What must not start ----------------------------------------------------------------------------------------------

# where PARTITION: its first byte on the disk.
where() { sfdisk -d "$APPLIANCE_DEBUG" 2>/dev/null | awk -v n="$1" '/start=/ && ++i == n { sub(/.*start= */, ""); sub(/,.*/, ""); print $0 * 512 }'; }
# change DISK OFFSET: one byte of it becomes another.
change() {
  local byte
  byte=$(dd if="$1" bs=1 skip="$2" count=1 status=none | od -An -tu1)
  printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
# refused NAME PATTERN NEVER [TPM]: disk NAME is started; the serial line says PATTERN, and not NEVER.
refused() {
  CASES=$((CASES + 1))
  appliance_start "$1" "${4:-$1}"
  appliance_wait 1200 "a reason in case $1" "$2"
  sleep 2
  appliance_picture "tampered-$1"
  if grep -qaE "$3" "$WORK/$1.serial"; then
    RAN=$((RAN + 1))
    say "$1: it ran"
    tail -n 20 "$WORK/$1.serial" >&2
  fi
  appliance_stop
  rm -f "$WORK/$1.disk"
}
# The firmware of the machines that are made from here on trusts the certificate that the image was signed with, and no other.
secure_boot() {
  cp /usr/share/OVMF/OVMF_VARS_4M.fd "$APPLIANCE_DEBUG.keys/sign.crt" .
  appliance_tools virt-fw-vars --input /exchange/OVMF_VARS_4M.fd --output /exchange/enrolled.fd --set-pk "$owner" /exchange/sign.crt \
    --add-kek "$owner" /exchange/sign.crt --add-db "$owner" /exchange/sign.crt --sb >keys.log 2>&1 || { cat keys.log; die 'no keys could be enrolled'; }
  APPLIANCE_FIRMWARE=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd APPLIANCE_VARIABLES=$WORK/enrolled.fd
}
tampering() {
  local command entry state
  CASES=0 RAN=0
  appliance_disk root
  change "$WORK/root.disk" $(($(where 2) + 1024))
  refused root 'dm-verity device (corrupted|has I/O error)|verity.*corrupted' 'systemd\[1\]'
  appliance_disk tree
  change "$WORK/tree.disk" $(($(where 3) + 4096 + 7))
  refused tree 'dm-verity device (corrupted|has I/O error)|verity.*corrupted' 'systemd\[1\]'
  # The disk of the first machine, which has state, beside another TPM.
  cp --sparse=always one.disk header.disk
  mv one.disk other-tpm.disk
  cp one.vars header.vars
  cp one.vars other-tpm.vars
  refused other-tpm 'does not open on this machine' 'Started floe-console' stranger
  # And its header changed, both copies: it stops, and no new state is made in its place.
  state=$(sfdisk -d header.disk 2>/dev/null | awk '/name="floe-state"/ { sub(/.*start= */, ""); sub(/,.*/, ""); print $0 * 512 }')
  change header.disk $((state + 200))
  change header.disk $((state + 16384 + 200))
  refused header 'does not open on this machine' 'Started floe-console' one
  secure_boot
  # A digit of the root hash in the signed kernel image.
  appliance_disk kernel
  command=$(head -c 161M "$APPLIANCE_DEBUG" | grep -abom1 'roothash=[0-9a-f]' | cut -d: -f1)
  change "$WORK/kernel.disk" $((command + 9))
  refused kernel 'Access denied|Security violation|Security Violation|Unauthorized' 'Linux version'
  # An entry of somebody else's with the signed image and another command line, and made the one to start.
  appliance_disk entry
  entry=$(mdir -b -i "$APPLIANCE_DEBUG@@1M" ::/EFI/Linux | sed -n 's,^::,,p' | head -n 1)
  printf 'title Other\nlinux %s\noptions floe.other=1 init=/usr/bin/sh\n' "$entry" >other.conf
  printf 'timeout 0\ndefault other.conf\n' >loader.conf
  mmd -i "$WORK/entry.disk@@1M" ::/loader/entries
  appliance_boot_file entry other.conf /loader/entries/other.conf
  appliance_boot_file entry loader.conf /loader/loader.conf
  refused entry 'Kernel command line: roothash=|rror' 'Kernel command line:.*floe\.other'
  figure tamper_cases $CASES
  figure tamper_ran $RAN
  [ $RAN = 0 ] || die 'altered code ran, or the state opened'
}

endpoint_users
appliance_world
PUBLISHED=$APPLIANCE_SERVER
server_data "$SOURCE/tests/lib/appliance-policy.json" >publish.log 2>&1 || { cat publish.log; die 'publishing'; }
root_mib=$(($(stat -c %s "$APPLIANCE_DEBUG.d/root") / 1048576))
figure root_image_mib $root_mib MiB
[ $root_mib -le 250 ] || die 'the root is larger than 250 MiB'
for step in ${1:-first_start idle ports}; do
  say "$step ($SECONDS s)"
  $step
done
appliance_stop
