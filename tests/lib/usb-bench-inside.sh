#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside the test machine, for tests/benchmarks/usb.sh. Both times are on the monotonic clock, from the moment in which the kernel announces the
# device (usb_new_device) on; the device is not authorised yet, so there are no interfaces and no drivers in either.
. /source/tests/lib/usb-inside.sh
. /source/tests/lib/usb-hostile.sh

ROUNDS=20
usb_witness_start
modprobe vhci_hcd
usb_bus
usb_endpoint
usb_daemon_start
face good "device $(device 0x0a01 0 1)" "$fine" "${words[@]}"
is_authorised() { authorised "$GADGET"; }
for _ in $(seq $ROUNDS); do
  gadget 0 /run/good.face
  until_so 60 'the verdict' is_authorised
  gadget_pull
done
pause 1
# What was announced and then authorised, in microseconds.
usb_events | awk '$3 == "new" { begun[$4] = $1 } $3 == "authorize" && $4 in begun { printf "%d\n", ($1 - begun[$4]) * 1e6; delete begun[$4] }' >/run/verdicts

usb_daemon_stop
/usr/lib/systemd/systemd-udevd --daemon
udevadm monitor --udev --subsystem-match=usb >/run/udev.log 2>&1 &
pause 2
mark=$(usb_events | grep -c ' new ')
udev_has() { slurp /run/udev.log; [[ ${SLURPED##*"add "} == *"/$GADGET "* && $(grep -c 'UDEV.*add' /run/udev.log) -gt $1 ]]; }
for n in $(seq 0 $((ROUNDS - 1))); do
  gadget 0 /run/good.face
  until_so 60 'udev' udev_has "$n"
  gadget_pull
  pause 0.3
done
pause 1
usb_events ' new ' | tail -n "+$((mark + 1))" | awk '{ print $1 }' >/run/begun
sed -nE 's/^UDEV +\[([0-9.]+)\] add .*\/[0-9]+-[0-9]+ \(usb\)$/\1/p' /run/udev.log >/run/processed
paste /run/begun /run/processed | awk 'NF == 2 { printf "%d\n", ($2 - $1) * 1e6 }' >/run/udevs

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for what in verdicts udevs; do
  [ "$(wc -l </run/$what)" = $ROUNDS ] || die "$(wc -l </run/$what) times of $what, $ROUNDS wanted"
  say "$what, in microseconds: $(sort -n /run/$what | tr '\n' ' ')"
done
figure usb_verdict_us "$(median /run/verdicts)" us
figure usb_udev_us "$(median /run/udevs)" us
figure usb_verdict_ratio "$(awk -v a="$(median /run/verdicts)" -v b="$(median /run/udevs)" 'BEGIN { printf "%.2f", a / b }')"
