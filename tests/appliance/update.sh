#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# update.sh: the appliance updates itself while it runs: version A, enrolled with a real floe-server, fetches version B through its agent, floe-slot writes it into the
# other slot of the real disk and its kernel image on the real FAT, a person at the screen restarts, B comes up, opens the state by the TPM's signed
# policy, is found good, and the server hears of it. With FLOE_LONG comes version C, whose hypervisord does not start: three tries, and by itself back to B.
#
# Run by hand, with the machine to itself; tests/run does not run it: docs/appliance-update.md says how far it has been seen through. FLOE_LONG=1 is --long.
before_sandbox() {
  local running
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  . "$SOURCE/tests/lib/appliance-update.sh"
  appliance_prepare
  running=$(part_of "$APPLIANCE_DEBUG.d" version)
  NEXT=$(update_image update $((running + 1))) || die 'version B'
  export NEXT
  [ -n "${FLOE_LONG:-}" ] || return 0
  BROKEN=$(update_image broken $((running + 2)) "$SOURCE/tests/lib/appliance-broken.sh") || die 'version C'
  export BROKEN
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
. "$SOURCE/tests/lib/appliance-update.sh"
need jq

LOGS=$WORK
A=$(part_of "$APPLIANCE_DEBUG.d" version)
B=$((A + 1)) C=$((A + 2))
endpoint_users
appliance_world
PUBLISHED=$APPLIANCE_SERVER
server_data "$SOURCE/tests/lib/appliance-policy.json" >publish.log 2>&1 || { cat publish.log; die 'publishing'; }
update_publish "$NEXT" >>publish.log 2>&1 || { cat publish.log; die 'publishing version B'; }
server_start
code=$(floe-server code --data "$DATA" --group office | awk '/^code/ { print $2 }')

say "version $A starts"
appliance_disk one
appliance_start one
until_boot 1 600 "version $A's kernel"
appliance_wait 900 'the shell of the debug image' '^(.*[^#])?# '
until_shell 1 900
appliance_has 'the agent to wait for a code' 'busctl list' 'org.floe.Agent1'
appliance_has 'the computer to enrol' "floe-agent enrol 192.0.2.1:8443 $code || true" 'enrolled +[0-9a-f]{16}|already'
appliance_has "version $A is good, its entry has no counter" 'ls /boot/EFI/Linux' "floe_$A.efi"
appliance_has "version $B is installed" 'ls /boot/EFI/Linux' "floe_$B\\+3.efi"
until_server 300 'the server knows what is ready' ".appliance.running == $A and .appliance.next == $B and .appliance.failed == []"
appliance_has 'the policy is in force and the first desktop executes' 'floe-vm list' '^internet .*(starting|running)'
appliance_has 'and the second' 'floe-vm list' '^office .*(starting|running)'
appliance_picture update-ready

say 'a person at the screen restarts'
appliance_key alt s
until_boot 2 900 "version $B's kernel"
until_shell 2 900
appliance_has "version $B runs" 'cat /etc/os-release' "^IMAGE_VERSION=$B"
appliance_has 'its state opened by the TPM' 'cat /run/floe/state.conf' '^protection=tpm'
appliance_has 'both desktops go on where they were' 'ps -e -o args= | grep [q]emu-system | grep -c -- -incoming' '^2$'
appliance_has "version $B is good" 'ls /boot/EFI/Linux' "floe_$B.efi"
slot_says "running: $B" || die "floe-slot: $(appliance_shell 'floe-slot status' 60)"
until_server 300 'the server knows what runs' ".appliance.running == $B and .appliance.next == $B and .appliance.problem == \"\""
appliance_picture update-done
figure appliance_update_boots "$(boots)"

if [ -n "${FLOE_LONG:-}" ]; then
  say "version $C, whose hypervisord does not start"
  update_publish "$BROKEN" >>publish.log 2>&1 || { cat publish.log; die 'publishing version C'; }
  appliance_shell 'systemctl reload floe-agent' 60
  appliance_has "version $C is installed" 'ls /boot/EFI/Linux' "floe_$C\\+3.efi"
  appliance_picture update-broken-ready
  appliance_key alt s
  for try in 3 4 5; do until_boot $try 1800 "try $((try - 2)) of version $C"; done
  until_boot 6 1800 "version $B again"
  until_shell 6 900
  appliance_has "version $B runs again" 'cat /etc/os-release' "^IMAGE_VERSION=$B"
  until_server 1800 'the server knows what failed' ".appliance.running == $B and .appliance.next == $B and .appliance.failed == [$C]"
  figure appliance_fall_back_tries 3
fi
floe-server endpoints --data "$DATA"
appliance_stop
