#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# The appliance under somebody who has its disk: one byte changed in each part, kernel images, boot entries and additions of his own, another TPM, none, an
# older version put back. Each stops with its reason on the screen, or starts the other slot; none runs altered code or opens the state. In QEMU under TCG
# with OVMF, Secure Boot and swtpm; the older of two versions is an image for release, the newer one a debug image, whose shell calls `floe-slot good`
# and shows the recovery key, and which revokes the older one.
#
# That "ran" can be seen is shown by disks that are good, and with --long by the same attacks where nothing is in their way: without Secure Boot.
#
# Steps, each of which makes what it needs: good firmware slots entry closed older revoked recovery; with --long also foreign sealed bytes additions random, the last with
# FLOE_TAMPER_STARTS (20) starts. FLOE_STEPS names those to be run. Pictures of the screen are in build/appliance/tamper-*.png.
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  appliance_prepare
  TPM_TREE=$(debian13_tree) || die 'a tree with tools for a TPM'
  local keys=$APPLIANCE_DEBUG.keys name
  for name in kek pk graphics; do
    [ -e "$keys/$name.crt" ] || openssl req -new -x509 -newkey rsa:2048 -nodes -keyout "$keys/$name.key" -out "$keys/$name.crt" -subj "/OU=floe-debug/CN=$name" -days 7300 2>/dev/null
  done
  APPLIANCE_OLD=$(appliance_image old --version 1 --sign-key "$keys/sign.key" --sign-cert "$keys/sign.crt") || die 'an image for release of an older version'
  APPLIANCE_NEWER=$(appliance_image newer --debug --sign-key "$keys/sign.key" --sign-cert "$keys/sign.crt" --kek-key "$keys/kek.key" --kek-cert "$keys/kek.crt" \
    --enroll-keys --pk-key "$keys/pk.key" --pk-cert "$keys/pk.crt" --also-trust "$keys/graphics.crt" --revoke "$APPLIANCE_OLD.d") ||
    die 'an image of a newer version, which revokes the older one'
  export APPLIANCE_OLD APPLIANCE_NEWER TPM_TREE
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
. "$SOURCE/tests/lib/appliance-tamper.sh"

APPLIANCE_NETWORK=none APPLIANCE_MEMORY=1024
mkdir -p "$APPLIANCE_PICTURES"
for program in sfdisk jq mcopy convert swtpm; do need $program; done
[ -e $TAMPER_FONT ] || die "$TAMPER_FONT is missing: Debian's console-setup-linux has it"

panic='Kernel panic - not syncing: dm-verity device corrupted'
closed='does not open on this machine'
denied='BdsDxe: failed to (load|start) '
shell='^(.*[^#])?# '
newer=$(sed -n 's/^version=//p' "$APPLIANCE_NEWER.d/manifest")

# -- Untouched: gives firmware its keys, runs, makes its state, is found good, tells firmware of the older one, has a recovery key ---------------------------
good() {
  [ ! -e good.disk ] || return 0
  disk good "$APPLIANCE_NEWER"
  unkeyed good
  runs good 'an untouched disk in a PC whose firmware is in setup mode'
  # Nothing of the kernel image was started before the keys were there.
  if [ "$(grep -ac 'Linux version' good.serial)" != 1 ] || ! quietly grep -aF 'locked down from EFI Secure Boot' good.serial; then
    tamper_wrong "firmware in setup mode has not taken the keys on the disk: $(tail -n 5 good.serial)"
  fi
  cp good.vars enrolled.fd
  appliance_wait "$APPLIANCE_PATIENCE" 'the shell of the debug image' "$shell"
  appliance_has 'the state is sealed to the TPM' 'cat /run/floe/state.conf' '^protection=tpm'
  appliance_has 'and to Secure Boot, now and once firmware has the list' 'cat /run/floe/state.conf; cat /var/lib/floe/seal.conf' '^next=[0-9a-f]{64}'
  appliance_file /sys/kernel/security/tpm0/binary_bios_measurements good.events
  appliance_has 'the version is found good' 'floe-slot good && sync && echo floe-good' '^floe-good'
  appliance_has 'firmware has the older version in its list' 'systemctl start floe-slot-revoke; journalctl -o cat -u floe-slot-revoke' \
    'firmware has (taken|all) 1 in'
  appliance_file /var/lib/floe/recovery-key key
  appliance_shell sync >/dev/null
  appliance_stop
}

