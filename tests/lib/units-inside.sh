#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# units-inside.sh, for tests/host/units.sh: where systemd runs; the packages are in debs/, a repository in repo/, its root metadata is root.json.
set -euo pipefail
. /source/packaging/lib/base.sh
die() {
  echo "FAILED: $*"
  set +e
  systemctl --no-pager --full status 'floe*' 2>&1 | tail -n 70
  journalctl --no-pager -b -n 40 2>&1
  floe-vm list
  exit 1
}
say() { echo "-- $*"; }
property() { systemctl show -P "$2" "$1"; }
active() { [ "$(property "$1" ActiveState)" = active ]; }
pid() { property "$1" MainPID; }
is() { [ "$(floe-vm list | awk -v id="$1" '$1 == id { print $2 }')" = "$2" ]; }
executes() { is "$1" starting || is "$1" running; }
new_pid() { local now; now=$(pid "$1"); [ "$now" != 0 ] && [ "$now" != "$2" ] && active "$1"; }
machine() { pgrep -f "^/usr/bin/qemu-system-x86_64 -name floe-$1 "; }
gone() { ! machine "$1" >/dev/null; }
on_bus() { busctl list --no-pager | awk -v unit="$1" '$0 ~ unit { found = 1 } END { exit !found }'; }
of() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$(pid "$1")/status"; }

