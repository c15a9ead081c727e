#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# A real guest on KVM in a machine with Debian 13's kernel gets the USB devices that policy gives it and sees no other: it mounts the stick that is
# allowed and writes to it, cannot write to the one that is read-only, past the file system neither, and never sees the one that is blocked. What is
# pulled goes; what it has outlives the daemon, and is shut when the machine ends. The guest itself says what it saw, in its disk.
before_sandbox() {
  . "$SOURCE/tests/lib/vm.sh"
  vm_prepare
  GUEST=$(vm_guest usb-guest-init.sh virtio_pci virtio_blk xhci_pci usb_storage uas usbhid hid_generic sd_mod vfat nls_cp437 nls_ascii nls_iso8859-1 \
    cdc_ether evdev)
  export GUEST
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"
. "$SOURCE/tests/lib/usb-vm.sh"

usb_everything "$GUEST"
cp vm/ro.img vm/blocked.img .
# KVM within is real KVM on SVM as QEMU's TCG has it. With two processors that of QEMU 7.2 has been seen to crash the kernel of the machine.
VM_CPUS=1 VM_NESTED=1
cp -r vm fresh
run() { vm_run "${FLOE_VM_SECONDS:-1800}" tests/lib/usb-guests-inside.sh "$parts"; }
parts=${1:-guests_start guests_sticks guests_parts guests_question guests_two guests_end} status=0
run || status=$?
# Nothing of ours can stop an emulator. Once more, from the beginning, and only for that.
if [ $status = "$VM_STILL" ]; then
  rm -rf vm
  cp -r fresh vm
  status=0
  run || status=$?
fi
[ $status = 0 ] || die 'see above'
cmp ro.img vm/ro.img || die 'the read-only stick was written to'
cmp blocked.img vm/blocked.img || die 'the blocked stick was written to'
[ "$(mtype -i vm/rw.img ::written.txt)" = 'from the guest' ] || die 'what the guest wrote is not on the writable stick'