# -- What firmware has to refuse: one machine with a disk for each, which it tries one after the other ---------------------------
# Firmware repeats its screen on the serial line, with each disk's place on the bus.
firmware() {
  local name slot=12
  for name in loader kernel foreign unsigned initrd; do disk $name; done
  get loader /EFI/BOOT/BOOTX64.EFI loader.efi
  spoil loader.efi
  put loader loader.efi /EFI/BOOT/BOOTX64.EFI
  cp "$APPLIANCE_OLD.d/floe.efi" kernel.efi
  spoil kernel.efi
  replace_kernel kernel kernel.efi
  foreign_disk foreign
  cp "$APPLIANCE_OLD.d/floe.efi" unsigned.efi
  appliance_tools sbattach --remove /build/unsigned.efi >/dev/null 2>&1
  replace_kernel unsigned unsigned.efi
  # The signed image, and an initrd of his own beside it. systemd-stub does not come back from that, so it is the last.
  printf other >other.initrd
  put initrd other.initrd /other.initrd
  entry_on initrd 'initrd /other.initrd'
  secure loader
  for name in kernel foreign unsigned initrd; do
    APPLIANCE_ARGS+=(-drive "if=none,id=$name,format=raw,file=$WORK/$name.disk" -device "virtio-blk-pci,drive=$name,addr=0x$slot,bootindex=$slot")
    slot=$((slot + 1))
  done
  for name in loader kernel foreign unsigned initrd; do tamper_note $name; done
  appliance_start loader
  APPLIANCE_ARGS=()
  tamper_until loader "$APPLIANCE_PATIENCE" '' 'Error registering initrd|No bootable option' >/dev/null
  appliance_picture tamper-firmware || true
  appliance_stop
  firmware_said loader 'failed to load Boot0001 .*: Access Denied'
  firmware_said kernel 'failed to start .*Pci\(0x12,0x0\): Access Denied'
  firmware_said foreign 'failed to start .*Pci\(0x13,0x0\): Access Denied'
  firmware_said unsigned 'failed to start .*Pci\(0x14,0x0\): Access Denied'
  firmware_said initrd 'starting .*Pci\(0x15,0x0\).*Error registering initrd: Already started'
  disk_done loader kernel foreign unsigned initrd
}
firmware_said() {
  CASES=$((CASES + 1))
  tr '\r\n' '  ' <loader.serial | quietly grep -aE "$2" || tamper_wrong "$1: firmware has not said '$2': $(tail -n 5 loader.serial)"
  tamper_judge "$1"
}

# -- A byte of root and of hash tree: three tries of the newer version, then the older one -------------------------------------
slots() {
  local try root tree found
  disk slots "$APPLIANCE_NEWER"
  old_beside slots
  secure slots
  root=$(($(tamper_where slots.disk "floe_$newer") + 1024 + 64))
  tree=$(($(tamper_where slots.disk "floe_${newer}_verity") + 4096 + 7))
  tamper_byte slots.disk $root
  tamper_note slots
  appliance_start slots
  for try in 1 2 3; do
    # The kernel of the debug image says it on the serial line as well: so the picture is that of this try. The kernel restarts ten seconds later; meanwhile the
    # machine stands still.
    until_said $try "\\] $panic" || return 0
    for _ in $(seq 20); do
      appliance_qmp stop >/dev/null
      found=$(tamper_until slots 2 "$panic")
      [ "$found" = nothing ] || break
      appliance_qmp cont >/dev/null
      sleep 0.2
    done
    [ "$found" = screen ] || { appliance_stop; tamper_wrong "try $try of a damaged slot: no reason on the screen, but: $found"; return 0; }
    appliance_picture tamper-slots-$try
    tamper_entries slots | quietly grep -xF "floe_$newer+$((3 - try))-$try.efi" || tamper_wrong "not counted as try $try: $(tamper_entries slots)"
    CASES=$((CASES + 1))
    # The first restart is the kernel's own. The second try has a good root and a damaged tree, the third both damaged.
    [ $try = 3 ] || tamper_byte slots.disk $root
    [ $try != 1 ] || tamper_byte slots.disk $tree
    appliance_qmp cont >/dev/null
    [ $try = 1 ] || appliance_qmp system_reset >/dev/null
    say "slots: try $try has stopped ($SECONDS s)"
  done
  # The picture of the third try may be there still.
  found=$(tamper_until slots "$APPLIANCE_PATIENCE" 'Floe does not start')
  appliance_picture tamper-slots
  appliance_stop
  [ "$found" = ran ] || tamper_wrong "after three tries the older version does not start: $found"
  # The older one, an image for release, says nothing there.
  [ "$(grep -ac 'Linux version' slots.serial)" = 3 ] || tamper_wrong "the damaged version was started $(grep -ac 'Linux version' slots.serial) times"
  say "slots: after three tries of the damaged version: $found ($SECONDS s)"
  disk_done slots
}
until_said() {
  local end=$((SECONDS + APPLIANCE_PATIENCE))
  until [ "$(grep -ac "$2" slots.serial 2>/dev/null)" -ge "$1" ]; do
    [ $SECONDS -lt $end ] && kill -0 $APPLIANCE_PID 2>/dev/null || { appliance_picture tamper-slots || true; appliance_stop; tamper_wrong "try $1 of a damaged slot does not stop"; return 1; }
    sleep 0.5
  done
}

