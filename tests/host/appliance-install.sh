#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# only with --long
# The appliance on a USB stick: 'try' touches no disk and keeps its state on the stick; 'install' names the disk and what would be lost, takes its name typed on
# the keyboard and nothing else, and what it has written starts by itself, without the stick. In QEMU under TCG with OVMF: the debug image as usb-storage, and a
# second disk with somebody's data. Pictures in build/appliance/.
before_sandbox() { . "$SOURCE/tests/lib/appliance.sh"; appliance_prepare; }
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
. "$SOURCE/tests/lib/appliance-install.sh"

LOGS=$WORK
appliance_world
stick_disk stick
old_disk target

say 'try'
stick_start stick target
stick_up
appliance_has 'the system runs from the stick' 'cat /run/floe/boot.conf' '^disk=sd[a-z]$'
appliance_has 'the stick stays open under USB policy, by its own rule' 'floe-vm usb' 'floe-system-disk'
appliance_has 'the state is on the stick' 'readlink -f /sys/class/block/dm-1/slaves/*' '/usb.*/sd[a-z]/sd[a-z]6$'
appliance_has 'installing is offered' 'busctl get-property org.floe.Install1 /org/floe/Install1 org.floe.Install1 State' '"ready"'
appliance_shell 'floe-install list' >list
grep -q '^vda.*can-be-chosen$' list && grep -q 'vda1.*ext4.*Holiday' list && ! grep -qE '^sd' list || { cat list; die 'the list is not what is there'; }
untouched target || die 'starting from the stick has changed the disk'
figure try_changed_bytes 0

say 'refused'
for words in 'vda --confirm VDA' 'vda --confirm vda1' 'sda --confirm sda' '../vda --confirm ../vda' 'vdb --confirm vdb'; do
  appliance_shell "floe-install run --disk $words" >refused && { cat refused; die "floe-install run --disk $words"; }
done
# Somebody works with the disk.
appliance_shell 'mount -o ro,noload /dev/vda1 /tmp' >mounted || { cat mounted; die 'mount'; }
appliance_shell 'floe-install run --disk vda --confirm vda' >refused && die 'it installs on a disk that is mounted'
grep -q 'in use' refused || { cat refused; die 'a mounted disk is refused for another reason'; }
appliance_shell 'umount /dev/vda1' || die 'umount'
untouched target || die 'a refused installation has changed the disk'

say 'install, by the keyboard'
screen_install vda
appliance_has 'the installation is done' 'busctl get-property org.floe.Install1 /org/floe/Install1 org.floe.Install1 State' '"done"'
# The screen hears of it no sooner than we do.
sleep 5
appliance_picture install-done
appliance_stop
check_installed target

say 'the disk by itself'
appliance_start target
appliance_wait 900 'the kernel, from the disk' 'Linux version'
appliance_wait 900 'the shell of the debug image' '^(.*[^#])?# '
appliance_has 'the system runs from the disk' 'cat /run/floe/boot.conf' '^disk=vda$'
appliance_has 'the state was made there' 'cat /run/floe/state.conf' '^created=true'
appliance_has 'hypervisord, agent and console run' 'systemctl is-active floe-hypervisord floe-agent floe-console | sort | uniq -c' '3 active'
appliance_has 'installing is not offered any more' 'systemctl is-active floe-install; true' '^inactive'
appliance_picture installed
appliance_stop
