#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vm-guest.sh TREE OUT INIT MODULE...: runs in a copy of TREE (tests/lib/vm.sh, vm_guest): OUT/guest.raw, a disk that boots by BIOS with the tree's
# kernel and an initrd of busybox, these modules and INIT as the first process. 64 MiB; its file system ends at 48, what lies behind is
# for what the guest has to say.
set -eu
tree=$1 out=$2 init=$3
shift 3
release=$(ls "$tree/lib/modules")
mkdir -p /initrd/bin /initrd/modules /initrd/dev /initrd/proc /initrd/sys /initrd/mnt
cp /bin/busybox /initrd/bin/
cp "$init" /initrd/init
chmod 755 /initrd/init
n=100
for module in "$@"; do
  modprobe --set-version "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' >/initrd-modules
while read -r file; do
  name=$(basename "${file%%.ko*}")
  case $file in
    *.xz) busybox xzcat "$file" ;;
    *) cat "$file" ;;
  esac >"/initrd/modules/$n-$name.ko"
  n=$((n + 1))
done </initrd-modules
(cd /initrd && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -9 >/guest-initrd

truncate -s 48M "$out/guest.raw"
mkfs.vfat -F 16 -n GUEST "$out/guest.raw" >/dev/null
syslinux --install "$out/guest.raw"
printf 'DEFAULT floe\nPROMPT 0\nLABEL floe\n  KERNEL vmlinuz\n  INITRD initrd\n  APPEND console=ttyS0 quiet loglevel=3 mitigations=off nowatchdog tsc=reliable no_timer_check vt.global_cursor_default=0 panic=-1\n' >/syslinux.cfg
mcopy -i "$out/guest.raw" "$tree/boot/vmlinuz-$release" ::vmlinuz
mcopy -i "$out/guest.raw" /guest-initrd ::initrd
mcopy -i "$out/guest.raw" /syslinux.cfg ::syslinux.cfg
truncate -s 64M "$out/guest.raw"