# -- Somebody else's kernel image and root where nothing is in their way: without Secure Boot, without TPM, up to the console that says so --------------
foreign() {
  local end
  disk bare
  foreign_disk bare
  other_command_line bare
  insecure bare
  runs bare 'an altered root with a root hash of its own, without Secure Boot' none
  end=$((SECONDS + APPLIANCE_PATIENCE))
  until appliance_picture bare && marked bare; do
    [ $SECONDS -lt $end ] || { appliance_picture tamper-bare-mark; tamper_wrong 'the console does not say that nothing protects the state: tamper-bare-mark.png'; break; }
    sleep 2
  done
  appliance_picture tamper-bare-mark
  appliance_stop
  CASES=$((CASES + 1))
  quietly grep -aE 'Kernel command line: .*floe.other=entry.*floe.other=addition' bare.serial ||
    tamper_wrong 'without Secure Boot no other command line is taken: the case `entry` shows nothing'
  say "bare: the console says that there is no TPM ($SECONDS s)"
  # The same beside a state that was sealed to signed images.
  good
  disk_of foreign-state good
  foreign_disk foreign-state
  insecure foreign-state
  refused foreign-state "$closed"
}
# The strip of marks on the console: an image for release has only this one.
marked() { [ "$(convert "$APPLIANCE_PICTURES/$1.png" -fill white +opaque '#3a2d0c' -format '%c' histogram:info: 2>/dev/null | awk '/#3A2D0C/ { print int($1) }')" -gt 5000 ] 2>/dev/null; }

# -- An entry of somebody else's with another command line, and an addition to the image with one ----------------------------------
entry() {
  disk entry
  other_command_line entry
  secure entry
  CASES=$((CASES + 2))
  # It starts, as it was signed: its kernel says nothing on the serial line.
  runs entry 'a signed image whose entry has another command line'
  appliance_stop
  if quietly grep -aE 'Linux version|floe.other' entry.serial; then
    RAN=$((RAN + 1))
    say 'entry: another command line WAS TAKEN'
  fi
  tr '\r\n' '  ' <entry.serial | quietly grep -aE "other.addon.efi'?.*ignoring: Access denied" || tamper_wrong 'entry: nothing was said of the unsigned addition'
}
# other_command_line NAME: by an entry that comes first, and by an unsigned addition to all kernel images.
other_command_line() {
  entry_on "$1" "options $(sed -n 's/^cmdline=//p' "$APPLIANCE_OLD.d/manifest" | sed "s/roothash=[0-9a-f]*/roothash=$(roothash_on "$1")/") console=ttyS0 loglevel=7 floe.other=entry"
  [ -e other.addon.efi ] ||
    appliance_tools ukify build --cmdline=floe.other=addition --stub=/usr/lib/systemd/boot/efi/addonx64.efi.stub --output=/build/other.addon.efi >addition.log 2>&1 ||
    { cat addition.log; die 'an addition to the kernel image'; }
  mmd -i "$WORK/$1.disk@@1M" ::/loader/addons
  put "$1" other.addon.efi /loader/addons/other.addon.efi
}
# roothash_on NAME: that of its first slot.
roothash_on() { sfdisk -J "$1.disk" 2>/dev/null | jq -r '.partitiontable.partitions[1, 2].uuid' | tr -d '\n-' | tr A-F a-f; }

