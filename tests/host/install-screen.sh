#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 'Try' and 'Install' on the screen: floe-install with the real bus and its rules, on disks that are files; the console under Xvfb with nothing but a keyboard. The
# name is typed wrongly, an installation fails and one ends well; who may not ask is refused. Pictures are left in install/ beside the build, or in
# $FLOE_PICTURES.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/machine.sh"
for program in Xvfb xdotool import sfdisk veritysetup mcopy fsck.fat; do need $program; done
[ -x "$BUILD/bin/floe-console" ] || die "$BUILD/bin/floe-console is not built"
LOGS=$WORK
pictures=${FLOE_PICTURES:-$(dirname "$BUILD")/install}
mkdir -p "$pictures"
trap 'status=$?; [ $status = 0 ] || tail -n 12 install.log hypervisord.log agent.log console.log >&2; exit $status' EXIT

# -- A stick that runs, and three disks ---------------------------------------------------------------------------------
mkdir -p sys/block dev udev boot/EFI/Linux parts
as_uuid() { sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' <<<"$1"; }
head -c 20M /dev/urandom >root
hash=$(veritysetup format root tree | sed -n 's/^Root hash:[[:space:]]*//p')
printf 'roothash=%s quiet' "$hash" >cmdline
"$BUILD/tests/pe-image" "$(cat cmdline)" boot/EFI/Linux/floe_7.efi parts/sign.crt || die pe-image
cp boot/EFI/Linux/floe_7.efi parts/BOOTX64.EFI
printf 'timeout 0\n' >parts/loader.conf
truncate -s 110M dev/sda
sfdisk -q dev/sda <<TXT
label: gpt
size=64MiB, type=uefi, name=FLOE-BOOT
size=24MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, uuid=$(as_uuid "$hash"), name=floe_7
size=4MiB, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, uuid=$(as_uuid "${hash:32}"), name=floe_7_verity
TXT
dd if=root of=dev/sda bs=1M seek=65 conv=notrunc status=none
dd if=tree of=dev/sda bs=1M seek=89 conv=notrunc status=none
# disk NAME NUMBER SIZE MODEL
disk() {
  local at=sys/block/$1
  mkdir -p "$at/device" "$at/queue"
  echo $(($3 / 512)) >"$at/size"; echo "$2" >"$at/dev"; echo 0 >"$at/ro"; echo 0 >"$at/removable"; echo 4 >"$at/diskseq"; echo 512 >"$at/queue/logical_block_size"
  echo "$4" >"$at/device/model"
}
partition() { # DISK NAME NUMBER MIB SYSTEM LABEL
  local at=sys/block/$1/$2
  mkdir -p "$at"
  echo 1 >"$at/partition"; echo "$3" >"$at/dev"; echo $(($4 * 2048)) >"$at/size"; : >"$at/uevent"
  printf 'E:ID_FS_TYPE=%s\nE:ID_FS_LABEL_ENC=%s\n' "$5" "$6" >"udev/b$3"
}
disk sda 8:0 $((110 << 20)) Stick
disk vda 254:0 $((512 << 20)) 'Tiny Disk 512'
disk nvme0n1 259:0 $((64 << 30)) 'Samsung SSD 980 PRO'
printf 'E:ID_SERIAL_SHORT=S5GXNX0T123456\n' >udev/b259:0
partition nvme0n1 nvme0n1p1 259:1 300 vfat SYSTEM
partition nvme0n1 nvme0n1p2 259:2 60000 ntfs 'Windows\x20of\x20the\x20Müller\x20family\xe2\x80\xaeevil'
partition nvme0n1 nvme0n1p3 259:3 500 '' ''
disk nvme1n1 259:8 $((2 << 30)) 'Old disk'
partition nvme1n1 nvme1n1p1 259:9 2000 '' ''
printf 'PARTNAME=floe-install\n' >sys/block/nvme1n1/nvme1n1p1/uevent
for name in vda nvme0n1 nvme1n1; do truncate -s $(($(cat sys/block/$name/size) * 512)) dev/$name; done
echo 'IMAGE_VERSION=7' >os-release
# Bytes of somebody's on the disk that is not chosen.
printf 'precious' | dd of=dev/nvme0n1 bs=1M seek=100 conv=notrunc status=none

install_start() {
  floe-install serve --sysfs "$WORK/sys" --dev "$WORK/dev" --udev "$WORK/udev" --own sda --boot "$WORK/boot" --parts "$WORK/parts" --command-line "$WORK/cmdline" \
    --os-release "$WORK/os-release" >>install.log 2>&1 &
  INSTALL_PID=$!
}
property() {
  gdbus call --system --dest org.floe.Install1 --object-path /org/floe/Install1 --method org.freedesktop.DBus.Properties.Get org.floe.Install1 "$1" |
    sed -E "s/^\(<(uint64 )?'?//; s/'?>,\)$//"
}
install_is() { [ "$(property "$1")" = "$2" ]; }
shot() { sleep 0.6; screenshot "$pictures/$1.png"; }
key() { xdotool key "$@"; sleep 0.3; }

endpoint_users
endpoint_world
endpoint_bus
STATE=/run/state
mkdir -p $STATE /run/floe
install -d -m 755 -o $AGENT_UID -g $AGENT_UID $STATE/{agent,spool,chunks} /run/floe/agent
CONFIG=/run/floe/floe.conf
printf '[paths]\nstate=%s\nrun=/run/floe\n[host]\nusb=observe\n[setup]\naddress_file=/run/floe/boot.conf\n' $STATE >$CONFIG
hypervisord_start
agent_start
install_start
wait_for 20 'floe-install on the bus' gdbus wait --system --timeout 1 org.floe.Install1

say 'who may call'
call() { setpriv --reuid "$1" --regid "$1" --clear-groups gdbus call --system --dest org.floe.Install1 --object-path /org/floe/Install1 --method "$2" "${@:3}"; }
for uid in $AGENT_UID 65534; do
  for method in org.floe.Install1.List org.floe.Install1.Restart 'org.floe.Install1.Install nvme0n1 4 nvme0n1' 'org.freedesktop.DBus.Properties.GetAll org.floe.Install1'; do
    # shellcheck disable=SC2086
    call $uid $method >out 2>&1 && die "user $uid may call $method"
    grep -q AccessDenied out || die "user $uid calling $method: $(cat out)"
  done
done
call $CONSOLE_UID org.floe.Install1.Restart >out 2>&1 && die 'the computer restarts before anything was installed'
grep -q org.floe.Error.Refused out || die "Restart: $(cat out)"
call $CONSOLE_UID org.floe.Install1.List >list
grep -q sda list && { cat list; die 'the disk that runs is offered'; }

say 'try or install'
SCREEN=1024x768 display_start
console_start
wait_for 30 'the window' xdotool search --name '^Floe$'
sleep 1.5
shot choice
# In French and back, by the keyboard.
key Tab Tab Return
shot choice-fr
pictures_differ "$pictures/choice.png" "$pictures/choice-fr.png" || die 'French looks like English'
key Tab Tab Return
shot choice-again
key Tab Return
shot disks
# The first disk that can be chosen has the keyboard.
key Return
shot confirm
xdotool type --delay 15 nvme0n
key Return
shot confirm-short
install_is State ready || die 'it began with half a name'
key Escape
shot disks-again
key Return
xdotool type --delay 15 'NVME0N1'
key Return
install_is State ready || die 'it began with another name'

say 'the kernel image on the boot partition is not the one that was signed'
printf x | dd of=boot/EFI/Linux/floe_7.efi bs=1 seek=20000 conv=notrunc status=none
key ctrl+a
xdotool type --delay 15 'nvme0n1'
shot confirm-whole
# Who leans on the keyboard while it works does no harm.
xdotool key --delay 1 Return $(printf 'x %.0s' $(seq 60))
wait_for 30 'the refusal' install_is State failed
install_is Problem unverified || die "it says: $(property Problem) $(property Detail)"
[ "$(dd if=dev/nvme0n1 bs=1M skip=100 count=1 status=none | head -c 8)" = precious ] || die 'the disk was touched'
cmp -s <(head -c 1M dev/nvme0n1) <(head -c 1M /dev/zero) || die 'the disk was touched'
shot failed
cp parts/BOOTX64.EFI boot/EFI/Linux/floe_7.efi

say 'install on the disk where it was interrupted'
key Return
sleep 0.5
key Down
shot disks-second
key Return
shot confirm-interrupted
xdotool type --delay 15 nvme1n1
key Return
wait_for 60 'the installation' install_is State done
install_is Disk nvme1n1 || die "it went to $(property Disk)"
shot done
sfdisk -d dev/nvme1n1 | grep -q 'name="floe_7"' || die 'there is no root partition'
dd if=dev/nvme1n1 of=esp bs=1M skip=1 count=64 status=none
fsck.fat -n esp >/dev/null || die 'the boot partition is damaged'
mcopy -n -i esp ::/EFI/Linux/floe_7+3.efi - | cmp - parts/BOOTX64.EFI || die 'the kernel image is another one'
dd if=dev/nvme1n1 bs=1M skip=65 count=20 status=none | cmp - root || die 'the root is another one'
cmp -s <(head -c 1M dev/nvme0n1) <(head -c 1M /dev/zero) || die 'the other disk was touched'
call $CONSOLE_UID org.floe.Install1.Install nvme0n1 4 nvme0n1 >out 2>&1 && die 'it installs twice'
grep -q org.floe.Error.Busy out || die "a second time: $(cat out)"
# Nobody restarts this computer: the button says so.
key Return
sleep 1
shot restart-refused
pictures_differ "$pictures/done.png" "$pictures/restart-refused.png" || die 'a restart that is refused is not told'

say 'try'
kill $INSTALL_PID
wait $INSTALL_PID || true
sleep 0.5
shot setup-after
install_start
wait_for 20 'floe-install again' gdbus wait --system --timeout 1 org.floe.Install1
sleep 1
shot choice-new
key Return
shot setup-try
pictures_differ "$pictures/choice-new.png" "$pictures/setup-try.png" || die 'Try does not go on'
# The setup screen has the keyboard: an address, Enter, a code that is none.
xdotool type --delay 15 '192.0.2.1:1'
key Return
xdotool type --delay 15 'ABCDE'
key Return
agent_problem() { gdbus call --system --dest org.floe.Agent1 --object-path /org/floe/Agent1 --method org.freedesktop.DBus.Properties.Get org.floe.Agent1 Problem; }
wait_for 10 'what was typed to reach the setup screen' bash -c "$(declare -f agent_problem); agent_problem | grep -q typo"
shot setup-typed
if grep -E 'CRITICAL|assertion|AddressSanitizer|Gtk-WARNING' console.log install.log; then die 'a program complained'; fi
say "pictures in $pictures"
