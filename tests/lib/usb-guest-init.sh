#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of the guest in tests of USB: looks at its USB devices and disks without end, tries to read and write each disk once, and says
# what it has seen in its own disk, 56 MiB in, where tests/lib/usb-inside.sh looks.
/bin/busybox --install -s /bin
PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod $module 2>/dev/null; done
text() { tr -d '\n\0' <"$1" 2>/dev/null | tr -c 'A-Za-z0-9._:-' '_' || true; }
# tried NAME: what came of the disk: its greeting, and whether it could be written.
tried() {
  mount -t vfat -o ro /dev/$1 /mnt 2>/dev/null || { echo 'not mounted'; return; }
  greeting=$(cat /mnt/hello.txt 2>/dev/null)
  umount /mnt
  written=refused
  # Past the file system too: what write protection there is must not be the file system's.
  if mount -t vfat -o rw,sync /dev/$1 /mnt 2>/dev/null; then
    (echo "from the guest" >/mnt/written.txt) 2>/dev/null && sync && written=file
    umount /mnt
  fi
  if blockdev --setrw /dev/$1 2>/dev/null && dd if=/dev/zero of=/dev/$1 bs=512 seek=2047 count=1 conv=notrunc,fsync 2>/dev/null; then
    written=$written+sector
  fi
  echo "greeting $greeting written $written"
}
round=0
mkdir /seen
while :; do
  {
    round=$((round + 1))
    echo "FLOEGUEST $round"
    for device in /sys/bus/usb/devices/*-*; do
      case $device in *:*) continue ;; esac
      [ -e $device/idVendor ] && echo "device $(text $device/idVendor):$(text $device/idProduct) $(text $device/serial) end"
    done
    for disk in /sys/block/sd* /sys/block/vd[b-z]; do
      [ -e $disk/size ] || continue
      name=${disk##*/} key=$(text $disk/diskseq)
      [ "$(cat $disk/size)" != 0 ] || continue
      [ -e /seen/$key ] || tried $name >/seen/$key
      echo "disk $(cat $disk/size) ro $(cat $disk/ro) $(cat /seen/$key) end"
    done
    ls /sys/class/net | grep -v '^lo$' | sed 's/^/net /'
    echo "inputs $(ls /sys/class/input | grep -c '^input')"
    echo FLOEEND
  } >/report
  dd if=/report of=/dev/vda bs=65536 seek=896 count=1 conv=notrunc,sync,fsync 2>/dev/null
  sleep 1
done