# -- The state beside none of its TPM, and with its header changed --------------------------------------------------------------
closed() {
  local at
  good
  disk_of no-tpm good
  secure no-tpm
  refused no-tpm 'is sealed to a TPM that this machine does not have' none
  # Both copies: of one the other is taken.
  disk_of header good
  secure header
  at=$(tamper_where header.disk floe-state)
  tamper_byte header.disk $((at + 200))
  tamper_byte header.disk $((at + 16384 + 200))
  refused header "$closed"
}

# -- The newer version was found good; the older one, signed as well, is put in its place ------------------------------------------
# It has to open the state to know, and closes it again: that is a change of what is encrypted, and nothing that tells whether it ran.
older() {
  local found
  good
  old_instead older
  secure older
  CASES=$((CASES + 1))
  tamper_blind older
  appliance_start older
  found=$(tamper_until older "$APPLIANCE_PATIENCE" "Version 1 is older than $newer, which ran here")
  appliance_picture tamper-older
  if [ "$found" = screen ]; then
    # From here on nothing is written, up to the restart.
    tamper_note older
    [ -z "${FLOE_LONG:-}" ] || until_gone 'which ran here'
    tamper_judge older
  else
    tamper_wrong "older: no reason on the screen, but: $found"
  fi
  appliance_stop
}
# old_instead NAME: the disk of `good`, with the older version in place of the newer one.
old_instead() {
  disk_of "$1" good
  old_beside "$1"
  mdel -i "$1.disk@@1M" "::/EFI/Linux/floe_$newer*"
  [ "$(tamper_entries "$1")" = floe_1.efi ] || die "the newer version is there still: $(tamper_entries "$1")"
}
until_gone() {
  local end=$((SECONDS + APPLIANCE_PATIENCE))
  while : >"$WORK/screen.last"; tamper_shows "$1"; do
    [ $SECONDS -lt $end ] || { tamper_wrong "'$1' stays on the screen, and the machine does not restart"; return; }
    sleep 0.5
  done
}

# -- The same beside the firmware of `good`, which was told: `older` is what it does untold, and `recovery` that it starts the newer one -----------------
revoked() {
  local found
  good
  old_instead revoked
  secure revoked good.vars
  CASES=$((CASES + 1))
  tamper_note revoked
  appliance_start revoked
  found=$(tamper_until revoked "$APPLIANCE_PATIENCE" 'Floe does not start|which ran here' "$denied")
  appliance_picture tamper-revoked || true
  appliance_stop
  tr '\r\n' '  ' <revoked.serial | quietly grep -aE 'failed to start .*: Access Denied' || tamper_wrong "revoked: firmware does not refuse it, but: $found"
  tamper_judge revoked
  disk_done revoked
}

