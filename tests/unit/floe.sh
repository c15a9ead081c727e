#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The dispatcher `floe`: it hands on arguments, input and status untouched, knows only what it lists, and runs only what lies beside it.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "FAILED: $*"; exit 1; }
mkdir "$work/bin" "$work/other"
cp "$SOURCE/packaging/floe" "$work/bin/"
for name in image policy vm agent; do
  printf '#!/bin/sh\nprintf "%%s|" %s "$@"\ncat\nexit 7\n' "$name" >"$work/bin/floe-$name"
  chmod 755 "$work/bin/floe-$name"
done
cp "$work/bin/floe-vm" "$work/other/floe-server"
# try STATUS OUTPUT ARGUMENT...
try() {
  local wanted=$1 output=$2 status=0; shift 2
  got=$(echo in | PATH=$work/other:$PATH "${floe:-$work/bin/floe}" "$@" 2>&1) || status=$?
  [ "$status" = "$wanted" ] || die "floe $*: status $status, $wanted wanted: $got"
  case $got in $output) ;; *) die "floe $*: $got" ;; esac
}
try 7 'image|build|two words|--x=|*|in' image build 'two words' --x= '*'
try 7 'vm|in' vm
try 7 'policy|--help|in' help policy
try 7 'image|help|in' image help
try 0 'usage: floe COMMAND*  image *  policy *  vm *floe help COMMAND*' help
try 0 'usage:*' --help
try 2 'usage:*'
case $got in *server* | *trust*) die 'what is not installed is listed' ;; esac
try 2 'floe: floe-trust is not installed*' trust
try 2 'floe: floe-server is not installed*' server
for name in agent hypervisord ../other/floe-server / . 'image ' 'im.ge' 'image
policy' -- -x --version '*'; do
  try 2 'floe: no such command: *' "$name"
  try 2 'floe: no such command: *' help "$name"
done
ln -s "$work/bin/floe" "$work/other/f"
floe=$work/other/f
try 7 'image|a|in' image a
