#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of the guest in tests of USB: looks at its USB devices and disks without end, tries to read and write each disk once, reads on
# in it as long as it is there, and says
# what it has seen in its own disk, 56 MiB in, where tests/lib/usb-inside.sh looks.
/bin/busybox --install -s /bin
PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*; do insmod $module 2>/dev/null; done
# text FILE: its line, in TEXT; without a fork, which under emulation within emulation costs more than all the rest.
text() {
  TEXT=
  { read -r TEXT <"$1"; } 2>/dev/null
  case $TEXT in *[!A-Za-z0-9._:-]*) TEXT=_ ;; esac
}
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
# used NAME KEY: reads a sector of the disk, past all caches, for as long as that works.
used() {
  reads=0
  while dd if=/dev/$1 of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; do
    reads=$((reads + 1))
    echo "use $2 reading $reads end" >/seen/use-$2
    sleep 1
  done
  echo "use $2 broke off after $reads" >/seen/use-$2
}
round=0
mkdir /seen
while :; do
  {
    round=$((round + 1))
    echo "FLOEGUEST $round"
    for device in /sys/bus/usb/devices/*-*; do
      case $device in *:*) continue ;; esac
      [ -e $device/idVendor ] || continue
      text $device/idVendor
      id=$TEXT
      text $device/idProduct
      id=$id:$TEXT
      text $device/serial
      echo "device $id $TEXT end"
    done
    for disk in /sys/block/sd* /sys/block/vd[b-z]; do
      [ -e $disk/size ] || continue
      text $disk/diskseq
      key=$TEXT name=${disk##*/}
      text $disk/size
      [ "$TEXT" != 0 ] || continue
      if [ ! -e /seen/$key ]; then
        tried $name >/seen/$key
        used $name $key </dev/null >/dev/null 2>&1 &
      fi
      size=$TEXT
      text $disk/ro
      read -r seen </seen/$key
      echo "disk $size ro $TEXT $seen end"
    done
    for use in /seen/use-*; do
      if read -r seen <$use; then echo "$seen"; fi
    done 2>/dev/null
    for net in /sys/class/net/*; do
      [ ${net##*/} = lo ] || echo "net ${net##*/}"
    done
    set -- /sys/class/input/input*
    [ -e "$1" ] || set --
    echo "inputs $#"
    echo FLOEEND
  } >/report
  dd if=/report of=/dev/vda bs=65536 seek=896 count=1 conv=notrunc,sync,fsync 2>/dev/null
  sleep 1
done
