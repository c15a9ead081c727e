#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside the test machine, for tests/host/vm.sh.
set -euo pipefail
cut -d' ' -f1 /proc/uptime >booted
case $1 in
  fails) exit 7 ;;
  crashes) echo c >/proc/sysrq-trigger ;;
  hangs) sleep 1000 ;;
  waits)
    # The heart beats on, unheard.
    until [ -s beat ]; do sleep 0.5; done
    mount --bind /dev/null beat
    keys() { awk '/ i8042$/ { n += $2 } END { print n + 0 }' /proc/interrupts; }
    before=$(keys)
    until [ "$(keys)" -gt "$before" ]; do sleep 0.5; done
    umount beat
    sleep 5
    exit 0
    ;;
esac
(IFS='|'; echo "arguments: $*")
echo "$(cat in.txt), and out" >out.txt
uname -r

for module in kvm-amd dummy_hcd libcomposite usb_f_mass_storage usb_f_hid usb_f_ecm usb_f_acm gadgetfs 8021q br_netfilter vhost_net \
  tun nf_tables veth xhci_pci usb_storage uas usbhid usbnet vhci_hcd; do
  modprobe $module || { echo "no module $module"; exit 1; }
done
[ -c /dev/kvm ] || { echo 'no KVM'; exit 1; }
[ -d /sys/class/udc/dummy_udc.0 ]
floe-vm --version
timeout 60 /build/tests/jail-probe --help >/dev/null 2>&1 || true

# A device comes and goes by the monitor.
lsusb | wc -l
devices() { find /sys/bus/usb/devices/ -name '[0-9]*-*' ! -name '*:*' | wc -l; }
before=$(devices)
/build/tests/vm-qmp device_add '{"driver":"usb-kbd","id":"kbd","bus":"xhci.0"}'
for _ in $(seq 100); do [ "$(devices)" = $((before + 1)) ] && break; sleep 0.1; done
lsusb | wc -l
[ "$(devices)" = $((before + 1)) ] || { echo 'the keyboard did not come'; exit 1; }
/build/tests/vm-qmp device_del '{"id":"kbd"}'
for _ in $(seq 100); do [ "$(devices)" = "$before" ] && break; sleep 0.1; done
[ "$(devices)" = "$before" ] || { echo 'the keyboard did not go'; exit 1; }
/build/tests/vm-qmp device_del '{"id":"nothing"}' && { echo 'an error of the monitor was passed over'; exit 1; }

# Whether a guest within executes on KVM: a boot sector's worth of it, by the firmware's own start.
timeout 60 qemu-system-x86_64 -nodefaults -display none -accel kvm -cpu host -m 64 -no-reboot -qmp unix:/run/nested.qmp,server=on,wait=off &
for _ in $(seq 100); do [ -S /run/nested.qmp ] && break; sleep 0.1; done
printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"query-kvm"}' '{"execute":"query-status"}' '{"execute":"quit"}' |
  { socat -t 20 - UNIX-CONNECT:/run/nested.qmp || true; } 2>/dev/null | tee nested.txt
grep -q '"enabled": true' nested.txt
grep -q '"running": true' nested.txt