# -- The same PC and TPM, and the signed image, with Secure Boot switched off; and somebody else's system that tells the TPM what the signed image would --------
sealed() {
  good
  # What firmware has taken into its list is what the state was sealed for beforehand: it opens, and is sealed to that alone.
  disk_of sealed good
  secure sealed good.vars
  runs sealed 'the start after firmware has taken the list'
  appliance_wait "$APPLIANCE_PATIENCE" 'the shell of the debug image' "$shell"
  appliance_has 'the TPM has opened the state' 'cat /run/floe/state.conf' '^protection=tpm'
  appliance_has 'the seal of before is gone' '! grep ^next= /var/lib/floe/seal.conf && echo floe-gone' '^floe-gone'
  appliance_has "no report of the start before" '[ ! -e /var/lib/floe/slot/report.json ] || [ /var/lib/floe/slot/report.json -nt /run/floe/state.conf ] && echo none-old' '^none-old'
  appliance_shell 'sync' >/dev/null || true
  appliance_stop
  disk_of unsecured good
  insecure unsecured
  refused unsecured "$closed"
  CASES=$((CASES + 1))
  tamper_unseals on good ||
    tamper_wrong "sealed: what extends the TPM as the signed image would does not open the state with Secure Boot either, so the case shows nothing: $(tail -n 3 forged.on)"
  if tamper_unseals off good; then
    RAN=$((RAN + 1))
    say 'sealed: THE STATE OPENED to a system of somebody else without Secure Boot'
  else
    # It is the seal that refuses, and not something that was amiss with the forgery.
    quietly grep -F 'No TPM2 metadata matching the current system state' forged.off || tamper_wrong "sealed: a forged start fails otherwise: $(tail -n 3 forged.off)"
    say "sealed: a forged start has the state opened with Secure Boot's register, and not without ($SECONDS s)"
  fi
}

