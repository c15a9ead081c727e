#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# First boot, from the screen that asks for a server to the list of desktops: server, agent, hypervisord and console with the real bus and its
# rules, the console under Xvfb with nothing but a keyboard. The address is found in the DNS, in a lease, in a file; whatever can be typed wrongly is.
# Pictures are left in setup/ beside the build, or in $FLOE_PICTURES.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/machine.sh"
for program in Xvfb xdotool import dnsmasq polkitd; do command -v $program >/dev/null || [ -e /usr/lib/polkit-1/$program ] || die "$program is not installed"; done
[ -x "$BUILD/bin/floe-console" ] || die "$BUILD/bin/floe-console is not built"
LOGS=$WORK
pictures=${FLOE_PICTURES:-$(dirname "$BUILD")/setup}
mkdir -p "$pictures"
trap 'status=$?; [ $status = 0 ] || tail -n 12 agent.log hypervisord.log console.log server.log >&2; exit $status' EXIT

cat >test.json <<'JSON'
{ "floe": 1, "group": "test",
  "machines": [
    { "id": "one", "title": "One", "colour": "#2e7d32", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } },
    { "id": "two", "title": "Two", "colour": "#c62828", "image": { "name": "tiny", "channel": "stable" }, "vcpus": 1, "memory_mib": 128,
      "disk": "reset", "firmware": "bios", "networks": [], "emulation": "allow", "autostart": false,
      "display": { "clipboard": "none", "file_transfer": "none", "audio": false, "screens": 1 } } ],
  "networks": {}, "usb": [], "console": { "switch_next": "<Control><Alt>Right", "switch_previous": "<Control><Alt>Left",
    "switch_list": "<Control><Alt>Home", "kiosk": false, "banner": "", "languages": ["en", "fr"] },
  "lease_days": 30, "assignment": [{ "who": "*", "machines": ["one", "two"] }] }
JSON
endpoint_users
endpoint_world
# systemd-networkd is another user than the tests' there, and its own rules come with it.
cat >/run/network1.conf <<'XML'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root"><allow own="org.freedesktop.network1"/></policy>
  <policy context="default"><allow send_destination="org.freedesktop.network1"/></policy>
</busconfig>
XML
endpoint_bus /run/network1.conf
make_guest
DATA=/run/data REPO=/run/data/repo
mkdir -p $DATA
make_repository
publish_policy test.json
chown -R $SERVER_UID $DATA
server_start
# The name that people type, and what the search domain says of it.
ip netns exec outside dnsmasq --keep-in-foreground --no-resolv --no-hosts --pid-file= --user=root --listen-address=192.0.2.1 --bind-interfaces \
  --address=/floe.example.test/192.0.2.1 --srv-host=_floe._tcp.example.test,floe.example.test,8443 >>dns.log 2>&1 &
printf 'search example.test\nnameserver 192.0.2.1\n' >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf

STATE=/run/state
mkdir $STATE
install -d -m 755 -o $AGENT_UID -g $AGENT_UID $STATE/{agent,spool,chunks}
install -d -m 755 /run/floe
install -d -m 755 -o $AGENT_UID -g $AGENT_UID /run/floe/agent
install -m 644 $REPO/metadata/1.root.json /run/floe/root.json
CONFIG=/run/floe/floe.conf
cat >$CONFIG <<TXT
[paths]
state=$STATE
run=/run/floe
root=/run/floe/root.json
[host]
usb=observe
[setup]
address_file=/run/floe/boot.conf
[programs]
resolver=/run/programs/bin/floe-resolver
TXT

property() { # AGENT|HYPERVISOR NAME
  gdbus call --system --dest "org.floe.${1}1" --object-path "/org/floe/${1}1" --method org.freedesktop.DBus.Properties.Get "org.floe.${1}1" "$2" |
    sed -E "s/^\(<(uint64 )?'?//; s/'?>,\)$//"
}
agent_is() { [ "$(property Agent "$1")" = "$2" ]; }
type_text() { xdotool type --delay 15 "$1"; }
shot() { sleep 0.6; screenshot "$pictures/$1.png"; }

# The list's strip that warns has this colour.
warns() { screenshot strip.png && convert strip.png txt: | quietly grep -i '#3A2D0C'; }
say 'nothing is configured: both wait'
hypervisord_start
# All that is ever wrong with a policy, from here on.
gdbus monitor --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 >policy.log 2>&1 &
# The screen comes before the agent, which knows that there is no server: nothing is wrong yet, and nothing says so.
SCREEN=1024x768 display_start
console_start
wait_for 30 'the window' xdotool search --name '^Floe$'
sleep 1.5
shot list-before-setup
! warns || die 'the list warns of something before the setup screen: list-before-setup.png'
agent_start
wait_for 20 'the agent on the bus' agent_is State setup
[ "$(property Hypervisor PolicyGroup)" = '' ] || die 'hypervisord has a group from nowhere'
wait_for 20 'the address in the DNS' agent_is Address floe.example.test
agent_is AddressSource dns || die "the address is from $(property Agent AddressSource)"
! grep 'not taken' agent.log || die 'no networkd is no mistake'

