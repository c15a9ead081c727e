#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot.sh: what must not start does not: the appliance's disk with a byte changed, its state beside another TPM, other entries under Secure Boot; in QEMU with
# OVMF and a TPM. Pictures of the screen are in build/appliance/. Run by hand; tests/run does not run it, and it has not been seen through to its end.
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
for step in first_start appliance_stop tampering; do
  say "$step ($SECONDS s)"
  $step
done
