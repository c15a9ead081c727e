#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tamper.sh [STEP...]: the appliance under somebody who has its disk: one byte changed in each part, other kernel images, boot entries, TPMs, an older version put
# back. Each stops with its reason on the screen, or starts the other slot; none runs altered code or opens the state. The images are for release
# (the newer one of two is the debug image, whose shell calls `floe-slot good`), in QEMU under TCG with OVMF, Secure Boot and swtpm.
#
# That "ran" can be seen is shown by good disks, and by the same attacks where nothing is in their way: without Secure Boot.
#
# Run by hand; tests/run does not run it. STEPs, in their order: control bytes evil entry state older recovery slots. docs/appliance.md says which of them have
# been seen through to their end. Pictures of the screen are in build/appliance/tamper-*.png.
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  appliance_prepare
  APPLIANCE_OLD=$(appliance_image old --version 1 --sign-key "$APPLIANCE_DEBUG.keys/sign.key" --sign-cert "$APPLIANCE_DEBUG.keys/sign.crt") ||
    die 'an image for release of an older version'
  export APPLIANCE_OLD
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
. "$SOURCE/tests/lib/appliance-tamper.sh"

APPLIANCE_NETWORK=none APPLIANCE_MEMORY=1024
PATIENCE=${FLOE_APPLIANCE_SECONDS:-600}
CASES=0 RAN=0 WRONG=()
mkdir -p "$APPLIANCE_PICTURES"
need sfdisk
need jq
need mcopy
[ -e $TAMPER_FONT ] || die "$TAMPER_FONT is missing: Debian's console-setup-linux has it"

# disk NAME [FROM]: a disk with the older version, or a copy of machine FROM's with its TPM and firmware.
disk() {
  if [ -z "${2:-}" ]; then
    appliance_disk "$1" "$APPLIANCE_OLD" 3G
  else
    cp --sparse=always --reflink=auto "$WORK/$2.disk" "$WORK/$1.disk"
    cp -r "$WORK/$2.tpm" "$WORK/$1.tpm"
  fi
}
secure() { cp "$WORK/enrolled.fd" "$WORK/$1.vars"; APPLIANCE_FIRMWARE=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd; }
insecure() { cp /usr/share/OVMF/OVMF_VARS_4M.fd "$WORK/$1.vars"; APPLIANCE_FIRMWARE=/usr/share/OVMF/OVMF_CODE_4M.fd; }
# put NAME FILE PATH, get NAME PATH FILE: files on the boot partition.
put() { appliance_boot_file "$1" "$2" "$3"; }
get() { mcopy -o -i "$WORK/$1.disk@@1M" "::$2" "$3"; }

# All cases are seen through, also after one that went wrong.
wrong() { WRONG+=("$*"); say "WRONG: $*"; }
# refused NAME screen|firmware PATTERN [TPM]: disk NAME is started, and stops with PATTERN on the screen; firmware repeats its screen on the serial line.
refused() {
  local screen=$3 serial=
  CASES=$((CASES + 1))
  [ "$2" = screen ] || screen='' serial=$3
  tamper_note "$1"
  appliance_start "$1" "${4:-$1}"
  case $(tamper_until "$1" $PATIENCE "$screen" "$serial") in
    nothing) tail -n 5 "$1.serial"; wrong "$1: nothing like '$3' was said; the screen is build/appliance/tamper-$1.png" ;;
  esac
  sleep 1
  appliance_picture "tamper-$1" || true
  appliance_stop
  if tamper_ran "$1"; then
    RAN=$((RAN + 1))
    say "$1: it ran"
  else
    say "$1: stopped ($SECONDS s)"
  fi
}
# runs NAME WHAT [TPM]: the opposite: disk NAME is started, and what is in its root runs.
runs() {
  local found
  tamper_note "$1"
  appliance_start "$1" "${3:-$1}"
  found=$(tamper_until "$1" $PATIENCE 'Floe does not start|Kernel panic' "$denied")
  appliance_picture "tamper-$1" || true
  if [ "$found" = ran ]; then say "$2: ran ($SECONDS s)"; else wrong "$2 is not recognised as one that runs: $found; the screen is build/appliance/tamper-$1.png"; fi
}

