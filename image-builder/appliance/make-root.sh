#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make-root.sh VERSION SLOT FIRMWARE DEBUG: runs in a copy of the tree that the root is taken from (build-appliance): our package, our files, settings.
# What is made here and named by `contents` is in the image.
set -euo pipefail
version=$1 firmware=$3 debug=$4

# Unmet dependencies are an error: an image with half of what a program needs is found out now.
dpkg --path-include='*' -i /exchange/in/endpoint.deb
# No modes of a checkout's: they are as whoever made it has his umask.
cp -r --no-preserve=mode,ownership /parts/root/. /
[ -z "$debug" ] || cp -r --no-preserve=mode,ownership /parts/debug/. /

cat >/usr/lib/os-release <<TXT
PRETTY_NAME="Floe $version${debug:+ (debug)}"
NAME="Floe"
ID=floe
ID_LIKE=debian
VERSION_ID=$version
IMAGE_ID=floe
IMAGE_VERSION=$version
VARIANT_ID=$([ -n "$debug" ] && echo debug || echo release)
TXT
ln -sf ../usr/lib/os-release /etc/os-release
echo floe >/etc/hostname
printf '127.0.0.1 localhost floe\n::1 localhost\n' >/etc/hosts
: >/etc/machine-id
rm -f /etc/resolv.conf
ln -s ../run/systemd/resolve/resolv.conf /etc/resolv.conf
rm -rf /etc/floe
ln -s ../var/lib/floe/etc /etc/floe
mkdir -p /usr/share/floe
[ ! -e /exchange/in/root.json ] || install -m 644 /exchange/in/root.json /usr/share/floe/root.json
# No name has a password, and no program asks for one.
sed -i -E 's/^([^:]*):[^:]*:/\1:x:/; s,:[^:]*$,:/usr/sbin/nologin,' /etc/passwd
for file in sysctl modprobe; do
  [ ! -e /usr/share/floe/appliance/$file.conf ] || install -D -m 644 /usr/share/floe/appliance/$file.conf /usr/lib/$file.d/90-floe-appliance.conf
done

# Which units start: a link each. Whatever Debian's packages wanted is not in the image.
system=/usr/lib/systemd/system
wants() {
  mkdir -p $system/$1
  for unit in "${@:2}"; do ln -sf ../"${unit}" "$system/$1/$unit"; done
}
rm -rf $system/*.wants $system/*.requires /etc/systemd/system/*
ln -sf multi-user.target $system/default.target
wants sysinit.target.requires floe-state.service
wants sysinit.target.wants systemd-journald.service systemd-journal-flush.service systemd-udevd.service floe-screen-devices.service \
  systemd-modules-load.service systemd-sysctl.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service \
  systemd-tmpfiles-setup-dev-early.service systemd-random-seed.service systemd-pcrphase-sysinit.service systemd-pcrphase.service \
  kmod-static-nodes.service
wants sockets.target.wants systemd-journald.socket systemd-journald-dev-log.socket systemd-udevd-control.socket systemd-udevd-kernel.socket \
  systemd-networkd.socket dbus.socket
wants timers.target.wants systemd-tmpfiles-clean.timer
wants multi-user.target.wants systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-logind.service dbus.service \
  floe-kvm.service floe-devices.service floe.target
# The screen waits for none of these: nothing that starts early looks names up, wants to know the time, needs the modules that floe-hypervisord
# waits for, or yesterday's journal.
for unit in resolved timesyncd modules-load; do sed -i '/^Before=/s/sysinit.target //' $system/systemd-$unit.service; done
sed -i '/^Before=/s/systemd-tmpfiles-setup.service//' $system/systemd-journal-flush.service
# None of our settings is a module's.
sed -i '/^After=/s/systemd-modules-load.service//' $system/systemd-sysctl.service
# While much starts at once, what somebody in front of the screen waits for comes first, and what runs for no one yet comes last.
first() {
  local weight=$1 unit; shift
  for unit in "$@"; do
    mkdir -p "$system/$unit.service.d"
    printf '[Service]\nStartupCPUWeight=%s\nStartupIOWeight=%s\n' "$weight" "$weight" >"$system/$unit.service.d/first.conf"
  done
}
first 10000 floe-state floe-console seatd dbus systemd-udevd systemd-sysctl systemd-tmpfiles-setup systemd-pcrphase-sysinit
first 1 floe-kvm floe-install floe-agent systemd-modules-load systemd-journal-flush systemd-random-seed systemd-networkd systemd-resolved \
  systemd-timesyncd systemd-logind polkit
# There is no network before floe-devices has had its cards looked at. Begun earlier and left without a processor until then, networkd was more than half a minute
# over its first words to the bus, was cut off by it, and stayed without: nobody was told of the lease.
for unit in networkd resolved; do
  printf '[Unit]\nAfter=floe-console.service\n' >"$system/systemd-$unit.service.d/later.conf"
done
# Nor is anybody else cut off who is slow: a unit has five minutes to start.
cat >/usr/share/dbus-1/system.d/floe-appliance.conf <<'XML'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <limit name="auth_timeout">300000</limit>
</busconfig>
XML
: >/usr/lib/clock-epoch
[ -z "$debug" ] || wants sysinit.target.wants floe-debug-shell.service
# Without Mesa in the image there is nothing to choose.
if [ -z "$firmware" ]; then
  mkdir -p $system/floe-console.service.d
  printf '[Service]\nEnvironment=WLR_RENDERER=pixman\n' >$system/floe-console.service.d/pixman.conf
fi

# Caches that programs would make for themselves, or do without, at each start.
# /var is the state partition: what is made here lies elsewhere.
sed -i 's,<cachedir>/var/cache/fontconfig</cachedir>,<cachedir>/usr/share/fontconfig/cache</cachedir>,' /etc/fonts/fonts.conf
mkdir -p /usr/share/fontconfig/cache
# fontconfig looks whether its directories are as old as it has noted: all have one time in the image.
find /usr/share/fonts -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
fc-cache -s >/dev/null 2>&1 || true
rm -f /var/cache/ldconfig/aux-cache
ldconfig
