#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# systemd-start.sh TREE EXCHANGE SOURCE SCRIPT: the first process of new namespaces (tests/lib/systemd.sh): lays a layer in memory over TREE, mounts
# what systemd wants to find, and becomes systemd.
set -euo pipefail
tree=$1 exchange=$2 source=$3 script=$4
root=/run/systemd-root
mkdir -p /run/systemd-layer $root
mount -t tmpfs -o mode=755,size=3g tmpfs /run/systemd-layer
mkdir /run/systemd-layer/{upper,work}
mount -t overlay -o "lowerdir=$tree,upperdir=/run/systemd-layer/upper,workdir=/run/systemd-layer/work" overlay $root
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $root/dev
mkdir $root/dev/{net,pts,shm}
for node in null zero full random urandom tty net/tun kvm; do
  [ -e /dev/$node ] || continue
  : >$root/dev/$node
  mount --bind /dev/$node $root/dev/$node
done
mount -t devpts -o newinstance,ptmxmode=666 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
mount -t tmpfs -o mode=755 tmpfs $root/run
mkdir -p $root/source $root/exchange $root/before
mount --bind "$source" $root/source
mount -o remount,ro,bind $root/source
mount --bind "$exchange" $root/exchange

: >$root/etc/fstab
touch $root/etc/.updated $root/var/.updated
units=$root/etc/systemd/system
for unit in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-modules-load.service \
  systemd-sysctl.service kmod-static-nodes.service systemd-logind.service getty.target console-getty.service seatd.service systemd-timesyncd.service \
  systemd-networkd.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service; do
  ln -sf /dev/null $units/$unit
done
cat >$units/floe-test.service <<UNIT
[Unit]
After=basic.target dbus.socket
[Service]
Type=exec
Environment=SOURCE=/source FLOE_PATIENCE=$FLOE_PATIENCE WORK=/exchange TMPDIR=/tmp HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
WorkingDirectory=/exchange
ExecStart=/bin/sh -c 'bash /source/$script >/exchange/output 2>&1 </dev/null; echo \$\$? >/exchange/status.new; mv /exchange/status.new /exchange/status'
UNIT
mkdir -p $units/multi-user.target.wants
ln -sf ../floe-test.service $units/multi-user.target.wants/floe-test.service
ln -sf /usr/lib/systemd/system/multi-user.target $units/default.target

cd $root
pivot_root . before
umount -l /before
# A container to systemd: what is the kernel's stays as it is.
exec env -i container=floe PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd --log-target=journal --log-level=notice </dev/null
