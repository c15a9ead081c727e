#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may call floe-hypervisord, with the real polkit, our action and rules files and the system bus's own configuration.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/machine.sh"
LOGS=$WORK
trap 'status=$?; [ $status = 0 ] || tail -n 20 daemon.log polkit.log dbus.log >&2; exit $status' EXIT

cat >test.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "one", "title": "One", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": {}, "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one"] }] }
JSON
endpoint_users
endpoint_bus
make_guest
make_repository
publish_policy test.json
make_config
spool
start_daemon

call() { # UID OBJECT METHOD ARGUMENT...
  setpriv --reuid "$1" --regid "$1" --clear-groups gdbus call --system --dest org.floe.Hypervisor1 \
    --object-path "/org/floe/Hypervisor1$2" --method "$3" "${@:4}"
}
M=org.floe.Hypervisor1.Machine
count=0
may() { call "$@" >out 2>&1 || die "user $1 may not call $3: $(cat out)"; count=$((count + 1)); }
may_not() {
  call "$@" >out 2>&1 && die "user $1 may call $3"
  grep -q 'org.floe.Error.Refused' out || die "user $1 calling $3 fails otherwise: $(cat out)"
  count=$((count + 1))
}
for method in Start Reset Suspend Resume OpenDisplay; do
  may_not $AGENT_UID /machine/one $M.$method
  may_not 65534 /machine/one $M.$method
done
may_not $CONSOLE_UID '' org.floe.Hypervisor1.SpoolChanged
may_not 65534 '' org.floe.Hypervisor1.SpoolChanged
may_not $CONSOLE_UID '' org.floe.Hypervisor1.ImagesInUse
may_not 65534 '' org.floe.Hypervisor1.ImagesInUse
may_not 65534 /machine/one $M.Statistics
# Only the console speaks for the person in front of the screen.
for uid in $AGENT_UID 65534; do
  may_not $uid '' org.floe.Hypervisor1.SetSituation one '' false
  may_not $uid '' org.floe.Hypervisor1.AnswerUsb 1-1 1 host false
done
may $CONSOLE_UID '' org.floe.Hypervisor1.SetSituation one '' false
call $CONSOLE_UID '' org.floe.Hypervisor1.AnswerUsb 1-1 1 host false >out 2>&1 && die 'an answer to no question was taken'
grep -q 'org.floe.Error.NotFound' out || die "the console's answer to no question fails otherwise: $(cat out)"
may $AGENT_UID '' org.floe.Hypervisor1.SpoolChanged
may $AGENT_UID '' org.floe.Hypervisor1.ImagesInUse
grep -Eq "^\(\['tiny/[0-9a-f]{16}'\],\)$" out || die "images in use: $(cat out)"
may $AGENT_UID /machine/one $M.Statistics
may $CONSOLE_UID /machine/one $M.Start
may $CONSOLE_UID /machine/one $M.OpenDisplay
may 0 /machine/one $M.Reset
figure rights_checked $count
