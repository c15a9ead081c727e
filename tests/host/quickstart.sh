#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# exclusive
# packaging/quickstart as a new user runs it: once to the end, then again with Ctrl-C in the middle. Neither may leave a process, link, table,
# mount or namespace behind.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
NAME=quickstart-test
. "$SOURCE/packaging/lib/base.sh"
export FLOE_PATIENCE=${FLOE_PATIENCE:-4}
# Other tests run the same programs meanwhile: what is looked for below are the processes that come from here.
if [ -z "${FLOE_OWN_PROCESSES:-}" ]; then
  FLOE_OWN_PROCESSES=1 exec unshare --mount --pid --fork --kill-child=KILL --mount-proc bash "$0" "$@"
fi
unset DISPLAY XAUTHORITY
# What this host has that quickstart could leave behind.
host_state() {
  ip -br link | awk '{ print "link", $1 }'
  nft list tables 2>/dev/null | sed 's/^/nft /'
  awk '{ print "mount", $5 }' /proc/self/mountinfo
  ip netns list 2>/dev/null | sed 's/^/netns /'
  ls -d /var/lib/floe /run/floe /tmp/.X77-lock /tmp/.X11-unix/X77 2>/dev/null | sed 's/^/file /' || true
  # Names as the kernel keeps them: 15 bytes.
  for name in floe-hypervisor floe-agent floe-server floe-console nbdkit qemu-system-x86 Xvfb dnsmasq polkitd dbus-daemon socat; do
    pgrep -x "$name" | sed "s/^/process $name /" || true
  done
}
host_state | sort >"$SOURCE/build/host-before.txt"
check_leftovers() {
  sleep 1
  host_state | sort >"$SOURCE/build/host-after.txt"
  comm -13 "$SOURCE/build/host-before.txt" "$SOURCE/build/host-after.txt" >"$SOURCE/build/host-left.txt"
  leftovers=$(wc -l <"$SOURCE/build/host-left.txt")
  [ "$leftovers" = 0 ] || { cat "$SOURCE/build/host-left.txt"; die "$1 left $leftovers things behind (above)"; }
}

"$SOURCE/packaging/quickstart"
for picture in 1-machines-streaming 2-desktop-one 3-desktop-two-after-hotkey; do
  file=$SOURCE/build/quickstart/$picture.png
  [ -e "$file" ] || die "$picture.png is not there"
  colours=$(identify -format %k "$file")
  [ "$colours" -gt 200 ] || die "$picture.png shows nothing: $colours colours"
done
cd "$SOURCE/build/quickstart"
pictures_differ 1-machines-streaming.png 2-desktop-one.png || die 'pictures 1 and 2 are the same'
pictures_differ 2-desktop-one.png 3-desktop-two-after-hotkey.png || die 'the hotkey changed nothing on the screen'
check_leftovers quickstart
# The run below begins with an empty directory.
mkdir -p "$SOURCE/build/test-logs/quickstart"
cp ./*.png "$SOURCE/build/test-logs/quickstart/"

# A shell's background jobs ignore SIGINT; a person's terminal does not.
env --default-signal=INT "$SOURCE/packaging/quickstart" >"$SOURCE/build/quickstart-interrupted.log" 2>&1 &
pid=$!
streaming() { grep -q 'fetched of an image' "$SOURCE/build/quickstart-interrupted.log"; }
wait_for 300 'quickstart to stream' streaming
kill -INT $pid
status=0
wait $pid || status=$?
[ $status != 0 ] || die 'an interrupted quickstart ended with success'
check_leftovers 'an interrupted quickstart'
figure leftovers "$leftovers"
