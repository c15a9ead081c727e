#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vm-initrd.sh TREE OUT MODULE...: runs in a copy of TREE (tests/lib/vm.sh): OUT/vmlinuz, OUT/initrd, which mounts the root and hands over to
# tests/lib/vm-init.sh, and OUT/root.erofs, all of TREE.
set -eu
tree=$1 out=$2
shift 2
release=$(ls "$tree/lib/modules")
cp "$tree/boot/vmlinuz-$release" "$out/vmlinuz"
mkfs.erofs -E noinline_data "$out/root.erofs" "$tree" >/dev/null

mkdir -p /initrd/bin /initrd/modules /initrd/dev /initrd/proc /initrd/sys /initrd/lower /initrd/over /initrd/root
cp /bin/busybox /initrd/bin/
n=100
for module in "$@"; do
  modprobe --set-version "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' >/initrd-modules
while read -r file; do
  name=$(basename "${file%%.ko*}")
  case $file in
    *.xz) busybox xzcat "$file" ;;
    *.zst) zstd -dcq "$file" ;;
    *) cat "$file" ;;
  esac >"/initrd/modules/$n-$name.ko"
  n=$((n + 1))
done </initrd-modules
cat >/initrd/init <<'SH'
#!/bin/busybox sh
/bin/busybox --install -s /bin
PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for module in /modules/*; do insmod $module || echo "no $module"; done
fail() { echo "initrd: $*"; sleep 1; poweroff -f; }
# A disk is there when its driver has looked at it, a moment after that was loaded.
until [ -b /dev/vda ]; do sleep 0.05; done
mount -t erofs -o ro /dev/vda /lower || fail root
mount -t tmpfs -o size=75% tmpfs /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work overlay /root || fail overlay
mkdir -p /root/source /root/build /root/exchange
options=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o ro,cache=loose,$options source /root/source || fail source
mount -t 9p -o ro,cache=loose,$options build /root/build || fail build
mount -t 9p -o cache=mmap,$options exchange /root/exchange || fail exchange
mount --move /dev /root/dev
umount /proc
exec switch_root /root /bin/bash /source/tests/lib/vm-init.sh
SH
chmod 755 /initrd/init
(cd /initrd && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$out/initrd"