panic='Kernel panic - not syncing: dm-verity device corrupted'
denied='Access [Dd]enied|Security [Vv]iolation|Security Policy Violation'
owner=7b2c1f0e-3a55-4f0c-9d6b-0f5a4d1e2c3b
enrol() {
  cp /usr/share/OVMF/OVMF_VARS_4M.fd "$APPLIANCE_DEBUG.keys/sign.crt" .
  appliance_tools virt-fw-vars --input /exchange/OVMF_VARS_4M.fd --output /exchange/enrolled.fd --set-pk "$owner" /exchange/sign.crt \
    --add-kek "$owner" /exchange/sign.crt --add-db "$owner" /exchange/sign.crt --sb >keys.log 2>&1 || { cat keys.log; die 'no keys could be enrolled'; }
}

# -- Untouched: runs, makes its state, opens it ------------------------------------------------------------------------
control() {
  disk good
  secure good
  runs good 'an untouched disk under Secure Boot'
  tamper_note good
  [ "$(tamper_until good $PATIENCE 'Floe does not start')" = ran ] || wrong 'the state was made and not opened'
  appliance_stop
}

# -- One byte ----------------------------------------------------------------------------------------------------------
bytes() {
  disk root
  secure root
  tamper_byte root.disk $(($(tamper_where root.disk floe_1) + 1024 + 64))
  refused root screen "$panic"
  disk tree
  secure tree
  tamper_byte tree.disk $(($(tamper_where tree.disk floe_1_verity) + 4096 + 7))
  refused tree screen "$panic"
  # A digit of the root hash on the command line inside the signed image.
  disk kernel
  secure kernel
  tamper_byte kernel.disk $(($(head -c 161M kernel.disk | grep -abom1 'roothash=[0-9a-f]' | cut -d: -f1) + 9))
  refused kernel firmware "$denied"
  disk loader
  secure loader
  get loader /EFI/BOOT/BOOTX64.EFI loader.efi
  tamper_byte loader.efi 40000
  put loader loader.efi /EFI/BOOT/BOOTX64.EFI
  refused loader firmware "$denied"
}

