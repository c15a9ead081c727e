#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Rule sets of every kind: what the kernel shows of them after they were loaded over netlink (twice: the second load finds the first one's
# sets and counters) is what it shows after nft has read their text, tests/golden/net.
. "$(dirname "$0")/../lib/host.sh"
for program in nft ip; do need "$program"; done
export TZ=UTC

# show COMMAND...: the tables of card floe0 in a namespace in which COMMAND has loaded them, one statement a line.
show() {
  unshare --net bash -c 'ip tuntap add floe0 mode tap && "$@" >&2 && nft list table netdev floe0 && nft list table inet floe0' show "$@" |
    tr -s ' \t\n' ' ' | sed 's/ \(chain\|set\|map\|counter [^n]\|table\) */\n\1 /g; s/packets 0 bytes 0//g; s/ comment \("[^"]*"\)/ comment \1\n/g' |
    sed 's/[ }]*$//; s/^ *//' | sort
}
cases=0
for case in $("$BUILD/tests/net-bulk" render); do
  show "$BUILD/tests/net-bulk" render "$case" >ours || die "$case: not loaded"
  show nft -f "$SOURCE/tests/golden/net/$case" >theirs || die "$case: nft refuses the text"
  [ "$(wc -l <ours)" -gt 50 ] || die "$case: hardly anything was loaded"
  diff ours theirs >difference || { head -n 40 difference; die "$case: netlink and text disagree"; }
  cases=$((cases + 1))
done
[ "$cases" -ge 6 ] || die "only $cases cases"
figure net_rendered "$cases" kinds
