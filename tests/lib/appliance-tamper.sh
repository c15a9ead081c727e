# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after appliance.sh, inside the sandbox: disks as whoever holds them in his hands leaves them, and what becomes of a machine that starts from one.
#
# "Ran" is judged from outside, the same for every image: what is in the root makes a state partition on a disk without one, and writes into one that it
# has opened. Reasons are read off the screen (screen-text.py), letter for letter; those of firmware and boot loader, which have a font of their own, on the
# serial line, where firmware repeats its screen.

TAMPER_FONT=/usr/share/consolefonts/Lat15-VGA16.psf.gz

# tamper_where DISK NAME: the first byte of the partition called NAME.
tamper_where() { sfdisk -J "$1" 2>/dev/null | jq -er --arg name "$2" '.partitiontable.partitions[] | select(.name == $name) | .start * 512'; }
# tamper_byte FILE OFFSET: one bit of this byte is changed.
tamper_byte() {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
# tamper_entries NAME: the boot entries on the disk of a machine.
tamper_entries() { mdir -b -i "$WORK/$1.disk@@1M" ::/EFI/Linux | sed -n 's,^::/EFI/Linux/,,p'; }

# What a file system writes when it is mounted is at the start of what is encrypted, 16 MiB into the partition.
tamper_state() {
  local at
  at=$(tamper_where "$WORK/$1.disk" floe-state) || return 0
  dd if="$WORK/$1.disk" iflag=skip_bytes,count_bytes skip=$((at + 16777216)) count=4M bs=1M status=none | sha256sum
}
tamper_note() { tamper_state "$1" >"$WORK/$1.state"; }
tamper_ran() { [ "$(tamper_state "$1")" != "$(cat "$WORK/$1.state")" ]; }

# tamper_screen: what the kernel's console shows. Prints nothing when the picture is the one of last time.
tamper_screen() {
  appliance_qmp screendump "{\"filename\":\"$WORK/screen.ppm\"}" >/dev/null 2>&1 || return 0
  cmp -s "$WORK/screen.ppm" "$WORK/screen.last" || {
    cp "$WORK/screen.ppm" "$WORK/screen.last"
    python3 "$SOURCE/tests/lib/screen-text.py" $TAMPER_FONT "$WORK/screen.ppm"
  }
}

# tamper_until NAME SECONDS SCREEN [SERIAL]: until the pattern SCREEN is on the screen, SERIAL on the serial line, or altered code has run. Prints which: screen,
# serial, ran; or nothing.
tamper_until() {
  local end=$((SECONDS + $2))
  : >"$WORK/screen.last"
  while [ $SECONDS -lt $end ]; do
    if tamper_ran "$1"; then echo ran; return; fi
    if [ -n "$3" ] && tamper_screen | tr '\n' ' ' | quietly grep -E "$3"; then echo screen; return; fi
    if [ -n "${4:-}" ] && quietly grep -aE "$4" "$WORK/$1.serial" 2>/dev/null; then echo serial; return; fi
    kill -0 $APPLIANCE_PID 2>/dev/null || break
    sleep 0.5
  done
  echo nothing
}
