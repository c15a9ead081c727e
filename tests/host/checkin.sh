#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Check-in: an agent that has enrolled tells a real floe-server what its appliance reports, the list of endpoints shows it; a clock that was ahead, a server
# that is away; attacks by a second implementation of the protocol; hypervisord's word on a version that is ready, and a restart that nobody may ask for.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
need python3; need jq

LOGS=$WORK
endpoint_users
chmod 755 "$WORK"
mkdir -p data/repo
(umask 077; echo secret >passphrase)
floe-policy init --repo data/repo --keys keys --passphrase-file passphrase >publish.log
head -c 1048576 /dev/urandom >desktop.raw
floe-image publish --repo data/repo --keys keys --passphrase-file passphrase --name desktop --channel stable desktop.raw >>publish.log
floe-policy publish-policy --repo data/repo --keys keys --passphrase-file passphrase "$SOURCE/docs/examples/office.json" >>publish.log
chown -R $SERVER_UID data
server_begin() {
  setpriv --reuid=$SERVER_UID --regid=$SERVER_UID --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- \
    /run/programs/bin/floe-server --data /run/here/data --listen 127.0.0.1:8443 2>>server.log &
  server=$!
  wait_for 20 'floe-server' bash -c 'exec 3<>/dev/tcp/127.0.0.1/8443'
}
mkdir /run/here
mount --bind "$WORK" /run/here
cd /run/here
server_begin

# endpoint NAME: one that has enrolled; its id is in NAME/id.
endpoint() {
  install -d -m 755 "$1"/{state,run} "$1/state/slot"
  install -d -m 755 -o $AGENT_UID -g $AGENT_UID "$1"/state/{agent,spool,chunks} "$1/run/agent"
  cp data/repo/metadata/1.root.json "$1/root.json"
  printf '[paths]\nstate=%s/state\nrun=%s/run\nroot=%s/root.json\n' "/run/here/$1" "/run/here/$1" "/run/here/$1" >"$1/floe.conf"
  code=$(floe-server code --data data | awk '/^code/ { print $2 }')
  "${as_agent[@]}" floe-agent enrol --direct --config "$1/floe.conf" 127.0.0.1 "$code" | sed -n 's/^enrolled  //p' >"$1/id"
}
endpoint one
endpoint two
one=$(cat one/id)
# said EXPRESSION: of what the server knows of the first endpoint.
said() { floe-server endpoints --data data --json | jq -e ".[] | select(.endpoint == \"$one\") | $1"; }
report() { # RUNNING NEXT OFFERED FAILED PROBLEM
  printf '{"floe-slot":1,"running":%s,"next":%s,"offered":%s,"failed":[%s],"problem":"%s"}' "$@" >one/state/slot/.new
  mv one/state/slot/.new one/state/slot/report.json
}
agent_begin() {
  "${as_agent[@]}" "$@" /run/programs/bin/floe-agent --config one/floe.conf --interval 3600 2>>agent.log &
  agent=$!
}

say 'an agent checks in, and again when the report changes'
said '.seen == null' >seen || die 'an endpoint that never checked in was seen'
report 5 5 5 '' ''
agent_begin
wait_for 30 'a first check-in' said '.seen != null and .appliance.running == 5'
report 5 6 6 '' ''
wait_for 30 'a version that is ready' said '.appliance.next == 6'
report 5 5 6 '6' 'version 6 was tried here and failed: it is not tried again by itself (--again does)'
wait_for 30 'a version that failed' said '.appliance.failed == [6]'
floe-server endpoints --data data >endpoints
grep -q '^  seen 20.*  Floe .*  appliance 5  offered 6  failed 6  problem: version 6 was tried here and failed' endpoints || die "the list: $(cat endpoints)"
grep -q "a version of the appliance failed at an endpoint ENDPOINT=$one RUNNING=5 FAILED=6" server.log || die 'the log does not say that a version failed'

say 'a report that is none is left out; the server is away, and back'
echo '{"floe-slot":1,"running":5,"shell":true}' >one/state/slot/report.json
wait_for 30 'a check-in without a report' said '.appliance == null'
grep -q "the appliance's report is not one" agent.log || die 'the log does not say so'
kill $server; wait $server || true
report 7 7 7 '' ''
sleep 2
server_begin
wait_for 60 'what was not heard' said '.appliance.running == 7'
kill $agent; wait $agent || true

say 'a clock that was ahead, and one that was set back'
need faketime
report 8 8 8 '' ''
agent_begin faketime -f +3h
wait_for 30 'a check-in of the future' said '.appliance.running == 8'
# faketime's child is the agent.
kill $(cat /proc/$agent/task/$agent/children); wait $agent || true
report 9 9 9 '' ''
agent_begin
wait_for 30 'a check-in after it' said '.appliance.running == 9'
kill $agent; wait $agent || true

say 'attacks'
attacked=$(python3 "$SOURCE/tests/lib/checkin-client.py" 127.0.0.1 8443 one/state/agent/endpoint.key two/state/agent/endpoint.key) || die 'an attack (see above)'
figure checkin_attacks_refused "$attacked"
[ "$(floe-server endpoints --data data --json | jq length)" = 2 ] || die 'an attack made an endpoint'
said '.appliance.running == 7 and .appliance.failed == [8]' >seen || die "the last honest one is not what is kept: $(said .)"

say 'a database of before'
kill $server; wait $server || true
python3 -c 'import sqlite3; db = sqlite3.connect("data/enrol/floe.db"); db.executescript("DROP TABLE checkins; PRAGMA user_version = 1;")'
server_begin
said '.seen == null' >seen || die 'the endpoints of an older database'
agent_begin
wait_for 30 'a check-in into it' said '.appliance.running == 9'
kill $agent; wait $agent || true

say 'a version that is ready, on the bus'
endpoint_bus
cp /etc/os-release os-release
echo 'IMAGE_VERSION=9' >>os-release
mount --bind os-release /etc/os-release
CONFIG=one/floe.conf
sed -i "\$a[host]\nusb=observe" one/floe.conf
floe-hypervisord --config one/floe.conf 2>hypervisord.log &
hypervisord=$!
wait_for 30 floe-hypervisord gdbus wait --system --timeout 1 org.floe.Hypervisor1
bus() { gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method "$@"; }
ready() { bus org.freedesktop.DBus.Properties.Get org.floe.Hypervisor1 UpdateReady | quietly grep "uint64 $1>"; }
ready 0 || die 'what runs is said to be ready'
bus org.floe.Hypervisor1.RestartForUpdate 2>err && die 'a restart into nothing'
grep -q 'no new version of the appliance is ready' err || die "a restart into nothing: $(cat err)"
report 9 10 10 '' ''
wait_for 20 'version 10' ready 10
as_console_bus() { "${as_console[@]}" gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method "$@"; }
"${as_agent[@]}" gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method org.floe.Hypervisor1.RestartForUpdate 2>err && die 'the agent restarts the computer'
grep -q 'org.floe.Error.Refused\|REFUSED\|may not\|not allowed\|refused' err || die "the agent is refused: $(cat err)"
# It is allowed to ask; there is no logind here.
as_console_bus org.floe.Hypervisor1.RestartForUpdate 2>err && die 'a restart without logind'
grep -q 'logind does not restart this computer' err || die "the console: $(cat err)"
# Of before a restart: 8 wrote it, 9 runs.
report 8 9 9 '' ''
wait_for 20 'nothing: the report is of before the restart' ready 0
echo '{"floe-slot":1,"next":' >one/state/slot/report.json
sleep 1
ready 0 || die 'half a report is believed'
kill -0 $hypervisord || die 'hypervisord does not live through half a report'
