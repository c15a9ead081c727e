#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# only with --long
# The appliance updates itself while it runs: version A, enrolled with a real floe-server, fetches version B through its agent, floe-slot writes it into the
# other slot of the real disk and its kernel image on the real FAT, a person at the screen restarts with a desktop running on KVM, B comes up, opens the state
# by the TPM's signed policy, goes on with the desktop where it was, is found good, and the server hears of it. Then comes version C, into which the computer
# restarts by itself when nobody has touched it for five minutes, and whose hypervisord does not start: three tries, and by itself back to B, where the desktop
# is again; the server hears of that, too.
before_sandbox() {
  local running
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  . "$SOURCE/tests/lib/appliance-update.sh"
  appliance_prepare
  running=$(part_of "$APPLIANCE_DEBUG.d" version)
  NEXT=$(update_image update $((running + 1))) || die 'version B'
  export NEXT
  BROKEN=$(update_image broken $((running + 2)) "$SOURCE/tests/lib/appliance-broken.sh") || die 'version C'
  export BROKEN
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
. "$SOURCE/tests/lib/appliance-update.sh"
LOGS=$WORK
# A machine that starts again writes over memory whose code was translated, and each of these translations is thrown away by itself: with a gigabyte of
# them, QEMU's default, firmware alone took four minutes.
APPLIANCE_TRANSLATED=64
trap 'status=$?; [ $status = 0 ] || { appliance_picture failed-update || true; tail -n 5 server.log dhcp.log >&2; }; exit $status' EXIT

# The desktop tries both addresses, once in its life: that one packet came out says that it is up, and later that it did not start anew.
asked_once() { [ "$(arrivals | grep -v '^udp 255\.255\.255\.255 67 ' || true)" = 'tcp 198.51.100.10 80 packets 1' ]; }
# The strip above the desktops, "Update ready".
offered_shown() { list_shown && [ "$(pixel 640 260)" = 0f2a1c ]; }
unoffered_shown() { list_shown && [ "$(pixel 640 260)" != 0f2a1c ]; }
# The box in which the seconds to a restart are counted, over all that is dimmed.
counting_down() { ! list_shown && [ "$(pixel 375 400)" = 1c2a3b ]; }
# look NAME LIST: the desktop, from the list and back to it, which LIST likes.
look() {
  appliance_key end
  appliance_key ret
  until_screen "$1" office_shown
  appliance_key ctrl alt home
  until_screen "$1-list" "$2"
}
# goes_on NAME: the desktop runs after a restart, as what it was before.
goes_on() {
  appliance_has 'the desktop runs again' 'floe-vm list' '^office +running +kvm'
  appliance_has 'from what was in its memory' 'ps -e -o args= | grep [q]emu-system' 'qemu-system.* -incoming defer'
  look "$1" unoffered_shown
  asked_once || { arrivals; die 'it has started anew'; }
}

version_a() {
  local code
  say "version $A starts"
  appliance_disk one
  appliance_start one
  until_boot 1 "version $A's kernel"
  until_shell 1
  appliance_has 'the agent to wait for a code' 'busctl list' 'org.floe.Agent1'
  code=$(floe-server code --data "$DATA" --group office | awk '/^code/ { print $2 }')
  appliance_has 'the computer to enrol' "floe-agent enrol 192.0.2.1:8443 $code || true" 'enrolled +[0-9a-f]{16}|already'
  appliance_has 'the policy to be in force' 'floe-vm list' '^office '
  appliance_has 'the desktop to start' 'floe-vm start office || true; floe-vm list' '^office +(starting|running)'
  appliance_has "version $A is good, its entry has no counter" 'ls /boot/EFI/Linux' "floe_$A.efi"
  appliance_has "version $B is installed" 'ls /boot/EFI/Linux' "floe_$B\\+3.efi"
  until_server 'the server knows what is ready' ".appliance.running == $A and .appliance.next == $B and .appliance.failed == []"
  appliance_has 'the desktop runs' 'floe-vm list' '^office +running +kvm'
  look update-ready offered_shown
  asked_once || { arrivals; die 'the desktop has not asked for what it may reach, once'; }
}

version_b() {
  say 'a person at the screen restarts'
  appliance_key alt n
  until_boot 2 "version $B's kernel"
  until_shell 2
  appliance_has "version $B runs" 'cat /etc/os-release' "^IMAGE_VERSION=\"?$B"
  appliance_has 'its state opened by the TPM' 'cat /run/floe/state.conf' '^protection=tpm'
  appliance_has 'and was there before' 'cat /run/floe/state.conf' '^created=false'
  appliance_has "version $B is good" 'ls /boot/EFI/Linux' "floe_$B.efi"
  appliance_has 'and floe-slot says so' 'floe-slot status' "^running: +$B"
  until_server 'the server knows what runs' ".appliance.running == $B and .appliance.next == $B and .appliance.failed == [] and .appliance.problem == \"\""
  goes_on update-done
  figure appliance_update_boots "$(boots)"
}

version_c() {
  say "version $C, whose hypervisord does not start, and a policy that has the computer restart into it by itself"
  jq '.update = { restart: "idle", idle_minutes: 5 }' "$SOURCE/tests/lib/appliance-policy.json" >idle.json
  publish_policy idle.json >>publish.log 2>&1 || { cat publish.log; die 'publishing a policy'; }
  update_publish "$BROKEN" >>publish.log 2>&1 || { cat publish.log; die 'publishing version C'; }
  appliance_shell 'systemctl reload floe-agent' || die 'the agent does not look'
  appliance_has "version $C is installed" 'ls /boot/EFI/Linux' "floe_$C\\+3.efi"
  until_screen update-broken-ready offered_shown
  # Nobody touches anything.
  until_screen update-by-itself counting_down
  for try in 1 2 3; do until_boot $((try + 2)) "try $try of version $C"; done
  until_boot 6 "version $B again"
  until_shell 6
  appliance_has "version $B runs again" 'cat /etc/os-release' "^IMAGE_VERSION=\"?$B"
  until_server 'the server knows what failed' ".appliance.running == $B and .appliance.next == $B and .appliance.failed == [$C]"
  goes_on update-fell-back
  figure appliance_fall_back_tries $(($(boots) - 3))
  [ "$(boots)" = 6 ] || die "version $C had $(($(boots) - 3)) tries; 3 wanted"
}

for program in jq convert swtpm mcopy; do need $program; done
A=$(part_of "$APPLIANCE_DEBUG.d" version)
B=$((A + 1)) C=$((A + 2))
endpoint_users
appliance_world
PUBLISHED=$APPLIANCE_SERVER
server_data "$SOURCE/tests/lib/appliance-policy.json" >publish.log 2>&1 || { cat publish.log; die 'publishing'; }
update_publish "$NEXT" >>publish.log 2>&1 || { cat publish.log; die 'publishing version B'; }
server_start
version_a
version_b
version_c
appliance_stop
