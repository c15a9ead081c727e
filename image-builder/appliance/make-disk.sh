#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make-disk.sh VERSION SLOT FIRMWARE DEBUG: runs in a copy of the tree with the tools, the root's tree at /tree (build-appliance). Makes /exchange/out/{root,
# root.verity,floe.efi,disk,manifest}. Every time, UUID, salt and number is given: the same inputs are the same bits.
set -euo pipefail
shopt -s nullglob
version=$1 slot_mib=${2%M} firmware=$3 debug=$4
out=/exchange/out
# uuid WORDS: 32 digits of their digest as a UUID; the same words give the same one.
uuid() { printf '%s' "floe $version $*" | sha256sum | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/'; }
as_uuid() { sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' <<<"$1"; }

# Of firmware, what the selected drivers ask for by name; iwlwifi names the newest version that it knows, and takes older ones.
cp /parts/contents /exchange/contents
if [ -n "$firmware" ]; then
  python3 /parts/select.py /tree /parts/contents firmware | sed -n '/\.ko\.xz$/s,^,/tree/,p' | xargs modinfo -F firmware |
    sed -E 's/^(iwlwifi-.*-)[0-9]+\.ucode$/\1*.ucode/; s,^,?usr/lib/firmware/,' | LC_ALL=C sort -u >/exchange/firmware
  { echo '[firmware]'; cat /exchange/firmware; } >>/exchange/contents
fi
# The root: what `contents` names, and empty places to mount on.
python3 /parts/select.py /tree /exchange/contents ${firmware:+firmware} ${debug:+debug} >/exchange/selected
mkdir /root-image
tar -C /tree --no-recursion -T /exchange/selected -cf - | tar -C /root-image -xpf -
for directory in boot dev proc run sys tmp var etc; do mkdir -p "/root-image/$directory"; done
rm -rf /root-image/var/*
# Units with a /tmp of their own that start before the state is mounted want this, and begin again and again without it.
mkdir -p -m 1777 /root-image/var/tmp
for name in bin sbin lib lib64; do ln -sfn usr/$name /root-image/$name; done
release=$(basename /root-image/usr/lib/modules/*)
# What the file system compresses is cheaper to read than what it stores of xz; the module's signature is inside.
find "/root-image/usr/lib/modules/$release" -name '*.ko.xz' -exec xz -d {} +
# Only what is left is known to modprobe.
depmod -b /root-image "$release"
# What floe-install puts on another disk's boot partition comes from the verified root, and what it cannot have, the kernel image that names the root, is
# judged by the certificate there.
sign() { faketime -f "$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S')" "$@"; }
sign sbsign --key /exchange/sign.key --cert /exchange/sign.crt --output /exchange/boot.efi /usr/lib/systemd/boot/efi/systemd-bootx64.efi
printf 'timeout menu-disabled\neditor no\nauto-entries no\nauto-firmware no\nsecure-boot-enroll off\n' >/exchange/loader.conf
for file in boot.efi:BOOTX64.EFI loader.conf:loader.conf sign.crt:sign.crt; do
  install -D -m 644 "/exchange/${file%:*}" "/root-image/usr/share/floe/boot/${file#*:}"
done
# efi_list VARIABLE KEY FILE...: one of firmware's lists, signed by KEY. Not with the script's directory, whose select.py is not the one that Python's modules mean.
efi_list() { python3 -P /parts/efi-lists.py "$1" 3c8d2f6e-9d0b-4d55-8a0e-7a1f0c5b6e21 "$SOURCE_DATE_EPOCH" "/exchange/$2.key" "/exchange/$2.crt" "${@:3}"; }
# Older versions that firmware is to start no more, as an append to its list of what is forbidden, signed for it (UEFI 2.10, 8.2.2 and 32.4.1). floe-slot hands
# it over once this version was found good.
revoked=(/exchange/in/revoked/*.efi)
if [ ${#revoked[@]} -gt 0 ]; then
  efi_list dbx kek "${revoked[@]}" >/root-image/usr/share/floe/boot/dbx.auth
  chmod 644 /root-image/usr/share/floe/boot/dbx.auth
fi
find /root-image/usr/share/floe/boot -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
chmod 755 /root-image
chmod 1777 /root-image/tmp
mkfs.erofs --quiet -zlz4hc,9 -C65536 -Eztailpacking -T"$SOURCE_DATE_EPOCH" -U"$(uuid root)" $out/root /root-image
salt=$(printf '%s' "floe $version salt" | sha256sum | cut -c1-64)
truncate -s %4096 $out/root
veritysetup format --hash=sha256 --data-block-size=4096 --hash-block-size=4096 --salt="$salt" --uuid="$(uuid verity)" $out/root $out/root.verity >/exchange/verity
hash=$(sed -n 's/^Root hash:[[:space:]]*//p' /exchange/verity)
blocks=$(($(stat -c %s $out/root) / 4096))

# The initrd: floe-start and the drivers of disks with all that they need, uncompressed inside and numbered in their order.
initrd=/initrd
mkdir -p $initrd/modules
install -m 755 /tree/usr/libexec/floe/floe-start $initrd/init
number=100
while read -r file; do
  module=$(basename "${file%.ko*}")
  case $file in
    *.xz) xz -dc "$file" ;;
    *) cat "$file" ;;
  esac >"$initrd/modules/$number-$module.ko"
  number=$((number + 1))
