# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests of the appliance's update: versions of an appliance as small as they get, and disks that have one installed. veritysetup, which
# shares no code with Floe, makes the hash trees, and verifies what was written.

slot_root_type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
slot_verity_type=2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5

# make_root FILE MIB: bytes that do not compress, the same at each call for one size.
make_root() { openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c $(($2 << 20)) >"$1" || true; }
# change FILE OFFSET TEXT
change() { printf '%s' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# make_version DIR N ROOT: DIR has root, verity, uki, roothash of version N of that root file system.
make_version() {
  local dir=$1 version=$2
  mkdir -p "$dir"
  cp --sparse=never "$3" "$dir/root"
  change "$dir/root" 4096 "IMAGE_VERSION=$version "
  rm -f "$dir/verity"
  veritysetup format --salt=00112233 --uuid=00000000-0000-0000-0000-00000000000$((version % 10)) "$dir/root" "$dir/verity" |
    sed -n 's/^Root hash:[[:space:]]*//p' >"$dir/roothash"
  [ "$(wc -c <"$dir/roothash")" = 65 ] || die "veritysetup made no tree for version $version"
  { head -c 400000 "$3" | tail -c 300000; printf 'version %s roothash=%s quiet' "$version" "$(cat "$dir/roothash")"; } >"$dir/uki"
}

# slot_uuids HASH: the UUIDs of its root and its tree.
slot_uuids() { sed -E 's/(.{8})(.{4})(.{4})(.{4})(.{12})/\1-\2-\3-\4-\5\n/g' <<<"$1" | head -n 2; }

# make_disk FILE BOOT VERSIONDIR N [ROOT_MIB]: a disk in FILE and a boot partition's content in BOOT, with version N in slot a, found good, and b empty.
make_disk() {
  local file=$1 boot=$2 from=$3 version=$4 size=${5:-16} uuids
  rm -rf "$file" "$boot"
  truncate -s $((2 * size + 24))M "$file"
  mapfile -t uuids < <(slot_uuids "$(cat "$from/roothash")")
  sfdisk -q "$file" >/dev/null <<EOF
label: gpt
size=8M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=FLOE-BOOT
size=${size}M, type=$slot_root_type, name=floe_$version, uuid=${uuids[0]}
size=2M, type=$slot_verity_type, name=floe_${version}_verity, uuid=${uuids[1]}
size=${size}M, type=$slot_root_type, name=_empty
size=2M, type=$slot_verity_type, name=_empty
size=4M, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=floe-state
EOF
  dd if="$from/root" of="$file" bs=1M seek=9 conv=notrunc status=none
  dd if="$from/verity" of="$file" bs=1M seek=$((9 + size)) conv=notrunc status=none
  mkdir -p "$boot/EFI/Linux"
  cp "$from/uki" "$boot/EFI/Linux/floe_$version.efi"
}

# disk_label FILE NUMBER: the label of that partition.
disk_label() { sfdisk -J "$1" | jq -r ".partitiontable.partitions[$(($2 - 1))].name"; }

# verify_slot FILE HASH: by veritysetup, the partitions that HASH leads to hold what it says.
verify_slot() {
  local uuids start
  mapfile -t uuids < <(slot_uuids "$2")
  for i in 0 1; do
    start=$(sfdisk -J "$1" | jq -r ".partitiontable.partitions[] | select((.uuid | ascii_downcase) == \"${uuids[$i]}\") | \"\(.start) \(.size)\"")
    [ -n "$start" ] || return 1
    dd if="$1" of="part.$i" bs=512 skip="${start% *}" count="${start#* }" status=none
  done
  veritysetup verify part.0 part.1 "$2"
}
