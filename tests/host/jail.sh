#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A program in the jail of QEMU and nbdkit tries to open, mount, trace, signal and connect to what is not its own. A canary shows that the
# same attempts succeed outside, so that "held" means something.
. "$(dirname "$0")/../lib/host.sh"

mkdir -p jail
chmod 755 "$WORK" jail
mkfifo keep && exec 9<>keep
# What the host has to offer: without these a refused connection would say nothing.
python3 - <<'PY' &
import signal, socket
tcp = socket.create_server(('127.0.0.1', 9))
local = socket.socket(socket.AF_UNIX)
local.bind('\0floe-probe-abstract')
local.listen(4)
open('listening', 'w').close()
signal.pause()
PY
wait_for 10 'the listeners' test -e listening
"$BUILD/tests/jail-probe" run "$WORK/jail" 630000 | tee probe.txt
grep -q '^figure: jail_broken = 0$' probe.txt || die 'the jail has a hole'
# Outside, as root, most of them succeed.
"$BUILD/tests/jail-probe" attack >outside.txt 2>&1 && die 'the probe finds nothing even without a jail'
[ "$(grep -c '^BROKEN' outside.txt)" -ge 10 ] || { cat outside.txt; die 'the probe is too weak to show anything'; }
for attempt in "connect to the host's loopback" "connect to the host's abstract socket" mount 'setuid 0'; do
  grep -qx "BROKEN $attempt" outside.txt || { cat outside.txt; die "'$attempt' is held without a jail too"; }
done
ls -A jail | grep . && die 'the staging directory is not empty'
grep jail /proc/mounts && die 'a mount of the jail is visible outside'
exit 0
