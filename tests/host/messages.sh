#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# messages.sh: what a new user gets wrong: no arguments, wrong ones, files that are not there, no message bus. Each program ends by itself with
# the status that it should have (2 for usage) and one line that begins with its name and names the thing.
. "$(dirname "$0")/../lib/host.sh"

cases=0
# says STATUS TEXT COMMAND...: the command's last line begins with the program's name and has TEXT in it.
says() {
  local status=0 wanted=$1 text=$2 output line; shift 2
  output=$(timeout -k 5 60 "$@" 2>&1 </dev/null) || status=$?
  line=$(tail -n 1 <<<"$output")
  [ $status = "$wanted" ] || die "$*: status $status, $wanted wanted: $output"
  [[ $line == "${program:-$1}: "* && $line == *"$text"* ]] || die "$*: '$text' wanted, not: $output"
  cases=$((cases + 1))
}
for name in floe-agent floe-hypervisord floe-server floe-vm floe-image floe-policy floe-console; do
  [ -x "$BUILD/bin/$name" ] || { [ $name = floe-console ] && continue; die "$name was not built"; }
  [ "$($name --version)" = "$name $(sed -n 's/^project(floe VERSION \([0-9.]*\).*/\1/p' "$SOURCE/CMakeLists.txt")" ] || die "$name --version"
  $name --help >help.txt || die "$name --help fails"
  [ -s help.txt ] || die "$name --help says nothing"
  says 2 nonsense $name --nonsense
  says 2 nonsense $name nonsense
done
as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

cat >good.conf <<TXT
[server]
url=https://127.0.0.1:1
pin=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
[endpoint]
group=office
[paths]
state=/run/state
run=/run/floe
root=/run/root.json
[host]
usb=observe
TXT
sed 's/^group=/grup=/' good.conf >key.conf
cp good.conf /run/good.conf
cp key.conf /run/key.conf
says 1 'not run as root' floe-agent
program=floe-agent
says 1 '/run/none.conf: No such file or directory; --config' "${as_nobody[@]}" floe-agent --config /run/none.conf
says 1 'grup: unknown key' "${as_nobody[@]}" floe-agent --config /run/key.conf
program=floe-hypervisord
says 1 'root is needed' "${as_nobody[@]}" floe-hypervisord --config /run/good.conf
program=
says 2 '1 to 604800' floe-agent --interval 0
says 1 '/run/none.conf: No such file or directory; --config' floe-hypervisord --config /run/none.conf
says 1 'grup: unknown key' floe-hypervisord --config key.conf
# Its threads have hardly begun when it has to end: many times, since whether they had decides.
for _ in $(seq 20); do says 1 "system bus: " floe-hypervisord --config /run/good.conf; done
says 1 'system bus: ' floe-vm list
says 2 'usage: floe-vm show ID' floe-vm show
says 2 '--data is needed' floe-server
says 1 'none' floe-server --data none
says 2 'usage: floe-image publish' floe-image publish
says 2 '--index, --table and --store' floe-image verify
says 2 '--repo and --keys' floe-image publish --name desktop none.raw
says 1 'none.raw' floe-image import none.raw out.raw
says 2 '--repo DIR and --keys DIR' floe-policy init
says 1 '--passphrase-file' floe-policy init --repo repo --keys keys
says 1 'none' floe-policy status --repo none
says 1 '--metadata-dir DIR' floe-trust
figure messages_cases $cases