call() { setpriv --reuid "$1" --regid "$1" --clear-groups gdbus call --system --dest org.floe.Agent1 --object-path /org/floe/Agent1 --method "org.floe.Agent1.$2" "${@:3}"; }

say 'an address in a lease'
# lease NAME [TEXT]: what systemd-networkd says of a card whose lease has TEXT (printf's words) as option 236; without TEXT, of one without a lease.
lease() {
  printf '{"Index":2,"Name":"%s"' "$1"
  [ $# = 1 ] || printf ',"DHCPv4Client":{"Lease":{"Timeout1USec":1},"PrivateOptions":[{"Option":224,"PrivateOptionData":"00"},{"Option":236,"PrivateOptionData":"%s"}]}' \
    "$(printf "$2" | od -An -v -tx1 | tr -d ' \n')"
  printf '}'
}
networkd_says() { printf '%s' "$1" >leases.new; mv leases.new leases.json; }
leases() { local IFS=,; networkd_says "{\"Interfaces\":[{\"Index\":1,\"Name\":\"lo\"},$*],\"Routes\":[]}"; }
# look_until WHAT COMMAND...: looks again and again.
look_and() { call $CONSOLE_UID LookUp >/dev/null && "$@"; }
look_until() { wait_for 30 "$1" look_and "${@:2}"; }
found() { agent_is AddressSource "$1" && agent_is Address "$2"; }
refusals() { grep -c "not taken.*$1" agent.log || true; }
# Hostile ones alone: each is refused with its reason, once, however often it is looked at, and the next source is asked.
leases "$(lease up0 'evil.example\033[2J')" "$(lease up1 'http://evil.example')" "$(lease up2 'floe\0evil')" "$(lease up3 '%0300d')" "$(lease up4 '')"
"$BUILD/tests/fake-networkd" leases.json >networkd.log 2>&1 &
NETWORKD_PID=$!
wait_for 20 'networkd on the bus' gdbus wait --system --timeout 1 org.freedesktop.network1
look_until 'hostile options to be refused' eval '[ "$(refusals "DHCP option")" -ge 5 ]'
for card in up0 up1 up2 up3 up4; do grep -q "not taken.*$card: DHCP option 236: " agent.log || die "nothing is said of $card: $(cat agent.log)"; done
! grep -q "$(printf '\033')" agent.log || die 'a terminal would obey the log'
found dns floe.example.test || die "beside hostile leases: $(property Agent Address)"
# What nobody would write who is networkd.
for text in 'nonsense' '{"Interfaces":[{"Name":"x","DHCPv4Client":7}]}' "$(head -c 1200000 /dev/zero | tr '\0' ' ')"; do
  before=$(refusals '')
  networkd_says "$text"
  look_until 'a description to be refused' eval '[ "$(refusals "")" -gt "$before" ]'
done
# The second card's is the first that is an address.
leases "$(lease up0 'no/path')" "$(lease up1 '192.0.2.9:8444')" "$(lease up2 'other.example.test')"
look_until 'the address in the lease' found dhcp 192.0.2.9:8444
[ "$(refusals "DHCP option")" = 6 ] || die "the hostile options were said again and again: $(cat agent.log)"
printf '[server]\naddress=192.0.2.8\n' >/run/floe/boot.conf
look_until 'the address in the file' found file 192.0.2.8
rm /run/floe/boot.conf
# No lease and no DNS yet at the start, as when the cable is plugged in later: the address comes with the lease,
# and before the next look, half a minute after the last.
leases "$(lease up0)"
echo 'search example.test' >/run/resolv.conf
kill "$(agent_pid)"
wait_for 20 'another agent' eval 'agent_is State setup && agent_is Address ""'
leases "$(lease up0 floe.example.test)"
kill -USR1 $NETWORKD_PID
wait_for 20 'the address in the new lease' found dhcp floe.example.test
printf 'search example.test\nnameserver 192.0.2.1\n' >/run/resolv.conf

floe-vm check >check.txt 2>check.err || grep -q 'something will not work' check.err || die "floe-vm check: $(cat check.err)"
for id in kvm memory tpm secure-boot network graphics; do grep -qE "^$id +(good|note|bad) " check.txt || die "floe-vm check: $(cat check.txt)"; done
sleep 1.5
shot setup-en
pictures_differ "$pictures/list-before-setup.png" "$pictures/setup-en.png" || die 'no setup screen comes'

say 'who may call'
for uid in $AGENT_UID 65534 $SERVER_UID; do
  for method in Cancel LookUp 'Enrol 192.0.2.1 x'; do
    # shellcheck disable=SC2086
    call $uid $method >out 2>&1 && die "user $uid may call $method"
    grep -qE 'AccessDenied|org.floe.Error.Refused' out || die "user $uid calling $method: $(cat out)"
  done
done
call $CONSOLE_UID LookUp >/dev/null || die 'the console may not call'
floe-agent enrol floe.example.test nonsense 2>err && die 'nonsense enrols'
grep -q 'a code has' err || die "the command line says: $(cat err)"

say 'typed wrongly'
code=$(ip netns exec outside floe-server code --data $DATA --group test --address floe.example.test | sed -n 's/^code  *//p')
# The keyboard is in the code's field, as the address is there already. A wrong character is found before anything is sent.
wrong=$(tr 'A-Z' 'a-z' <<<"${code//-/}" | sed 's/^\(.\)\(.\)/\2\1/')
[ "${wrong:0:1}" != "${wrong:1:1}" ] || wrong=z${wrong:1}
type_text "$wrong"
shot setup-typed
xdotool key Return
wait_for 10 'the mistake to be said' agent_is Problem typo
shot setup-typo
# A server that is not there, by the keyboard alone: back to the address, and on again.
xdotool key alt+a ctrl+a
type_text '192.0.2.1:1'
xdotool key Return ctrl+a
type_text "$code"
xdotool key Return
wait_for 20 'the absent server to be said' agent_is Problem unreachable
shot setup-unreachable
# Nobody answers at all: Escape ends it.
xdotool key alt+a ctrl+a
type_text '192.0.2.77'
xdotool key Tab Return
wait_for 10 'an attempt' agent_is State enrolling
shot setup-connecting
xdotool key Escape
wait_for 15 'the attempt to be cancelled' agent_is Problem cancelled
agent_is State setup || die "after Escape: $(property Agent State)"
[ "$(floe-server codes --data $DATA | grep -c 'used 0 of 1')" = 1 ] || die 'a failed attempt used the code'

say 'in French, by the keyboard; what is typed stays'
shot setup-before-french
xdotool key shift+Tab shift+Tab Return
shot setup-fr
pictures_differ "$pictures/setup-before-french.png" "$pictures/setup-fr.png" || die 'French looks like English'

say 'enrolled'
xdotool key alt+a ctrl+a
type_text 'floe.example.test'
xdotool key Return
# With look-alikes for digits, in lower case, and blanks for hyphens.
xdotool key ctrl+a
type_text "$(tr 'A-Z01-' 'a-zoi ' <<<"$code")"
shot setup-ready
xdotool key Return
wait_for 30 'enrolment' agent_is State enrolled
wait_for 60 'a verified policy' policy_in_force
[ "$(property Hypervisor PolicyGroup)" = test ] || die "hypervisord's group is $(property Hypervisor PolicyGroup)"
wait_for 20 'the machines' machine_is one stopped
sleep 1.5
shot list-after-setup
pictures_differ "$pictures/setup-ready.png" "$pictures/list-after-setup.png" || die 'the setup screen stays'
floe-server endpoints --data $DATA --json >endpoints.json
[ "$(jq -r '.[0].group' endpoints.json)" = test ] && [ "$(jq -r '.[0].endpoint' endpoints.json)" = "$(property Agent Endpoint)" ] || die "the server has: $(cat endpoints.json)"
jq -e '.[0].facts.kvm | test("^(good|note|bad): ")' endpoints.json >/dev/null || die 'the server was not told of the hardware'
# Two desktops: the list is what comes, with the keyboard on the first; Enter starts it.
xdotool key Home Return
wait_for 60 'the desktop that Enter starts' bash -c '! floe-vm list | grep -q "^one .*stopped"'
shot desktop-after-setup

grep -q "'PolicyVersion': <uint64 [1-9]" policy.log || die "nothing was heard of the policy: $(cat policy.log)"
! grep "'PolicyProblem': <'[^']" policy.log || die 'a policy that nobody had fetched yet was said to be a problem'

say 'for good'
call $CONSOLE_UID Enrol floe.example.test "$code" >out 2>&1 && die 'an endpoint enrols twice'
grep -q 'org.floe.Error.Busy' out || die "a second time: $(cat out)"
join() { setpriv --reuid $AGENT_UID --regid $AGENT_UID --clear-groups gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 \
  --method org.floe.Hypervisor1.JoinGroup "$1"; }
join test >/dev/null || die 'its own group is refused'
for group in admin ../x ''; do join "$group" >out 2>&1 && die "the agent moves the endpoint to group '$group'"; done
setpriv --reuid $CONSOLE_UID --regid $CONSOLE_UID --clear-groups gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 \
  --method org.floe.Hypervisor1.JoinGroup test >out 2>&1 && die 'the console may say which group this is'
floe-vm stop --force one
kill "$(agent_pid)" "$(hypervisord_pid)"
sleep 1
wait_for 30 'hypervisord again' gdbus wait --system --timeout 1 org.floe.Hypervisor1
wait_for 20 'the agent again' agent_is State enrolled
wait_for 20 'the policy again' policy_in_force
[ "$(property Hypervisor PolicyGroup)" = test ] || die 'the group is forgotten'
if grep -E 'CRITICAL|assertion|AddressSanitizer|Gtk-WARNING' console.log; then die 'the console complained'; fi
say "pictures in $pictures"
