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
tamper_ran() { [ -e "$WORK/$1.state" ] && [ "$(tamper_state "$1")" != "$(cat "$WORK/$1.state")" ]; }
# tamper_blind NAME: what is written to its state is not looked at, until the next tamper_note.
tamper_blind() { rm -f "$WORK/$1.state"; }

# tamper_screen: what the kernel's console shows. Prints nothing when the picture is the one of last time.
tamper_screen() {
  appliance_qmp screendump "{\"filename\":\"$WORK/screen.ppm\"}" >/dev/null 2>&1 || return 0
  cmp -s "$WORK/screen.ppm" "$WORK/screen.last" || {
    cp "$WORK/screen.ppm" "$WORK/screen.last"
    python3 "$SOURCE/tests/lib/screen-text.py" $TAMPER_FONT "$WORK/screen.ppm"
  }
}

# tamper_shows PATTERN: whether it is on the screen, and the picture is a new one. The console breaks lines where it likes, in words too: spaces are not compared.
tamper_shows() { tamper_screen | tr -d ' \n' | quietly grep -E "${1// /}"; }

# tamper_until NAME SECONDS SCREEN [SERIAL]: until the pattern SCREEN is on the screen, SERIAL on the serial line, or altered code has run. Prints which: screen,
# serial, ran; or nothing.
tamper_until() {
  local end=$((SECONDS + $2))
  : >"$WORK/screen.last"
  while [ $SECONDS -lt $end ]; do
    if tamper_ran "$1"; then echo ran; return; fi
    if [ -n "$3" ] && tamper_shows "$3"; then echo screen; return; fi
    if [ -n "${4:-}" ] && quietly grep -aE "$4" "$WORK/$1.serial" 2>/dev/null; then echo serial; return; fi
    kill -0 $APPLIANCE_PID 2>/dev/null || break
    # A look costs a tenth of a second of a processor, and the picture that is waited for stays for ten.
    sleep 1.5
  done
  echo nothing
}

