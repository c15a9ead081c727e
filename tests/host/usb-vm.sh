#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# The USB gate against real devices and hostile ones, in a machine with Debian 13's kernel: QEMU's own devices plugged and pulled while the real
# hypervisord runs, and a device for each way of cheating. The kernel's own tracing says which driver was bound when.
before_sandbox() {
  . "$SOURCE/tests/lib/vm.sh"
  vm_prepare
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"
. "$SOURCE/tests/lib/usb-vm.sh"

truncate -s 1M disk.raw
usb_everything disk.raw
vm_run "${FLOE_VM_SECONDS:-900}" tests/lib/usb-vm-inside.sh \
  "${1:-qemu_devices hostile_descriptors hostile_strings hostile_changes hostile_topology hostile_daemon hostile_parts hostile_functions qemu_uas hostile_opened}" || die 'see above'
