#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a verdict costs: the time from a device's appearance in the kernel to hypervisord's authorisation of it, over the time that udev takes to
# process the same device; in one machine with Debian 13's kernel, one after the other, medians of 20. Goal: below 1.
before_sandbox() {
  . "$SOURCE/tests/lib/vm.sh"
  vm_prepare
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"
. "$SOURCE/tests/lib/usb-vm.sh"

usb_one_rule
vm_run 600 tests/lib/usb-bench-inside.sh || die 'see above'