say 'install: nothing starts, nothing is enabled'
dpkg -i debs/*.deb >dpkg.log 2>&1 || { cat dpkg.log; die 'dpkg -i'; }
[ "$(systemctl is-enabled floe.target floe-server.service | sort -u)" = disabled ] || die 'installing enabled something'
[ -z "$(systemctl list-units --no-legend --no-pager --state=active 'floe-[!t]*' floe.target)" ] || die 'installing started something'

say 'a floe-slot that found another one at work is started again, and none restarts the machine for it'
mkdir -p /run/floe
touch /run/floe/boot.conf
for unit in floe-slot floe-slot-overdue floe-slot-revoke; do
  mkdir -p /run/systemd/system/$unit.service.d
  cat >/run/systemd/system/$unit.service.d/test.conf <<UNIT
[Service]
ExecStart=
ExecStart=/bin/sh -c '[ -e /run/floe/$unit-busy ] && : >/run/floe/$unit-again && exit 0; : >/run/floe/$unit-busy; exit 4'
ReadWritePaths=
ReadWritePaths=/run/floe
RestartSec=100ms
UNIT
done
systemctl daemon-reload
systemctl start floe-slot-overdue.service || die 'floe-slot-overdue fails when another one is at work'
for unit in floe-slot floe-slot-revoke; do
  systemctl start --no-block $unit.service
  wait_for 30 "$unit to be started again" test -e /run/floe/$unit-again
done
rm -r /run/systemd/system/floe-slot*.service.d /run/floe/boot.conf /run/floe/floe-slot*
systemctl daemon-reload

say 'server'
cp -r repo /var/lib/floe-server/
systemctl enable --now floe-server.service >enable.log 2>&1 || { cat enable.log; die "enable floe-server.service"; }
serves() { bash -c 'exec 3<>/dev/tcp/127.0.0.1/8443'; }
wait_for 30 'the server to serve' serves
[ "$(stat -c '%a %U' /var/lib/floe-server/tls/key.pem)" = '600 floe-server' ] || die 'the key of the server'
pin=$(floe-server --data /var/lib/floe-server --print-pin --user floe-server)

say 'endpoint: by one command, with the screen drawn into nowhere'
install -D -m 644 root.json /usr/share/floe/root.json
printf '[server]\nurl=https://127.0.0.1:8443\npin=%s\n[endpoint]\ngroup=test\n[host]\nusb=observe\n' "$pin" >/etc/floe/floe.conf
mkdir -p /etc/systemd/system/floe-console.service.d
printf '[Service]\nEnvironment=WLR_BACKENDS=headless\n' >/etc/systemd/system/floe-console.service.d/test.conf
# The unit wants seatd, which has no screen to hand out here.
rm /etc/systemd/system/seatd.service
printf '[Service]\nExecStart=sleep infinity\n' >/etc/systemd/system/seatd.service
systemctl daemon-reload
systemctl enable --now floe.target >enable.log 2>&1 || { cat enable.log; die "enable floe.target"; }
in_force() { floe-vm status | grep -q 'policy: *test, version [1-9]'; }
wait_for 60 'a policy in force' in_force
wait_for 30 'the console on the bus' on_bus floe-console.service
wait_for 30 'the agent on the bus' on_bus floe-agent.service
floe-vm status

say 'who they are, and what they hold'
for unit in agent console server; do
  [ "$(ps -o user= -p "$(pid floe-$unit)")" = "floe-$unit" ] || die "floe-$unit is $(ps -o user= -p "$(pid floe-$unit)")"
  [ "$(of floe-$unit CapBnd) $(of floe-$unit CapEff)" = '0000000000000000 0000000000000000' ] || die "floe-$unit has capabilities"
done
for unit in hypervisord agent console server; do
  [ "$(of floe-$unit NoNewPrivs) $(of floe-$unit Seccomp)" = '1 2' ] || die "floe-$unit has no filter of system calls"
done
# CHOWN 0, DAC_READ_SEARCH 2, KILL 5, SETGID 6, SETUID 7, SETPCAP 8, NET_BIND_SERVICE 10, NET_ADMIN 12, NET_RAW 13, SYS_ADMIN 21.
[ "$(of floe-hypervisord CapBnd)" = 00000000002035e5 ] || die "floe-hypervisord's capabilities: $(of floe-hypervisord CapBnd)"

say 'machines, one with a network; hypervisord is killed'
floe-vm start tiny || die start
floe-vm start other || die start
floe-vm list
floe-vm net tiny | head -n 3
[ "$(pgrep -xc dnsmasq)" = 1 ] || die 'no DHCP server'
before=$(pid floe-hypervisord) tiny=$(machine tiny) other=$(machine other)
kill -KILL "$before"
wait_for 30 'another hypervisord' new_pid floe-hypervisord "$before"
wait_for 30 'the machine to be known again' executes tiny
[ "$(machine tiny) $(machine other)" = "$tiny $other" ] || die 'these are other machines'

say 'agent, server and console are killed'
for unit in agent server; do
  before=$(pid floe-$unit)
  kill -KILL "$before"
  wait_for 30 "another floe-$unit" new_pid floe-$unit "$before"
done
before=$(pid floe-console)
pkill -KILL -x floe-console
wait_for 30 'another compositor' new_pid floe-console "$before"
wait_for 30 'another console on the bus' on_bus floe-console.service

say 'the endpoint ends: machines are suspended; it is back: they are resumed, and those that were not are not'
floe-vm suspend other || die suspend
systemctl stop floe.target floe-machines floe-hypervisord floe-agent floe-console
gone tiny || die 'the machine still runs'
[ "$(cat /var/lib/floe/machines-to-resume)" = tiny ] || die 'which machines to resume'
systemctl start floe.target
wait_for 60 'the machine, resumed' is tiny running
is other suspended || die "the other one: $(floe-vm list)"
wait_for 10 'the list to go' test ! -e /var/lib/floe/machines-to-resume

say 'installed again: daemons are new, the machine is the same'
before=$(pid floe-hypervisord) tiny=$(machine tiny)
dpkg -i debs/floe-endpoint_*.deb >dpkg.log 2>&1 || { cat dpkg.log; die 'dpkg -i'; }
wait_for 30 'another hypervisord' new_pid floe-hypervisord "$before"
wait_for 30 'the machine to be known again' executes tiny
[ "$(machine tiny)" = "$tiny" ] || die 'it is another machine'

say 'removed'
dpkg -r floe-endpoint floe-server floe-tools >dpkg.log 2>&1 || { cat dpkg.log; die 'dpkg -r'; }
gone tiny || die 'a machine outlives the package'
[ -z "$(pgrep -u floe-agent,floe-console,floe-server)" ] || die 'a daemon outlives its package'
[ -z "$(find /etc/systemd/system -name 'floe*' ! -name floe-test.service ! -path '*/floe-console.service.d*')" ] || die 'a unit is still enabled'