# -- Disks ------------------------------------------------------------------------------------------------------------
# What a test counts: cases, how many of them ran, and what else went wrong; all cases are seen through, also after one that went wrong.
CASES=0 RAN=0 WRONG=()
tamper_wrong() { WRONG+=("$*"); say "WRONG: $*"; }
tamper_end() {
  figure tamper_cases $CASES
  figure tamper_ran $RAN
  [ $RAN = 0 ] || die 'altered code ran, or the state opened'
  [ ${#WRONG[@]} = 0 ] || die "$(printf '%s; ' "${WRONG[@]}")"
}

# disk NAME [IMAGE]: a disk with the older version, or with IMAGE. disk_of NAME OTHER: a copy of OTHER's, with its TPM.
disk() { appliance_disk "$1" "${2:-$APPLIANCE_OLD}" 3G; }
disk_of() {
  cp --sparse=always --reflink=auto "$WORK/$2.disk" "$WORK/$1.disk"
  rm -rf "$WORK/$1.tpm"
  cp -r "$WORK/$2.tpm" "$WORK/$1.tpm"
}
# disk_done NAME...: these are not started again; each is some 300 MiB.
disk_done() {
  local name
  for name; do [ -n "${FLOE_KEEP:-}" ] || rm -f "$WORK/$name.disk"; done
}
# secure NAME [VARIABLES], insecure NAME: firmware with Secure Boot and the keys of the images (or what it has become in VARIABLES), or the same with Secure Boot
# switched off. unkeyed NAME: without keys, in setup mode, in which it takes those of the first who comes.
secure() { [ -n "${2:-}" ] || good; firmware_of "$1" "${2:-enrolled.fd}"; }
insecure() {
  good
  [ -e off.fd ] || appliance_tools virt-fw-vars --input /build/enrolled.fd --output /build/off.fd --set-false SecureBootEnable >off.log 2>&1 ||
    { cat off.log; die 'Secure Boot could not be switched off'; }
  firmware_of "$1" off.fd
}
unkeyed() { firmware_of "$1" /usr/share/OVMF/OVMF_VARS_4M.fd; }
firmware_of() { cp "$2" "$WORK/$1.vars"; APPLIANCE_FIRMWARE=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd; }
# put NAME FILE PATH, get NAME PATH FILE: files on the boot partition. replace_kernel NAME FILE: its only kernel image.
put() { appliance_boot_file "$1" "$2" "$3"; }
get() { mcopy -o -i "$WORK/$1.disk@@1M" "::$2" "$3"; }
replace_kernel() {
  mdel -i "$WORK/$1.disk@@1M" '::/EFI/Linux/*'
  put "$1" "$2" /EFI/Linux/floe_1.efi
}
as_uuid() { sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' <<<"$1"; }

# signed FILE: whether firmware with the images' key would start FILE of $WORK.
signed() { appliance_tools sbverify --cert /build/sign.crt "/build/$1" >/dev/null 2>&1; }
# spoil FILE: one bit of one byte, anywhere that the signature covers.
spoil() {
  local at
  while :; do
    at=$(((RANDOM << 15 | RANDOM) % $(stat -c %s "$1")))
    tamper_byte "$1" $at
    signed "$1" || break
    tamper_byte "$1" $at
  done
  say "$1: byte $at"
}

# foreign_disk NAME: somebody else's root, with a root hash of its own in a kernel image of which he cannot make the signature.
foreign_disk() {
  local hash salt
  [ -e foreign.root ] || {
    cp "$APPLIANCE_OLD.d/root" foreign.root
    # Padding after the last file: still the same file system, and not the same root.
    printf evil | dd of=foreign.root bs=1 seek=$(($(stat -c %s foreign.root) - 4)) conv=notrunc status=none
    salt=$(sed -n 's/^cmdline=.*floe.verity=[0-9]*:\([0-9a-f]*\).*/\1/p' "$APPLIANCE_OLD.d/manifest")
    veritysetup format --hash=sha256 --data-block-size=4096 --hash-block-size=4096 --salt="$salt" foreign.root foreign.tree >foreign.said
    cp "$APPLIANCE_OLD.d/floe.efi" foreign.efi
    sed -n 's/^Root hash:[[:space:]]*//p' foreign.said | tr -d '\n' >foreign.hash
    dd if=foreign.hash of=foreign.efi bs=1 seek=$(($(grep -abom1 'roothash=[0-9a-f]' foreign.efi | cut -d: -f1) + 9)) conv=notrunc status=none
  }
  write_slot "$1" 2 1 foreign.root foreign.tree "$(cat foreign.hash)"
  replace_kernel "$1" foreign.efi
}
# write_slot NAME PARTITION VERSION ROOT TREE HASH: into that partition and the one after it.
write_slot() {
  local table
  table=$(sfdisk -J "$1.disk" 2>/dev/null)
  dd if="$4" of="$1.disk" bs=1M oflag=seek_bytes seek="$(jq ".partitiontable.partitions[$2 - 1].start * 512" <<<"$table")" conv=notrunc status=none
  dd if="$5" of="$1.disk" bs=1M oflag=seek_bytes seek="$(jq ".partitiontable.partitions[$2].start * 512" <<<"$table")" conv=notrunc status=none
  sfdisk -q --part-uuid "$1.disk" "$2" "$(as_uuid "$6")" 2>/dev/null
  sfdisk -q --part-uuid "$1.disk" $(($2 + 1)) "$(as_uuid "${6:32}")" 2>/dev/null
  sfdisk -q --part-label "$1.disk" "$2" "floe_$3" 2>/dev/null
  sfdisk -q --part-label "$1.disk" $(($2 + 1)) "floe_$3_verity" 2>/dev/null
}
# old_beside NAME: the older version, found good once, in the other slot of a disk with the newer one.
old_beside() {
  write_slot "$1" 4 1 "$APPLIANCE_OLD.d/root" "$APPLIANCE_OLD.d/root.verity" "$(sed -n 's/^roothash=//p' "$APPLIANCE_OLD.d/manifest")"
  put "$1" "$APPLIANCE_OLD.d/floe.efi" /EFI/Linux/floe_1.efi
}

# entry_on NAME LINE...: an entry of somebody else's, with the signed image, comes first.
entry_on() {
  local name=$1; shift
  { printf 'title Other\nlinux /EFI/Linux/%s\n' "$(tamper_entries "$name" | head -n 1)"; printf '%s\n' "$@"; } >other.conf
  printf 'timeout 0\ndefault other.conf\n' >loader.conf
  mmd -i "$WORK/$name.disk@@1M" ::/loader/entries
  put "$name" other.conf /loader/entries/other.conf
  put "$name" loader.conf /loader/loader.conf
}

# -- What becomes of them ---------------------------------------------------------------------------------------------
# refused NAME PATTERN [TPM]: a case: disk NAME is started, and stops with PATTERN on the screen.
refused() {
  local found
  CASES=$((CASES + 1))
  tamper_note "$1"
  appliance_start "$1" "${3:-$1}"
  found=$(tamper_until "$1" "$APPLIANCE_PATIENCE" "$2")
  appliance_picture "tamper-$1" || true
  appliance_stop
  tamper_judge "$1"
  [ "$found" = screen ] || tamper_wrong "$1: nothing like '$2' was on the screen, but: $found; tamper-$1.png"
  disk_done "$1"
}
# tamper_judge NAME: whether what was altered ran, before or after it stopped.
tamper_judge() {
  if tamper_ran "$1"; then
    RAN=$((RAN + 1))
    say "$1: IT RAN"
  else
    say "$1: stopped ($SECONDS s)"
  fi
}
# runs NAME WHAT [TPM]: the opposite: disk NAME is started, and what is in its root runs. The machine is left running.
runs() {
  local found
  tamper_note "$1"
  appliance_start "$1" "${3:-$1}"
  found=$(tamper_until "$1" "$APPLIANCE_PATIENCE" 'Floe does not start|Kernel panic' "$denied")
  appliance_picture "tamper-$1" || true
  if [ "$found" = ran ]; then say "$2: ran ($SECONDS s)"; else tamper_wrong "$2 is not recognised as one that runs: $found; tamper-$1.png"; fi
}

# -- A TPM in somebody's hands ----------------------------------------------------------------------------------------
# tamper_unseals on|off NAME: whether the TPM of NAME gives the key of its disk's state to a system of somebody else's that extends it as the signed image would
# (tpm-forge.py), with Secure Boot or without. NAME.events is what firmware wrote down of a start. TPM_TREE has the tools; forged.on, forged.off: what they said.
tamper_unseals() {
  local server status=0
  rm -rf forged.tpm forged.sock forged.state
  cp -r "$2.tpm" forged.tpm
  dd if="$2.disk" of=forged.state iflag=skip_bytes,count_bytes skip="$(tamper_where "$2.disk" floe-state)" count=16M bs=1M status=none
  truncate -s 256M forged.state
  python3 "$SOURCE/tests/lib/tpm-forge.py" "$APPLIANCE_NEWER.d/floe.efi" "$2.events" "$1" forged.json >forged.digests || die 'what to extend the TPM by'
  swtpm socket --tpm2 --tpmstate dir="$WORK/forged.tpm" --server type=unixio,path="$WORK/forged.sock" --ctrl type=unixio,path="$WORK/forged.sock.ctrl" \
    --flags not-need-init,startup-clear >forged.swtpm 2>&1 & server=$!
  wait_for 10 swtpm test -S forged.sock
  unshare --mount bash -euc '
    mount -t tmpfs tmpfs "$1/run"
    mkdir "$1/run/systemd" "$1/run/exchange"
    cp "$2/forged.json" "$1/run/systemd/tpm2-pcr-signature.json"
    mount --bind "$2" "$1/run/exchange"
    exec chroot "$1" bash -euc "
      tpm=swtpm:path=/run/exchange/forged.sock
      while read -r digest; do tpm2_pcrextend -T \$tpm \$digest; done </run/exchange/forged.digests
      systemd-cryptenroll --unlock-tpm2-device=\$tpm --recovery-key /run/exchange/forged.state"
  ' bash "$TPM_TREE" "$WORK" >"forged.$1" 2>&1 </dev/null || status=$?
  kill $server 2>/dev/null || true
  wait $server 2>/dev/null || true
  return $status
}
