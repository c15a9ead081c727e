# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after appliance.sh: the appliance on a USB stick beside another disk.

# stick_disk NAME: the image on a stick that has room for its state.
stick_disk() { appliance_disk "$1" "$APPLIANCE_DEBUG" 3G; }

# old_disk NAME: a disk with a table, a file system that has a name, and bytes everywhere.
old_disk() {
  truncate -s 4G "$WORK/$1.disk"
  printf 'label: gpt\nsize=200MiB, type=linux, name=Holiday\nsize=100MiB, type=uefi, name=OLD\n' | sfdisk --quiet "$WORK/$1.disk"
  mke2fs -q -F -t ext4 -L 'Holiday photos' -E offset=1048576 "$WORK/$1.disk" 200M
  dd if=/dev/urandom of="$WORK/$1.disk" bs=1M count=8 seek=1500 conv=notrunc status=none
  cp /usr/share/OVMF/OVMF_VARS_4M.fd "$WORK/$1.vars"
  digest_of "$1" >"$WORK/$1.digest"
}
digest_of() { sha256sum <"$WORK/$1.disk"; }
untouched() { [ "$(digest_of "$1")" = "$(cat "$WORK/$1.digest")" ]; }

# stick_start STICK DISK: a computer with DISK inside, started from STICK.
stick_start() {
  local saved=$WORK/$1.disk
  mv "$saved" "$WORK/$1.stick"
  # appliance_start's own disk is the one that is there already; the stick comes before it.
  ln -s "$WORK/$2.disk" "$saved"
  APPLIANCE_ARGS=(-drive "if=none,id=key,format=raw,file=$WORK/$1.stick" -device usb-storage,drive=key,bus=usb.0,bootindex=0,serial=STICK1)
  appliance_start "$1"
  APPLIANCE_ARGS=()
}
stick_up() {
  appliance_wait 900 'the kernel' 'Linux version'
  appliance_wait 900 'the shell of the debug image' '^(.*[^#])?# '
}

# step NAME KEY...: presses KEY and waits until the screen is another one and stays so: a person looks before typing on. The picture is install-NAME.png.
step() {
  local name=install-$1 end=$((SECONDS + 90)); shift
  appliance_picture before-step
  appliance_key "$@"
  until sleep 1; appliance_picture "$name"; pictures_differ "$APPLIANCE_PICTURES/before-step.png" "$APPLIANCE_PICTURES/$name.png"; do
    [ $SECONDS -lt $end ] || die "the screen is the same after $*: $name.png"
  done
  sleep 2
  appliance_picture "$name"
}
install_state() { appliance_shell 'busctl get-property org.floe.Install1 /org/floe/Install1 org.floe.Install1 State' 60; }

# screen_install DISK: from the first page, with the keyboard on 'Try', to the end of the installation, as a person does it.
screen_install() {
  appliance_picture install-choice
  appliance_key tab
  step disks ret
  step confirm ret
  # Enter with nothing typed does nothing.
  appliance_key ret
  install_state | quietly grep -F '"ready"' || die 'it began without a name'
  appliance_type "$1"
  sleep 1
  appliance_picture install-typed
  step working ret
}

# check_installed NAME: its disk, switched off, by programs that share nothing with floe-install.
check_installed() {
  local disk=$WORK/$1.disk hash root tree esp
  hash=$(sed -n 's/^roothash=//p' "$APPLIANCE_DEBUG.d/manifest")
  sfdisk -J "$disk" >table.json
  jq -e '[.partitiontable.partitions[].name] | length == 5 and .[0] == "FLOE-BOOT" and .[3] == "_empty" and .[4] == "_empty"' table.json >/dev/null || { cat table.json; die 'the table'; }
  [ "$(jq -r '.partitiontable.partitions[1:3][].uuid' table.json | tr -d '\n-' | tr A-F a-f)" = "$hash" ] || die 'UUIDs of root and tree do not follow from the root hash'
  esp=$(jq -r '.partitiontable.partitions[0].uuid' table.json)
  [ "$esp" != "$(sfdisk -J "$APPLIANCE_DEBUG" | jq -r '.partitiontable.partitions[0].uuid')" ] || die 'both boot partitions have one UUID'
  part() { dd if="$disk" iflag=skip_bytes,count_bytes bs=1M status=none skip=$(($(jq ".partitiontable.partitions[$1].start" table.json) * 512)) \
    count=$(($(jq ".partitiontable.partitions[$1].size" table.json) * 512)); }
  part 0 >esp.img
  part 1 >root.img
  part 2 >tree.img
  fsck.fat -n esp.img >fsck.log || { cat fsck.log; die 'the boot partition is damaged'; }
  veritysetup verify root.img tree.img "$hash" || die 'root and tree are not what was signed'
  mcopy -n -i esp.img "::/EFI/Linux/floe_$(sed -n 's/^version=//p' "$APPLIANCE_DEBUG.d/manifest")+3.efi" - | cmp - "$APPLIANCE_DEBUG.d/floe.efi" || die 'the kernel image is another one'
  rm -f esp.img root.img tree.img
}
