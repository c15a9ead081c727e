#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-image import: each format that other products export arrives bit for bit; an image that names other files of this host, or is not
# what it says, is refused in one clear line before anything is written.
. "$(dirname "$0")/../lib/host.sh"
need qemu-img
need tar

mib=$((1 << 20))
{ head -c $((3 * mib)) /dev/urandom; head -c $((2 * mib)) "$(command -v qemu-system-x86_64)"; } >disk.raw
truncate -s $((16 * mib)) disk.raw
formats=0 refused=0

accepts() { # FILE [OPTION...]
  local file=$1; shift
  rm -f out.raw
  floe-image import "$@" "$file" out.raw >said 2>&1 || die "$file was refused: $(cat said)"
  cmp -n "$(stat -c %s disk.raw)" disk.raw out.raw || die "$file arrived as something else"
  # What a format rounds the size up by is zeros.
  [ "$(stat -c %s out.raw)" -lt $((20 * mib)) ] || die "$file became too large"
  tail -c +$((16 * mib + 1)) out.raw | cmp -n "$(($(stat -c %s out.raw) - 16 * mib))" - /dev/zero || die "$file ends in something"
  formats=$((formats + 1))
}
refuses() { # PATTERN FILE [OPTION...]
  local pattern=$1 file=$2; shift 2
  rm -f out.raw
  if floe-image import "$@" "$file" out.raw >said 2>&1; then die "$file was accepted"; fi
  [ "$(wc -l <said)" = 1 ] || die "$file: not one line: $(cat said)"
  grep -q -- "$pattern" said || die "$file: '$pattern' wanted: $(cat said)"
  [ "$(ls out.raw* 2>/dev/null)" = '' ] || die "$file: left $(ls out.raw*)"
  refused=$((refused + 1))
}

say 'every format'
for pair in qcow2:qcow2 vmdk:vmdk vpc:vhd vhdx:vhdx vdi:vdi; do
  qemu-img convert -O "${pair%:*}" disk.raw "disk.${pair#*:}"
  accepts "disk.${pair#*:}"
done
qemu-img convert -O vmdk -o subformat=streamOptimized disk.raw stream.vmdk
qemu-img convert -c -O qcow2 disk.raw small.qcow2
qemu-img convert -O vpc -o subformat=fixed disk.raw fixed.vhd
accepts stream.vmdk; accepts small.qcow2; accepts fixed.vhd; accepts disk.raw
cp disk.qcow2 'with:colon,and=signs'
accepts 'with:colon,and=signs' --format qcow2

ovf() { # DISK... as a descriptor
  echo '<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>'
  for disk; do echo "<File ovf:id=\"id-$disk\" ovf:href=\"$disk\" ovf:size=\"1\"/>"; done
  echo '</References><DiskSection><Info>disks</Info>'
  for disk; do echo "<Disk ovf:diskId=\"$disk\" ovf:fileRef=\"id-$disk\" ovf:capacity=\"16\" ovf:capacityAllocationUnits=\"byte * 2^20\"/>"; done
  echo '</DiskSection></Envelope>'
}
ova() { local name=$1; shift; tar --format=ustar -cf "$name" "$@"; }
ovf stream.vmdk >machine.ovf
ova machine.ova machine.ovf stream.vmdk
accepts machine.ova

say 'images that name other files'
echo 'secret of the host' >secret; truncate -s 1M secret
qemu-img create -q -f qcow2 -b disk.raw -F raw backed.qcow2
refuses 'backing file' backed.qcow2
qemu-img create -q -f qcow2 -o data_file=secret,data_file_raw=on external.qcow2 1M
refuses 'another file' external.qcow2
printf '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "secret" 0\n' >flat.vmdk
refuses 'other files' flat.vmdk
qemu-img create -q -f vmdk -b disk.vmdk -F vmdk delta.vmdk
refuses 'other files' delta.vmdk
cp disk.qcow2 renamed.vmdk; refuses 'not a VMDK' renamed.vmdk
cp disk.raw renamed.qcow2; refuses 'not a qcow2' renamed.qcow2
cp disk.raw renamed.vhdx; refuses 'not a VHDX' renamed.vhdx
cp disk.raw renamed.vdi; refuses 'not a VDI' renamed.vdi
refuses 'not a VHD' disk.raw --format vhd
for cut in qcow2 vmdk vhdx vdi vhd; do
  head -c $((4 * mib)) "disk.$cut" >"cut.$cut"; refuses 'cut short\|Could not open' "cut.$cut"
done
qemu-img create -q -f qcow2 huge.qcow2 1T; refuses '256 at most' huge.qcow2
refuses 'no known format' "$0"
refuses 'no known format' disk.raw --format elf
refuses 'missing' missing.qcow2
: >empty.raw; refuses 'no size' empty.raw

say 'an image whose content looks like another format is taken as what it was said to be'
cp disk.raw guest.raw; dd if=backed.qcow2 of=guest.raw bs=64k count=1 conv=notrunc status=none
floe-image import guest.raw out.raw >/dev/null
cmp guest.raw out.raw

say 'hostile archives'
ln -s "$WORK/secret" link.vmdk; ovf link.vmdk >machine.ovf; ova link.ova machine.ovf link.vmdk
refuses 'links are not followed' link.ova
ovf ../secret >machine.ovf; ova up.ova machine.ovf; refuses 'plain name' up.ova
ovf /etc/shadow >machine.ovf; ova absolute.ova machine.ovf; refuses 'plain name' absolute.ova
mkdir -p sub; cp stream.vmdk sub/; ovf stream.vmdk >machine.ovf; ova path.ova machine.ovf sub/stream.vmdk; refuses 'a path' path.ova
ova missing.ova machine.ovf; refuses 'not in the archive' missing.ova
ova order.ova stream.vmdk machine.ovf; refuses 'first member' order.ova
ova twice.ova machine.ovf stream.vmdk stream.vmdk 2>/dev/null; tar --format=ustar --hard-dereference -rf twice.ova stream.vmdk
refuses . twice.ova
cp disk.vmdk second.vmdk; ovf stream.vmdk second.vmdk >machine.ovf; ova two.ova machine.ovf stream.vmdk second.vmdk
refuses 'more than one disk' two.ova
ovf flat.vmdk >machine.ovf; ova flat.ova machine.ovf flat.vmdk; refuses 'other files' flat.ova
head -c 5000 machine.ova >cut.ova; refuses 'cut off' cut.ova
printf '<Envelope><References>' >machine.ovf; ova bad.ova machine.ovf; refuses 'machine.ovf' bad.ova
{ echo '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Envelope><x>&b;</x></Envelope>'; } >machine.ovf
ova entities.ova machine.ovf; refuses 'machine.ovf' entities.ova
head -c $((2 * mib)) /dev/zero >machine.ovf; ova long.ova machine.ovf; refuses 'at most' long.ova
cp disk.raw noise.ova; refuses 'not a tar' noise.ova

say 'a full disk'
mkdir small; mount -t tmpfs -o size=2m tmpfs small
if floe-image import disk.qcow2 small/out.raw >said 2>&1; then die 'more than the disk holds was written'; fi
grep -qi 'no space' said || die "a full disk is not named: $(cat said)"
[ -z "$(ls -A small)" ] || die "left: $(ls -A small)"
umount small

figure import_formats "$formats"
figure import_refusals "$refused"