# -- Somebody else's kernel image: his own root and root hash, his own signature or none -------------------------------------
evil_disk() {
  local hash
  [ -e evil.root ] || {
    cp "$APPLIANCE_OLD.d/root" evil.root
    # Padding after the last file: still the same file system, and not the same root.
    printf evil | dd of=evil.root bs=1 seek=$(($(stat -c %s evil.root) - 4)) conv=notrunc status=none
    salt=$(sed -n 's/^cmdline=.*floe.verity=[0-9]*:\([0-9a-f]*\).*/\1/p' "$APPLIANCE_OLD.d/manifest")
    veritysetup format --hash=sha256 --data-block-size=4096 --hash-block-size=4096 --salt="$salt" evil.root evil.tree >evil.said
    cp "$APPLIANCE_OLD.d/floe.efi" evil.efi
    hash=$(sed -n 's/^Root hash:[[:space:]]*//p' evil.said)
    printf %s "$hash" >evil.hash
    dd if=evil.hash of=evil.efi bs=1 seek=$(($(grep -abom1 'roothash=[0-9a-f]' evil.efi | cut -d: -f1) + 9)) conv=notrunc status=none
  }
  hash=$(cat evil.hash)
  dd if=evil.root of="$1.disk" bs=1M oflag=seek_bytes seek="$(tamper_where "$1.disk" floe_1)" conv=notrunc,sparse status=none
  dd if=evil.tree of="$1.disk" bs=1M oflag=seek_bytes seek="$(tamper_where "$1.disk" floe_1_verity)" conv=notrunc status=none
  sfdisk -q --part-uuid "$1.disk" 2 "$(as_uuid "$hash")"
  sfdisk -q --part-uuid "$1.disk" 3 "$(as_uuid "${hash:32}")"
  mdel -i "$1.disk@@1M" '::/EFI/Linux/*'
  put "$1" evil.efi /EFI/Linux/floe_1.efi
}
as_uuid() { sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' <<<"$1"; }
evil() {
  disk evil
  evil_disk evil
  insecure evil
  runs evil 'an altered root with a root hash of its own, without Secure Boot and with no state to open'
  appliance_stop
  disk evil-secure
  evil_disk evil-secure
  secure evil-secure
  refused evil-secure firmware "$denied"
  disk evil-state good
  evil_disk evil-state
  insecure evil-state
  refused evil-state screen 'does not open on this machine'
  disk unsigned
  cp "$APPLIANCE_OLD.d/floe.efi" unsigned.efi
  appliance_tools sbattach --remove /exchange/unsigned.efi >/dev/null 2>&1
  put unsigned unsigned.efi "/EFI/Linux/$(tamper_entries unsigned)"
  secure unsigned
  refused unsigned firmware "$denied"
}

# -- An entry of somebody else's with the signed image and another command line --------------------------------------------
entry_disk() {
  printf 'title Other\nlinux /EFI/Linux/%s\noptions %s console=ttyS0 loglevel=7\n' "$(tamper_entries "$1" | head -n 1)" \
    "$(sed -n 's/^cmdline=//p' "$APPLIANCE_OLD.d/manifest")" >other.conf
  printf 'timeout 0\ndefault other.conf\n' >loader.conf
  mmd -i "$WORK/$1.disk@@1M" ::/loader/entries
  put "$1" other.conf /loader/entries/other.conf
  put "$1" loader.conf /loader/loader.conf
}
entry() {
  disk entry good
  entry_disk entry
  secure entry
  # It starts, as it was signed: its kernel says nothing on the serial line.
  runs entry 'a signed image whose entry has another command line'
  appliance_stop
  CASES=$((CASES + 1))
  if quietly grep -aE 'Linux version|floe-start' entry.serial; then
    RAN=$((RAN + 1))
    say 'the command line of the entry was taken'
  fi
  # Without Secure Boot it is taken, and the TPM knows.
  disk entry-state good
  entry_disk entry-state
  insecure entry-state
  refused entry-state screen 'does not open on this machine'
  quietly grep -a 'Linux version' entry-state.serial || die 'without Secure Boot the entry changes nothing: the case shows nothing'
}

# -- The state beside another TPM, beside none, and with its header changed ----------------------------------------------------
state() {
  local at
  disk other-tpm good
  secure other-tpm
  refused other-tpm screen 'does not open on this machine' stranger
  disk no-tpm good
  secure no-tpm
  refused no-tpm screen 'is sealed to a TPM that this machine does not have' none
  # Both copies: of one the other is taken.
  disk header good
  secure header
  at=$(tamper_where header.disk floe-state)
  tamper_byte header.disk $((at + 200))
  tamper_byte header.disk $((at + 16384 + 200))
  refused header screen 'does not open on this machine'
}

# -- Two slots: the newer damaged; the older put back -------------------------------------------------------------------------
# into NAME: the older version into the other slot of a disk with the newer one.
into() {
  local hash
  hash=$(sed -n 's/^roothash=//p' "$APPLIANCE_OLD.d/manifest")
  dd if="$APPLIANCE_OLD.d/root" of="$1.disk" bs=1M oflag=seek_bytes seek="$(sfdisk -J "$1.disk" | jq '.partitiontable.partitions[3].start * 512')" conv=notrunc,sparse status=none
  dd if="$APPLIANCE_OLD.d/root.verity" of="$1.disk" bs=1M oflag=seek_bytes seek="$(sfdisk -J "$1.disk" | jq '.partitiontable.partitions[4].start * 512')" conv=notrunc status=none
  sfdisk -q --part-uuid "$1.disk" 4 "$(as_uuid "$hash")"
  sfdisk -q --part-uuid "$1.disk" 5 "$(as_uuid "${hash:32}")"
  sfdisk -q --part-label "$1.disk" 4 floe_1
  sfdisk -q --part-label "$1.disk" 5 floe_1_verity
  put "$1" "$APPLIANCE_OLD.d/floe.efi" /EFI/Linux/floe_1.efi
}
slots() {
  local try found
  appliance_disk fall "$APPLIANCE_DEBUG" 3G
  into fall
  secure fall
  tamper_byte fall.disk $(($(tamper_where fall.disk "floe_$newer") + 1024 + 64))
  CASES=$((CASES + 1))
  tamper_note fall
  appliance_start fall
  for try in +2-1 +1-2 +0-3; do
    found=$(tamper_until fall $PATIENCE "$panic")
    [ "$found" = screen ] || { appliance_picture tamper-fall; appliance_stop; wrong "try $try of a damaged slot: no panic on the screen, but: $found"; return; }
    tamper_entries fall | quietly grep -xF "floe_$newer$try.efi" || die "not counted as $try: $(tamper_entries fall)"
    # The first restart is the kernel's own; for the others nobody waits.
    if [ $try = +2-1 ]; then appliance_wait 60 'a restart' 'reboot: Restarting|Rebooting in'; sleep 11; else appliance_qmp system_reset >/dev/null; fi
    until_dark
  done
  found=$(tamper_until fall $PATIENCE 'Kernel panic')
  appliance_picture tamper-fall
  [ "$found" = ran ] || wrong "after three tries the older version does not start: $found"
  appliance_stop
  say "fall: the older version starts after three tries ($SECONDS s)"
}
# The picture of before the restart must not be taken for one of after it.
until_dark() {
  local end=$((SECONDS + 60))
  : >"$WORK/screen.last"
  while tamper_screen | quietly grep panic; do
    [ $SECONDS -lt $end ] || die 'the machine does not restart'
    : >"$WORK/screen.last"
    sleep 0.5
  done
}
# A newer version was found good here; then the older one, signed as well, is put in its place.
older() {
  appliance_disk older "$APPLIANCE_DEBUG" 3G
  secure older
  appliance_start older
  appliance_wait $PATIENCE 'the shell of the debug image' '^(.*[^#])?# '
  appliance_shell 'mkdir -p /var/lib/floe/chunks; floe-slot good; sync' $PATIENCE >good || { cat good; wrong 'floe-slot good'; }
  appliance_shell 'cat /var/lib/floe/recovery-key' 60 >key
  appliance_stop
  cp --sparse=always older.disk recovery.disk
  into older
  mdel -i "older.disk@@1M" "::/EFI/Linux/floe_$newer*"
  [ "$(tamper_entries older)" = floe_1.efi ] || die "the newer version is there still: $(tamper_entries older)"
  refused older screen 'Version 1 is older than [0-9]+, which ran here'
}

# The disk of `older` as it was, beside another TPM: opened by whoever has the recovery key, and by nothing shorter.
recovery() {
  local key
  key=$(grep -oE '[0-9a-f]{64}' key) || { wrong "no recovery key in the state: $(cat key)"; return; }
  secure recovery
  tamper_note recovery
  appliance_start recovery stranger
  [ "$(tamper_until recovery $PATIENCE 'Type its 64 digits')" = screen ] || { appliance_picture tamper-recovery; appliance_stop; wrong 'nobody asks for the recovery key'; return; }
  type_line "$(tr '0-9a-f' '1-9a-f0' <<<"${key:0:1}")${key:1}"
  [ "$(tamper_until recovery $PATIENCE 'is not the recovery key')" = screen ] || wrong 'a wrong recovery key is not refused on the screen'
  appliance_picture tamper-recovery
  type_line "$key"
  [ "$(tamper_until recovery $PATIENCE 'Floe does not start')" = ran ] || { appliance_picture tamper-recovery-right || true; wrong 'the recovery key does not open the state'; }
  appliance_stop
  say "recovery: the key opens the state beside another TPM ($SECONDS s)"
}
type_line() {
  appliance_type "$1"
  appliance_key ret
}

newer=$(sed -n 's/^version=//p' "$APPLIANCE_DEBUG.d/manifest")
enrol
[ $# -gt 0 ] || set -- control bytes evil entry state older recovery slots
for step; do
  say "$step ($SECONDS s)"
  $step
done
figure tamper_cases $CASES
figure tamper_ran $RAN
[ $RAN = 0 ] || die 'altered code ran, or the state opened'
[ ${#WRONG[@]} = 0 ] || die "$(printf '%s; ' "${WRONG[@]}")"