# -- Beside another TPM: opened by whoever has the recovery key, and by nothing else -----------------------------------------------
recovery() {
  local key found
  good
  key=$(grep -oE '[0-9a-f]{64}' key) || { tamper_wrong "no recovery key in the state: $(cat key)"; return 0; }
  disk_of recovery good
  secure recovery good.vars
  CASES=$((CASES + 2))
  tamper_note recovery
  appliance_start recovery stranger
  found=$(tamper_until recovery "$APPLIANCE_PATIENCE" "$closed.*Type its 64 digits")
  appliance_picture tamper-recovery-asked
  [ "$found" = screen ] || { appliance_stop; tamper_judge recovery; tamper_wrong "beside another TPM, no reason and nobody asks for the recovery key: $found"; return 0; }
  type_key "$(tr '0-9a-f' '1-9a-f0' <<<"${key:0:1}")${key:1}"
  found=$(tamper_until recovery "$APPLIANCE_PATIENCE" 'is not the recovery key')
  appliance_picture tamper-recovery-wrong
  [ "$found" = screen ] || tamper_wrong "a wrong recovery key is not refused on the screen: $found"
  tamper_judge recovery
  type_key "$key"
  found=$(tamper_until recovery "$APPLIANCE_PATIENCE" 'Floe does not start')
  [ "$found" = ran ] || { appliance_picture tamper-recovery-right || true; tamper_wrong "the recovery key does not open the state: $found"; }
  say "recovery: the key opens the state beside another TPM ($SECONDS s)"
  # From here on it is that TPM's.
  appliance_wait "$APPLIANCE_PATIENCE" 'the shell of the debug image' "$shell"
  # What is said of the state is written once it is sealed; the shell is there before.
  appliance_has 'sealed anew' 'grep ^protection=tpm /run/floe/state.conf && ! grep seal_problem /run/floe/state.conf && sync && echo floe-sealed' '^floe-sealed'
  appliance_stop
  tamper_note recovery
  appliance_start recovery stranger
  found=$(tamper_until recovery "$APPLIANCE_PATIENCE" "Type its 64 digits|Floe does not start")
  [ "$found" = ran ] || { appliance_picture tamper-recovery-again || true; tamper_wrong "the TPM that the key was typed beside does not open the state: $found"; }
  appliance_stop
  say "recovery: that TPM opens it from then on ($SECONDS s)"
}
# type_key DIGITS: into the question, eight at a time, each seen on the screen before the next: a machine that is slow loses keys (its keyboard holds 64 changes), and a
# person looks at what he types. What was lost is typed again after backspaces.
type_key() {
  local typed= end=$((SECONDS + APPLIANCE_PATIENCE)) part
  while [ ${#typed} -lt ${#1} ]; do
    part=${1:${#typed}:8}
    appliance_type "$part"
    until_typed "$typed$part" || {
      [ $SECONDS -lt $end ] || { appliance_picture tamper-typed || true; die 'what is typed into the question for the recovery key does not come'; }
      for _ in $(seq ${#1}); do appliance_key backspace; sleep 0.2; done
      typed=
      continue
    }
    typed+=$part
  done
  appliance_key ret
}
# until_typed DIGITS: whether they are the last that the screen shows, within a time in which keys that were not lost come.
until_typed() {
  : >"$WORK/screen.last"
  for _ in $(seq 60); do
    tamper_screen | tr -d ' ' | sed '/^$/d' | tail -n 1 | quietly grep -x "$1" && return
    sleep 0.5
  done
  return 1
}

# == Only with --long ================================================================================================================

# -- A byte of root and of tree in an image for release ----------------------------------------------------------------------------
bytes() {
  disk root
  secure root
  tamper_byte root.disk $(($(tamper_where root.disk floe_1) + 1024 + 64))
  refused root "$panic"
  disk tree
  secure tree
  tamper_byte tree.disk $(($(tamper_where tree.disk floe_1_verity) + 4096 + 7))
  refused tree "$panic"
}

# -- What somebody adds to the boot partition, or to the computer ---------------------------------------------------------------------
additions() {
  good
  # The disk of `entry` without Secure Boot: its command line is taken, and the TPM keeps the state closed.
  [ -e entry.disk ] || entry
  insecure entry
  refused entry "$closed"
  quietly grep -a 'floe.other=entry' entry.serial || tamper_wrong 'without Secure Boot the entry changes nothing: the case shows nothing'
  # A credential, which systemd would take settings from.
  disk_of credential good
  mmd -i "$WORK/credential.disk@@1M" ::/loader/credentials
  printf 'root::0:0::/root:/bin/sh\n' >other.cred
  put credential other.cred /loader/credentials/passwd.hashed-password.root.cred
  secure credential
  refused credential "$closed"
  # A second disk with the same UUIDs, and a byte changed in its root: what is started from either is what was signed.
  disk_of twin good
  tamper_byte twin.disk $(($(tamper_where twin.disk "floe_$newer") + 1024 + 64))
  disk_of one good
  secure one
  APPLIANCE_ARGS=(-drive "if=none,id=twin,format=raw,file=$WORK/twin.disk" -device virtio-blk-pci,drive=twin,addr=0x12)
  tamper_note one
  tamper_note twin
  CASES=$((CASES + 1))
  appliance_start one
  APPLIANCE_ARGS=()
  say "beside its twin: $(tamper_until one "$APPLIANCE_PATIENCE" "$panic")"
  appliance_picture tamper-twin || true
  appliance_stop
  tamper_judge twin
  # A state of his own, with its key where that of a computer without TPM lies: it opens, as that of a new computer would, and nothing of the old one is in it.
  [ -e bare.disk ] || foreign
  disk_of own-state good
  get bare /floe-state.key own.key
  put own-state own.key /floe-state.key
  dd if=bare.disk of=own-state.disk bs=1M iflag=skip_bytes skip="$(tamper_where bare.disk floe-state)" oflag=seek_bytes seek="$(tamper_where own-state.disk floe-state)" \
    conv=notrunc status=none
  secure own-state
  runs own-state 'a state of somebody else, made without TPM'
  appliance_wait "$APPLIANCE_PATIENCE" 'the shell of the debug image' "$shell"
  appliance_has 'the console is told that nothing protects it' 'cat /run/floe/state.conf' '^protection=none'
  appliance_shell 'ls -A /var/lib/floe; cat /var/lib/floe/recovery-key 2>/dev/null; echo floe-all' >own-state.holds || true
  if ! quietly grep -x floe-all own-state.holds || quietly grep -F "$(cat key)" own-state.holds; then
    tamper_wrong "the new state is not to be read, or has something of the old one: $(cat own-state.holds)"
  fi
  appliance_stop
}

# -- Random bytes in every region of a disk that was in use -------------------------------------------------------------------------
# The debug image, so that a machine which starts all the same can be asked what it runs: its command line has to be the signed one, and its root, read to its
# end, has to be what the root hash says, or stop the kernel.
random() {
  local i region found what starts=${FLOE_TAMPER_STARTS:-20} regions=(loader kernel files table root tree header)
  good
  for ((i = 0; i < starts; i++)); do
    region=${regions[i % ${#regions[@]}]}
    disk_of random good
    secure random
    random_change $region
    CASES=$((CASES + 1))
    appliance_start random
    found=$(random_end) what=
    [ "$found" != shell ] || what=$(random_runs $region)
    appliance_picture "tamper-random-$i" || true
    appliance_stop
    say "random byte in $region: $found${what:+, $what} ($SECONDS s)"
    [ "$found" != nothing ] || tamper_wrong "random byte in $region: neither a reason nor a start; tamper-random-$i.png"
    [ "$what" != altered ] || RAN=$((RAN + 1))
  done
}
# random_change REGION: one bit on the disk of `random`; SPOILT says whether something signed is not what was signed any more.
random_change() {
  local from size file at
  SPOILT=
  case $1 in
    loader | kernel)
      file=/EFI/BOOT/BOOTX64.EFI
      [ $1 = loader ] || file=/EFI/Linux/$(tamper_entries random | head -n 1)
      get random "$file" random.efi
      at=$(((RANDOM << 15 | RANDOM) % $(stat -c %s random.efi)))
      tamper_byte random.efi $at
      signed random.efi || SPOILT=1
      put random random.efi "$file"
      say "byte $at of $file"
      return ;;
    # File allocation tables, directories, and what lies first.
    files) from=1048576 size=4194304 ;;
    table) from=0 size=$((34 * 512)) ;;
    root) from=$(tamper_where random.disk "floe_$newer") size=$(stat -c %s "$APPLIANCE_NEWER.d/root") SPOILT=1 ;;
    # The superblock is for programs that do not know what it says: floe-start has it from the command line.
    tree) from=$(($(tamper_where random.disk "floe_${newer}_verity") + 4096)) size=$(($(stat -c %s "$APPLIANCE_NEWER.d/root.verity") - 4096)) SPOILT=1 ;;
    header) from=$(tamper_where random.disk floe-state) size=16777216 ;;
  esac
  at=$((from + (RANDOM << 30 | RANDOM << 15 | RANDOM) % size))
  tamper_byte random.disk $at
  say "byte $at of the disk, in $1"
}
# How the start ends: a reason on the screen or the serial line, or a shell.
random_end() {
  local end=$((SECONDS + APPLIANCE_PATIENCE)) said
  : >"$WORK/screen.last"
  while [ $SECONDS -lt $end ] && kill -0 $APPLIANCE_PID 2>/dev/null; do
    if quietly grep -aE "$shell" random.serial; then echo shell; return; fi
    said=$(grep -aoE "dm-verity device corrupted|Kernel panic|floe-start: no disk has|$denied|No bootable option" random.serial | head -n 1)
    [ -z "$said" ] || { echo "$said"; return; }
    if tamper_shows "$closed|Floe does not start"; then echo 'the state stays closed'; return; fi
    sleep 0.5
  done
  echo nothing
}
# random_asks COMMAND: the shell's answer, in `answer`; fails when the kernel stops instead.
random_asks() {
  appliance_shell "$1" >answer & local asker=$!
  until quietly grep -a 'dm-verity device corrupted' random.serial || ! kill -0 $asker 2>/dev/null; do sleep 0.5; done
  ! quietly grep -a 'dm-verity device corrupted' random.serial || { kill $asker 2>/dev/null || true; return 1; }
}
# random_runs REGION: what a machine runs that has started: signed, or altered.
random_runs() {
  local line
  line=$(sed -n 's/^cmdline=//p' "$APPLIANCE_NEWER.d/manifest")
  random_asks 'cat /proc/cmdline' || { echo 'and stops at the byte'; return; }
  quietly grep -F "$line" answer || { echo altered; return; }
  case $1 in
    loader | kernel) [ -z "$SPOILT" ] || { echo altered; return; } ;;
  esac
  random_asks 'cat /dev/dm-0 >/dev/null && echo whole' || { echo 'and stops at the byte'; return; }
  if [ -n "$SPOILT" ] && [[ $1 = root || $1 = tree ]] || ! quietly grep -x whole answer; then
    echo altered
  else
    echo 'nothing signed was altered'
  fi
}

cp "$APPLIANCE_DEBUG.keys/sign.crt" "$WORK/"
for step in ${FLOE_STEPS:-good firmware slots entry closed older revoked recovery ${FLOE_LONG:+foreign sealed bytes additions random}}; do
  say "-- $step ($SECONDS s)"
  $step
done
tamper_end
