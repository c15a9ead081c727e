#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Devices that come and go as fast as they can while hypervisord decides, and is killed again and again: what must not be let in is let in at no
# time, what may be is let in when the dust has settled, nothing is stuck, and neither descriptors nor memory grow. 1,000 of them with 100
# kills under FLOE_LONG; 100 with 10 kills otherwise.
before_sandbox() {
  . "$SOURCE/tests/lib/vm.sh"
  vm_prepare
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"
. "$SOURCE/tests/lib/usb-vm.sh"

usb_one_rule
races=100
seconds=600
[ -z "${FLOE_LONG:-}" ] || { races=1000; seconds=5400; }
vm_run $seconds tests/lib/usb-races-inside.sh "${1:-$races}" || die 'see above'
