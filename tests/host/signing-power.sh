#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# light
# floe-policy is killed at each of its renames and removals in turn, while it publishes, rotates keys and changes root. At every such instant a client
# accepts the repository and has the old policy or the new one; the next run of the same command completes it. And for a power
# cut: each file is synced before it gets its name, and its directory before the next file gets one.
. "$(dirname "$0")/../lib/host.sh"
need strace
need floe-policy
need floe-trust

echo 'correct horse' >pass
cp "$SOURCE/docs/examples/office.json" old.json
sed 's/"memory_mib": *1024/"memory_mib": 2048/' old.json >new.json
cmp -s old.json new.json && die 'the example has changed'
common=(--keys keys --passphrase-file pass)
floe-policy init --repo start "${common[@]}" >/dev/null
floe-policy publish-policy old.json --repo start "${common[@]}" >/dev/null
cp keys/root.json trusted.json
for name in root2 online2 policy2 targets2; do floe-policy key $name "${common[@]}" >/dev/null; done
cp -a keys keys.start
floe-trust --metadata-dir fresh init trusted.json
cp -a fresh current
floe-trust --metadata-dir current --repository start refresh || die 'a client refuses the repository to begin with'

# client STATE: a client with this state accepts the repository and has the old policy or the new one.
client() {
  rm -rf state got
  cp -a "$1" state
  floe-trust --metadata-dir state --repository repo --target-name policy/office.json --target-dir got download >trust.log 2>&1 ||
    { cat trust.log; die "killed at $call $instant of '$*': a client refuses"; }
  cmp -s got/policy%2Foffice.json old.json || cmp -s got/policy%2Foffice.json new.json || die 'neither the old policy nor the new'
}

# durable TRACE: what is renamed was synced just before, and its directory is synced before anything else gets a name.
durable() {
  awk '
    /^fsync\(/ { match($0, /\(([0-9]+)/); fd = substr($0, RSTART + 1, RLENGTH - 1); synced = fd; if (pending == fd) pending = ""; next }
    /^renameat\(/ {
      match($0, /\(([0-9]+)/); dir = substr($0, RSTART + 1, RLENGTH - 1)
      if (pending != "") { print "renamed before the last name was durable: " $0; bad = 1 }
      if (synced == "" || synced == dir) { print "renamed without a sync of its content: " $0; bad = 1 }
      pending = dir; synced = ""; renames++
    }
    END { if (pending != "") { print "the last name was never made durable"; bad = 1 }
          if (!renames) { print "nothing was renamed"; bad = 1 }
          exit bad }' "$1"
}

killed=0
# kill_at INSTANT COMMAND...: killed as $call happens for the INSTANTth time, then begun again; clients are content with both.
kill_at() {
  local status=0
  instant=$1
  shift
  rm -rf repo keys
  cp -a start repo; cp -a keys.start keys
  { strace -o /dev/null -e inject=$call:signal=KILL:when=$instant floe-policy "$@" --repo repo "${common[@]}" >out 2>&1; } 2>/dev/null || status=$?
  [ $status != 0 ] || die "'$*' was not killed at its $call $instant"
  killed=$((killed + 1))
  client fresh "$@"
  client current "$@"
  # A change of keys that had taken force says that it was made already.
  floe-policy "$@" --repo repo "${common[@]}" >out 2>&1 || quietly grep 'has this key already\|has no key' out || { cat out; die "'$*' after a kill at $call $instant"; }
  floe-policy refresh --repo repo "${common[@]}" >out 2>&1 || { cat out; die "refresh after a kill at $call $instant of '$*'"; }
  [ -z "$(ls repo/drafts)" ] || die "'$*', killed at $call $instant and begun again, left drafts"
  client fresh "$@"
  client current "$@"
}
# try COMMAND...: one that ends with everything in force, from the same start each time.
try() {
  local total
  rm -rf repo keys
  cp -a start repo; cp -a keys.start keys
  strace -o trace -e trace=fsync,renameat,unlinkat floe-policy "$@" --repo repo "${common[@]}" >out 2>&1 || { cat out; die "$*"; }
  durable trace || die "'$*' is not durable at every step"
  for call in renameat unlinkat; do
    total=$(grep -c "^$call" trace || true)
    for ((number = 1; number <= total; number++)); do kill_at $number "$@"; done
    say "$*: killed at $total of $call"
  done
}
try publish-policy new.json
client current && cmp -s got/policy%2Foffice.json new.json || die 'the new policy did not arrive'
try rotate policy policy keys.start/policy2.pub
try rotate targets targets keys.start/targets2.pub
try rotate timestamp online keys.start/online2.pub
try rotate root root keys.start/root2.pub
try refresh
[ $killed -gt 20 ] || die "only $killed kills"
figure signing_kills $killed
