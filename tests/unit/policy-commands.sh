#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What floe-policy's offline commands say and which status they end with, against tests/golden/policy/commands.transcript. With an argument, prints
# the transcript instead, for a look at what changed.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${FLOE_BUILD:-$SOURCE/build/gcc}
export LC_ALL=C.UTF-8
program=$BUILD/bin/floe-policy
[ -x "$program" ] || { echo "no $program: build first"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$SOURCE"/docs/examples/office.json "$SOURCE"/tests/unit/policy-corpus/good/{everything,minimal,networks,notes,notes-networks,update,usb}.json \
  "$SOURCE"/tests/unit/policy-corpus/bad/usb-opens-any.json "$SOURCE"/tests/unit/usbguard-corpus/good/*.conf \
  "$SOURCE"/tests/unit/usbguard-corpus/bad/attribute-twice.conf "$work"
cd "$work"
ln -s /dev/full full

run() {
  local status=0
  echo "\$ floe-policy $*"
  "$program" "$@" 2>&1 || status=$?
  [ $status = 0 ] || echo "[status $status]"
}

transcript() {
  run lint office.json everything.json minimal.json notes.json
  run lint office.json usb-opens-any.json missing.json
  run lint networks.json notes-networks.json
  run lint
  run compile usb-opens-any.json
  run explain office.json machine internet
  run explain everything.json machine Web_2.x-y
  run explain everything.json machine desk
  run explain update.json machine desk
  run explain office.json machine
  run explain office.json machine nobody
  run explain office.json packet office egress tcp 198.51.100.10:8005
  run explain office.json packet office egress tcp 198.51.100.10:443
  run explain office.json packet office egress tcp '[2001:db8::1]:80'
  run explain office.json packet office egress icmp 198.51.100.77
  run explain office.json packet office egress 47 198.51.100.10
  run explain office.json packet internet ingress tcp 203.0.113.5:22
  run explain everything.json packet desk egress udp 169.254.169.254:53
  run explain everything.json packet desk ingress tcp 192.0.2.200:5900
  run explain everything.json packet offline egress tcp 192.0.2.1:80
  run explain office.json packet office egress icmp6 2001:db8::1
  run explain office.json packet office
  run explain office.json packet office out tcp 198.51.100.10:80
  run explain office.json packet office egress tcp 198.51.100.10
  run explain office.json packet office egress tcp 198.51.100.10:65536
  run explain office.json packet office egress icmp 198.51.100.010
  run explain office.json packet office egress 256 198.51.100.10
  run explain office.json packet nobody egress tcp 198.51.100.10:80
  run explain networks.json machine internet
  run explain networks.json machine guard
  run explain networks.json packet internet egress tcp '[2001:db8:77::1]:443' --network web --at 'sat 23:00'
  run explain networks.json packet internet egress tcp '[2001:db8:77::1]:443' --network web --at 'sun 01:59'
  run explain networks.json packet internet egress tcp '[2001:db8:77::1]:443' --network web --at 'tue 07:59' --name Updates.example.org
  run explain networks.json packet internet egress tcp 192.0.2.77:443 --network web --at 'tue 07:59' --name a.mirrors.example.org
  run explain networks.json packet internet egress icmp6 2001:db8::5 --network web --at 'tue 07:00'
  run explain networks.json packet internet egress icmp6 2001:db8::5 --network web --at 'tue 07:00' --type 134
  run explain networks.json packet internet egress icmp 198.51.100.5 --network web --at 'tue 07:00' --type 13
  run explain networks.json packet internet ingress tcp '[2001:db8:9::7]:5901' --network web --at 'mon 11:59'
  run explain networks.json packet internet ingress tcp '[2001:db8:9::7]:5901' --network web --at 'mon 12:00'
  run explain networks.json packet internet egress tcp 198.51.100.9:25 --at 'tue 07:00'
  run explain networks.json packet office egress tcp 192.0.2.53:53
  run explain networks.json packet guard egress tcp 192.0.2.1:443
  run explain networks.json packet guard egress tcp 192.0.2.1:443 --network guarded
  run explain notes-networks.json packet desk egress tcp 203.0.113.200:8011 --network order --at 'mon 12:00'
  run explain notes-networks.json packet desk egress udp 203.0.113.200:8011 --network order --at 'mon 12:00'
  run explain notes-networks.json packet desk egress icmp 192.0.2.5 --network order --at 'mon 12:00' --type 17
  run explain networks.json packet office egress tcp '2001:db8::1:443'
  run explain networks.json packet office egress tcp 192.0.2.1:443 --network web
  run explain networks.json packet office egress tcp 192.0.2.1:443 --at 'monday 08:00'
  run explain networks.json packet office egress tcp 192.0.2.1:443 --at 'mon 24:00'
  run explain networks.json packet office egress tcp 192.0.2.1:443 --at 'mox 08:00'
  run explain networks.json packet office egress tcp 192.0.2.1:443 --type 8
  run explain networks.json packet office egress icmp 192.0.2.1 --type 256
  run explain networks.json packet office egress tcp 192.0.2.1:443 --name '*.example.org'
  run explain office.json usb 046d:c31c 03:01:01 03:00:00
  run explain office.json usb 046d:c31c 03:01:01 08:06:50
  run explain office.json usb 04a9:220d ff:ff:ff
  run explain office.json usb 04a9:220d ff:ff:ff --incomplete
  run explain office.json usb 04a9:220d
  run explain everything.json usb '1050:0407:№ 12:34' --port 2-1.4 03:00:00 0b:00:00
  run explain everything.json usb '1050:0407:№ 12:3' --port 2-1.4 03:00:00 0b:00:00
  run explain everything.json usb 046d:c31c 03:01:01 --holding keyboard=2
  run explain everything.json usb 046d:c31c 03:01:01 --class e0:01:01
  run explain everything.json usb 046d:c31c 03:01:01 --holding nothing=2
  run explain everything.json usb 046d:c31c 03:01:01 --holding keyboard
  run explain everything.json usb 046d:c31c '03:*:*'
  run explain everything.json usb 46d:c31c 03:01:01
  run explain everything.json usb 046d:c31c 03:01:01 --port usb1
  run explain everything.json usb
  run explain everything.json usb 046d:c31c 03:01:01 --class 3:1:1
  run lint usb.json
  run explain usb.json machine lab
  run explain usb.json usb 046d:c31c 03:01:01 03:00:00 --speed low --holding keyboard=1
  run explain usb.json usb 0951:1666:0019E06B9C85 08:06:50 08:06:62@1.0.1 --person alice --front desk --speed high
  run explain usb.json usb 0951:1666:0019E06B9C85 08:06:50 08:06:62@1.0.1 --person alice --front lab --speed high
  run explain usb.json usb 0951:1666:0019E06B9C85 08:06:50 08:06:62@1.0.1 --person alice
  run explain usb.json usb 0951:1666:0019E06B9C85 08:06:50 --front lab --locked
  run explain usb.json usb 0781:5567 08:06:50 03:01:01 --name Stick --manufacturer 'Kingsland Ltd'
  run explain usb.json usb 0bda:0177 08:06:50 0b:00:00
  run explain usb.json usb 046d:0a44 01:01:00 01:02:00 03:00:00 --name 'H*dset'
  run explain usb.json usb 1d50:6018 ff:00:00 --port 2-1.3.1
  run explain usb.json usb 1d50:6018 0b:00:00 --front desk
  run explain usb.json usb 1d50:6018 0b:00:00 --speed fast
  run explain usb.json usb 1d50:6018 0b:00:00 --front nobody
  run explain usb.json usb 1d50:6018 0b:00:00@1.0
  run import-usbguard kiosk.conf
  run import-usbguard office.conf --machine office
  run import-usbguard beyond.conf
  run import-usbguard attribute-twice.conf
  run import-usbguard kiosk.conf --machine ../office
  run import-usbguard
  run compile
  run schema twice
  run explain everything.json people alice
  run explain everything.json
}

transcript >transcript
if [ $# -gt 0 ]; then cat transcript; exit; fi
diff -u "$SOURCE/tests/golden/policy/commands.transcript" transcript
# A full disk is an error, not a short policy.
status=0
"$program" compile office.json >full 2>error || status=$?
[ $status = 1 ] && grep -q 'No space left' error || { echo "compile to a full device: status $status"; cat error; exit 1; }
echo "$(grep -c '^\$' transcript) commands as expected"