done < <(for module in efivarfs erofs dm_verity virtio_blk virtio_scsi ahci ata_piix nvme vmd sd_mod xhci_pci ehci_pci usb_storage uas sdhci_pci sdhci_acpi mmc_block; do
  modprobe -d /tree --set-version "$release" --show-depends $module | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++')
find $initrd -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd $initrd && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0) | zstd -q -19 -T1 >/exchange/initrd

# Processors get their microcode before anything else runs (the kernel's admin-guide/x86/microcode).
microcode=()
if [ -n "$firmware" ]; then
  mkdir -p /microcode/kernel/x86/microcode
  cat /tree/usr/lib/firmware/intel-ucode/??-??-?? >/microcode/kernel/x86/microcode/GenuineIntel.bin
  cat /tree/usr/lib/firmware/amd-ucode/microcode_amd*.bin >/microcode/kernel/x86/microcode/AuthenticAMD.bin
  find /microcode -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd /microcode && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0) >/exchange/microcode
  microcode=(--microcode=/exchange/microcode)
fi

# The command line, locked: with Secure Boot systemd-stub takes no other.
{
  echo "roothash=$hash floe.verity=$blocks:$salt"
  # Reasons of the kernel's are printed; what is routine is not.
  if [ -n "$debug" ]; then echo 'console=ttyS0,115200 console=tty0 loglevel=6'; else echo 'console=tty0 quiet loglevel=2'; fi
  # Nothing from outside: credentials, units, partitions by their type, another root.
  echo 'systemd.import_credentials=no systemd.gpt_auto=no systemd.getty_auto=no module.sig_enforce=1 vt.global_cursor_default=0'
  sed -E '/^#/d' /tree/usr/share/floe/appliance/cmdline 2>/dev/null
} | paste -sd' ' | tr -d '\n' >/exchange/cmdline
openssl pkey -in /exchange/sign.key -pubout -out /exchange/sign.pub
# The TPM's policy is signed for one phase, which floe-state.service begins and systemd-pcrphase-sysinit ends: no later program opens the state.
sign ukify build --linux="/tree/boot/vmlinuz-$release" ${microcode[@]+"${microcode[@]}"} --initrd=/exchange/initrd --cmdline=@/exchange/cmdline --os-release=@/root-image/usr/lib/os-release \
  --uname="$release" --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub --pcr-private-key=/exchange/sign.key --pcr-public-key=/exchange/sign.pub --phases=enter-initrd \
  --pcr-banks=sha256 --signtool=sbsign --secureboot-private-key=/exchange/sign.key --secureboot-certificate=/exchange/sign.crt --output=$out/floe.efi

