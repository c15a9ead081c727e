#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The installed units under systemd itself: the daemons do all their work within what their units leave them. Server, agent, hypervisord and console
# start by one command each; policy and image arrive; machines run, one with a network, and outlive hypervisord; whoever dies is started again;
# machines are suspended when the endpoint ends and resumed when it is back. This kernel, no KVM and no screen needed: those are the appliance's tests.
before_sandbox() {
  . "$SOURCE/tests/lib/packages.sh"
  packages_prepare
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/packages.sh"
. "$SOURCE/tests/lib/machine.sh"
. "$SOURCE/tests/lib/systemd.sh"

make_guest
mkdir -p exchange/debs
cp "$DEBS"/*.deb exchange/debs/
REPO=$WORK/exchange/repo
make_repository
cat >policy.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "tiny", "title": "Tiny", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": ["lan"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": true, "screens": 1 } },
    { "id": "other", "title": "Other", "colour": "#c62828", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": { "lan": { "mode": "nat", "egress": [ { "id": "web", "protocol": "tcp", "to": ["203.0.113.0/24"], "ports": ["80"] } ] } },
  "usb": [],
  "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left", "switch_list": "<Control><Alt>Home", "kiosk": false,
    "banner": "", "languages": ["en"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["tiny", "other"] }] }
JSON
publish_policy policy.json
cp "$REPO/metadata/1.root.json" exchange/root.json
status=0
systemd_inside 240 "$(packages_tree)" "$WORK/exchange" tests/lib/units-inside.sh || status=$?
cat exchange/output
[ $status = 0 ] || die "under systemd: status $status"
