#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A policy that is rightly signed and that floe-hypervisord cannot read, from a key holder who went round floe-policy: the one in force
# stays, also over restarts and without the spool, never an older one, and what is wrong is named by file, line and key.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/machine.sh"
trap 'status=$?; [ $status = 0 ] || { tail -n 40 daemon.log >&2; }; exit $status' EXIT

write_policy() { # TITLE
  cat >test.json <<JSON
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "one", "title": "$1", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": ["lan"], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": { "lan": { "mode": "nat", "egress": [ { "id": "web", "protocol": "tcp", "to": ["203.0.113.0/24"], "ports": ["80"] } ] } },
  "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en"] },
  "lease_days": 30, "update": ${UPDATE:-{\}}, "assignment": [{ "who": "*", "machines": ["one"] }] }
JSON
}
refresh() {
  gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method org.floe.Hypervisor1.SpoolChanged
}
host_get() {
  gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 \
    --method org.freedesktop.DBus.Properties.Get org.floe.Hypervisor1 "$1"
}
in_force() { # TITLE VERSION PROBLEM: what is in force, and what PolicyProblem says of it (a pattern)
  [ "$(machine_get one Title)" = "$1" ] || die "in force is '$(machine_get one Title)', not '$1'"
  [ "$(vm status | sed -n 's/^policy:.*version //p')" = "$2" ] || die "in force is: $(vm status)"
  host_get PolicyProblem | grep -Eq "$3" || die "PolicyProblem is $(host_get PolicyProblem)"
}
restart() { # how
  kill "$1" $DAEMON_PID
  wait $DAEMON_PID || true
  start_daemon
}

start_bus
make_guest
make_repository
make_config

say 'nothing fetched yet is no problem; a server without a policy for this group is'
none() { # PROBLEM: it is said, and nothing is in force
  vm status | quietly grep -x 'policy:      test, none in force yet' || die "in force is: $(vm status)"
  host_get PolicyProblem | quietly grep -E "$1" || die "PolicyProblem is $(host_get PolicyProblem)"
}
mkdir -p "$STATE/spool"
start_daemon
none "^\(<''>,\)$"
refresh >/dev/null 2>&1 && die 'a policy from an empty spool'
none "^\(<''>,\)$"
spool
refresh >/dev/null 2>&1 && die 'a policy that the server does not have'
none 'policy/test.json'
restart -TERM
none 'policy/test.json'
write_policy First
publish_policy test.json
spool
refresh >/dev/null
first=$(vm status | sed -n 's/^policy:.*version //p')
write_policy Second
publish_policy test.json
spool
refresh >/dev/null
second=$(vm status | sed -n 's/^policy:.*version //p')
[ "$second" -gt "$first" ] || die "version $second after $first"
in_force Second "$second" "^\(<''>,\)$"
host_get ConsoleSettings | quietly grep "'restart_idle': <uint32 0>" || die "a policy that leaves restarts to people: $(host_get ConsoleSettings)"
UPDATE='{ "restart": "idle", "idle_minutes": 45 }' write_policy Second
publish_policy test.json
spool
refresh >/dev/null
second=$(vm status | sed -n 's/^policy:.*version //p')
for said in "'restart_idle': <uint32 2700>" "'restart_notice': <uint32 60>"; do
  host_get ConsoleSettings | quietly grep "$said" || die "a restart by itself, without $said: $(host_get ConsoleSettings)"
done
vm start one
goes_on one

say 'a policy with an unknown key, rightly signed'
write_policy Third
sed -i 's/"lease_days"/"leash_days"/' test.json
line=$(grep -n leash_days test.json | cut -d: -f1)
"$BUILD/tests/publish-any" "$REPO" keys pass policy policy/test.json test.json
spool
refresh >/dev/null 2>err && die 'a policy with an unknown key was taken'
grep -q leash_days err || die "$(cat err)"
wrong="policy/test.json:$line.*leash_days"
in_force Second "$second" "$wrong"
goes_on one

say 'restarted by SIGTERM, by SIGKILL, and without anything in the spool: the last good one, and its machine goes on'
for how in -TERM -KILL; do
  restart $how
  in_force Second "$second" "$wrong"
  goes_on one
  nft list table inet floe0 | grep '203.0.113.0/24' >/dev/null || die 'the rules of the machine are not those of the policy in force'
done
mv "$STATE/spool" away
restart -KILL
in_force Second "$second" .
goes_on one
mv away "$STATE/spool"

say 'cut short at any moment: what a save leaves is not taken for what is in force'
mkdir "$STATE/hypervisor/in-force.new"
cp "$STATE/hypervisor/in-force/root.json" "$STATE/hypervisor/in-force.new/"
restart -KILL
in_force Second "$second" "$wrong"

say 'what is kept is verified again: altered, it is not in force'
cp -a "$STATE/hypervisor/in-force" kept
sed -i 's/Second/Forged/' "$STATE/hypervisor/in-force/document"
restart -KILL
[ "$(machine_get one Title)" != Forged ] || die 'an altered policy came into force'
rm -r "$STATE/hypervisor/in-force"
cp -a kept "$STATE/hypervisor/in-force"
restart -KILL
in_force Second "$second" "$wrong"

say 'a good one takes over'
write_policy Fourth
publish_policy test.json
spool
refresh >/dev/null
in_force Fourth $((second + 2)) "^\(<''>,\)$"
[ ! -e "$STATE/hypervisor/in-force.new" ] || die 'in-force.new is left'
restart -KILL
in_force Fourth $((second + 2)) "^\(<''>,\)$"
vm stop one --force
left=$(leftovers)
[ -z "$left" ] || die "left behind: $left"
