#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Time from the kernel's start to the appliance's first frame on the screen, over the time from the kernel's start to the login prompt of a plain Debian 13
# (mmdebstrap's minbase with systemd-sysv and linux-image-amd64, ext4, its own initrd, `quiet`), in the same QEMU under TCG with the same devices,
# one after the other in one run. Goal: at most 1. The first frame is what floe-console.service calls up: drawn, and taken by the compositor. The prompt is
# the moment that agetty is started on tty1. Both have a root shell on the serial line, which reads these times when all is over. FLOE_RUNS (3) starts of each,
# medians; the appliance's very first start, which makes its state, is a figure of its own. It takes a quarter of an hour of a machine that does nothing else.
NAME=boot

# plain_debian: the image, kept by the names of its packages.
plain_debian() {
  local packages=systemd-sysv,linux-image-amd64 part
  PLAIN=$FLOE_CACHE/bench-debian13-$(sha256sum <<<"1 $packages" | cut -c1-16)
  export PLAIN
  [ ! -d "$PLAIN" ] || return 0
  say 'a plain Debian 13 (some minutes the first time)'
  rm -rf "$PLAIN".part.*
  part=$(mktemp -d "$PLAIN.part.XXXXXX")
  mmdebstrap --mode=root --variant=minbase --format=directory --architectures=amd64 --include=$packages --aptopt='Acquire::Retries "5"' \
    trixie "$part/tree" >"$part/log" 2>&1 || { tail -n 15 "$part/log" >&2; die mmdebstrap; }
  cp "$SOURCE/image-builder/appliance/debug/usr/lib/systemd/system/floe-debug-shell.service" "$part/tree/etc/systemd/system/"
  mkdir -p "$part/tree/etc/systemd/system/sysinit.target.wants"
  ln -s ../floe-debug-shell.service "$part/tree/etc/systemd/system/sysinit.target.wants/floe-debug-shell.service"
  echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$part/tree/etc/fstab"
  rm -f "$part"/tree/var/cache/apt/archives/*.deb
  cp "$part"/tree/boot/vmlinuz-* "$part/vmlinuz"
  cp "$part"/tree/boot/initrd.img-* "$part/initrd"
  mke2fs -q -t ext4 -d "$part/tree" "$part/disk" 2G
  rm -r "$part/tree"
  mv -T "$part" "$PLAIN"
}
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  appliance_prepare
  plain_debian
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"

# begin NAME FIRST-UNIT: starts it, and waits until FIRST-UNIT was begun (systemd keeps that in a link that leads nowhere) and nothing is queued any more. Between two looks nothing is done inside that takes time.
begin() {
  appliance_start "$1"
  appliance_wait 1200 'the shell' '^(.*[^#])?# '
  appliance_shell "until [ -L /run/systemd/units/invocation:$2 ] && systemctl is-system-running | grep -qE 'running|degraded'; do sleep 10; done" 1500 >"$1.state" ||
    { cat "$1.state"; die "$1 does not come up"; }
}
# moment UNIT PROPERTY: seconds since the kernel's start.
moment() {
  local value
  value=$(appliance_shell "systemctl show -P $2 $1" 60 | grep -oE '[0-9]+' | tail -n 1)
  [ "${value:-0}" -gt 1000000 ] || die "$1 has no $2"
  awk -v us="$value" 'BEGIN { printf "%.1f", us / 1e6 }'
}
end() {
  appliance_shell 'systemctl poweroff' 30 >/dev/null || true
  for _ in $(seq 600); do
    kill -0 $APPLIANCE_PID 2>/dev/null || break
    sleep 0.2
  done
  appliance_stop
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

appliance_world
runs=${FLOE_RUNS:-3}
appliance_disk floe
appliance_disk debian "$PLAIN/disk" 2G
for run in $(seq 0 "$runs"); do
  APPLIANCE_ARGS=()
  begin floe floe-devices.service
  appliance_shell "journalctl -b -u floe-console | grep 'first frame is on the screen'" 60 >/dev/null || die 'no frame of the console was taken'
  seconds=$(moment floe-console.service ActiveEnterTimestampMonotonic)
  say "run $run: the appliance's first frame after $seconds s"
  if [ "$run" = 0 ]; then
    figure boot_seconds_first_start "$seconds" s
    appliance_picture boot-first-frame
  else
    echo "$seconds" >>floe.seconds
  fi
  [ "$run" != "$runs" ] || appliance_shell 'systemd-analyze time; systemd-analyze critical-chain --no-pager floe-console.service; systemd-analyze blame --no-pager | head -n 20' 300
  end
  [ "$run" != 0 ] || continue
  APPLIANCE_ARGS=(-kernel "$PLAIN/vmlinuz" -initrd "$PLAIN/initrd" -append 'root=/dev/vda ro quiet')
  begin debian getty@tty1.service
  seconds=$(moment getty@tty1.service ExecMainStartTimestampMonotonic)
  say "run $run: Debian's login prompt after $seconds s"
  echo "$seconds" >>debian.seconds
  [ "$run" != "$runs" ] || appliance_shell 'systemd-analyze time; systemd-analyze critical-chain --no-pager getty@tty1.service; systemd-analyze blame --no-pager | head -n 20' 300
  end
done
floe=$(median floe.seconds) debian=$(median debian.seconds)
figure boot_seconds "$floe" s
figure boot_seconds_debian "$debian" s
figure boot_ratio "$(awk -v f="$floe" -v d="$debian" 'BEGIN { printf "%.2f", f / d }')"
