#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usb-guests-inside.sh PARTS: inside the test machine, for tests/host/usb-guests.sh.
. /source/tests/lib/usb-inside.sh
. /source/tests/lib/usb-hostile.sh
. /source/tests/lib/usb-guests.sh

usb_witness_start
usb_modules
# A processor that waits in a loop for its guest's next interrupt is not there for anybody else.
echo 0 >/sys/module/kvm/parameters/halt_poll_ns
usb_bus
usb_endpoint
hostile_faces
usb_daemon_start
for part in $1; do
  begun=$SECONDS
  $part || fails "$part ended early"
  say "$part: $((SECONDS - begun)) s"
done
usb_witness_judge
figure usb_guest_cases $CASES
figure usb_guest_wrong_allows "$WRONG"
figure usb_guest_early_binds "$EARLY"
say "$CONNECTIONS connections in all"
[ $FAILURES = 0 ] && [ "$EARLY" = 0 ] && [ "$WRONG" = 0 ]
