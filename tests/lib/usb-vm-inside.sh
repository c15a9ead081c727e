#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usb-vm-inside.sh PARTS: inside the test machine, for tests/host/usb-vm.sh.
. /source/tests/lib/usb-inside.sh
. /source/tests/lib/usb-hostile.sh

# qemu_device WHAT VERDICT RULE DRIVERS ARGUMENTS
qemu_device() {
  plug "{\"id\":\"d\",\"bus\":\"xhci.0\",$5}" || { fails "$1: did not come"; return; }
  expect "$1" "$CAME" "$2" "$3" "$4"
  pull d "$CAME"
}
# Plugged into a running machine, UAS shows itself only once it is told that its disks are complete.
uas_attached() {
  vm-qmp device_add '{"driver":"usb-uas","id":"d","bus":"xhci.0"}'
  vm-qmp qom-set '{"path":"/machine/peripheral/d","property":"attached","value":true}'
}
qemu_devices() {
  say "QEMU's devices, plugged and pulled"
  qemu_device mouse host mice usbhid '"driver":"usb-mouse"'
  qemu_device 'second keyboard' block default '' '"driver":"usb-kbd"'
  qemu_device tablet block default '' '"driver":"usb-tablet"'
  qemu_device 'network dongle' block no-net-dongles '' '"driver":"usb-net"'
  qemu_device sound block no-audio '' '"driver":"usb-audio","audiodev":"sound"'
  qemu_device 'serial line, vendor class with an ID that ftdi_sio binds' block default '' '"driver":"usb-serial","chardev":"null","always-plugged":true'
  qemu_device 'stick of no rule' block no-storage '' '"driver":"usb-storage","drive":"other","serial":"OTHER"'
}
qemu_uas() {
  usb_appears uas_attached || fails 'UAS: did not come'
  expect UAS "$CAME" block no-storage ''
  pull d "$CAME"
}

usb_witness_start
usb_modules
usb_bus
usb_endpoint
two_are_there() { usb_list; [[ $LISTED == *-*-* ]]; }
until_so 120 'the devices that are there from the beginning' two_are_there
say 'there before the daemon: nothing has been let in'
early_keyboard=$(usb_of 0627)
early_stick=$(usb_of 46f4)
for path in $early_keyboard $early_stick; do
  authorised "$path" && fails "$path was let in before the daemon came"
  drivers_are "$path" '' || fails "$path has drivers before the daemon came"
done
# As who waits for the name hears it, and the agent does: from the name's owner only.
gdbus monitor --system --dest org.floe.Hypervisor1 >/run/logs/by-name.log 2>&1 &
until_so 60 'the one who waits for the name' grep -q 'does not have an owner' /run/logs/by-name.log
heard_of() { grep -q "org.floe.Hypervisor1.Audit ('usb', .*'path': <'$1'>" /run/logs/by-name.log; }
usb_daemon_start
expect 'keyboard there before the daemon' "$early_keyboard" host keyboard usbhid
expect 'stick there before the daemon' "$early_stick" block no-storage ''
for path in $early_keyboard $early_stick; do until_so 60 "the verdict on $path, from the name's owner" heard_of "$path"; done

hostile_faces
for part in $1; do
  begun=$SECONDS
  $part || fails "$part ended early"
  say "$part: $((SECONDS - begun)) s"
done
usb_witness_judge
figure usb_cases $CASES
figure usb_wrong_allows "$WRONG"
figure usb_early_binds "$EARLY"
say "$CONNECTIONS connections in all"
[ $FAILURES = 0 ] && [ "$EARLY" = 0 ] && [ "$WRONG" = 0 ]