# The boot partition.
esp=/exchange/esp esp_mib=160
truncate -s ${esp_mib}M $esp
mkfs.vfat --invariant -F 32 -S 512 -s 1 -i "$(uuid esp | cut -c1-8)" -n FLOE-BOOT $esp >/dev/null
put() { touch -d "@$SOURCE_DATE_EPOCH" "$1"; mcopy -m -i $esp "$1" "::$2"; }
mmd -i $esp ::/EFI ::/EFI/BOOT ::/EFI/Linux ::/loader
put /exchange/boot.efi /EFI/BOOT/BOOTX64.EFI
put $out/floe.efi "/EFI/Linux/floe_$version+3.efi"
# Firmware in setup mode takes keys from anybody; systemd-boot gives it those that lie here. Only on the image: what floe-install writes starts on a PC that has them.
if [ -e /exchange/pk.key ]; then
  efi_list db kek /exchange/sign.crt /exchange/in/trusted/*.crt >/exchange/db.auth
  efi_list KEK pk /exchange/kek.crt >/exchange/KEK.auth
  efi_list PK pk /exchange/pk.crt >/exchange/PK.auth
  mmd -i $esp ::/loader/keys ::/loader/keys/auto
  for list in db KEK PK; do put /exchange/$list.auth /loader/keys/auto/$list.auth; done
  sed -i 's/^secure-boot-enroll off$/secure-boot-enroll force/' /exchange/loader.conf
fi
put /exchange/loader.conf /loader/loader.conf

# The disk: types by the Discoverable Partitions Specification, UUIDs of the first slot by the root hash.
tree_mib=$(((slot_mib / 100 + 8) / 4 * 4))
[ $((blocks / 256 + 1)) -le "$slot_mib" ] || { echo "the root file system has $((blocks / 256)) MiB: --slot-size $slot_mib is too small"; exit 1; }
data=4f68bce3-e8cd-4db1-96e7-fbcaf984b709 verity=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5
begin_a=$((1 + esp_mib)) begin_at=$((1 + esp_mib + slot_mib)) begin_b=$((1 + esp_mib + slot_mib + tree_mib))
begin_bt=$((begin_b + slot_mib)) total=$((1 + esp_mib + 2 * (slot_mib + tree_mib) + 1))
truncate -s ${total}M $out/disk
sfdisk --quiet $out/disk <<TXT
label: gpt
label-id: $(uuid disk)
first-lba: 2048
start=1MiB, size=${esp_mib}MiB, type=uefi, uuid=$(uuid boot), name=FLOE-BOOT
start=${begin_a}MiB, size=${slot_mib}MiB, type=$data, uuid=$(as_uuid "$hash"), name=floe_$version
start=${begin_at}MiB, size=${tree_mib}MiB, type=$verity, uuid=$(as_uuid "${hash:32}"), name=floe_${version}_verity
start=${begin_b}MiB, size=${slot_mib}MiB, type=$data, uuid=$(uuid empty), name=_empty
start=${begin_bt}MiB, size=${tree_mib}MiB, type=$verity, uuid=$(uuid empty verity), name=_empty
TXT
dd if=$esp of=$out/disk bs=1M seek=1 conv=notrunc,sparse status=none
dd if=$out/root of=$out/disk bs=1M seek=$begin_a conv=notrunc,sparse status=none
dd if=$out/root.verity of=$out/disk bs=1M seek=$begin_at conv=notrunc,sparse status=none
# Every file with digest and size: two builds that differ say where, and somebody with the image can look whether it is what was built.
(cd /root-image && find . -type f -printf '%s %P\n') | LC_ALL=C sort -k2 >/exchange/files
(cd /root-image && cut -d' ' -f2- /exchange/files | tr '\n' '\0' | xargs -0 sha256sum --zero | tr '\0' '\n' | cut -c1-64) >/exchange/digests
{
  echo "version=$version"
  echo "roothash=$hash"
  echo "kernel=$release"
  echo "cmdline=$(cat /exchange/cmdline)"
  echo "initrd_bytes=$(stat -c %s /exchange/initrd)"
  echo "root_bytes=$(stat -c %s $out/root)"
  echo "revoked=${#revoked[@]}"
  echo "enrolls=$([ -e /exchange/pk.key ] && echo 1 || echo 0)"
  echo 'files:'
  paste -d' ' /exchange/digests /exchange/files
} >$out/manifest
