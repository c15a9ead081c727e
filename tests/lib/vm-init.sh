#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of the test machine (tests/lib/vm.sh): mounts, runs the script that /exchange/command names with its output on port "output",
# leaves its status in /exchange/status, and ends the machine.
export PATH=/build/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp
export SOURCE=/source BUILD=/build WORK=/exchange
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t configfs configfs /sys/kernel/config 2>/dev/null
mkdir -p /run/lock /run/netns
ln -sf /proc/self/fd /dev/fd
echo floe-vm >/proc/sys/kernel/hostname
ip link set lo up
for port in /sys/class/virtio-ports/*; do
  case $(cat "$port/name") in
    output) output=/dev/$(basename "$port") ;;
    qmp) ln -sf "/dev/$(basename "$port")" /run/outer-qmp ;;
  esac
done
cd /exchange
bash -c "$(cat /exchange/command)" >"$output" 2>&1 </dev/null
echo $? >/exchange/status
sync
# The port's last bytes are with QEMU once the port is closed; poweroff of the kernel itself, since there is no init to ask.
exec busybox poweroff -f
