#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# layers.sh [TREE]: includes point one way only (docs/architecture.md): common <- policy <- server-sync <- {hypervisor, image-builder, appliance} <- agent;
# console-ui sees the rest through D-Bus alone, so it includes its own, common/ and generated headers. Below policy: trust <- document <- signing.
# Every quoted include is written from the top of the tree; one that is not there must be generated.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)

check() {
  local tree=$1
  (cd "$tree" && for directory in common policy server-sync hypervisor image-builder appliance agent console-ui; do
    [ ! -d $directory ] || find $directory -name '*.[ch]' -exec grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} +
  done || true) | awk -v tree="$tree" '
    BEGIN {
      rank["common"] = 0; rank["policy/trust"] = 1; rank["policy/document"] = 2; rank["policy/signing"] = 3; rank["policy"] = 4
      rank["server-sync"] = 5; rank["hypervisor"] = 6; rank["image-builder"] = 6; rank["appliance"] = 6; rank["agent"] = 7; rank["console-ui"] = 8
    }
    # The longest name of a layer that PATH lies in.
    function layer(path,   parts) {
      split(path, parts, "/")
      return ((parts[1] "/" parts[2]) in rank) ? parts[1] "/" parts[2] : parts[1]
    }
    function refuse(why) { printf "%s: %s: %s\n", where, header, why; bad++ }
    {
      where = $0; sub(/:[ \t]*#.*/, "", where)
      header = $0; sub(/^[^"]*"/, "", header); sub(/".*/, "", header)
      file = where; sub(/:.*/, "", file)
      from = layer(file); to = layer(header); seen++
      if (header !~ /\//) {
        if (system("find \"" tree "\" -name \"" header "\" -path \"*/*\" -not -path \"*/build/*\" | grep -q .") == 0)
          refuse("write it from the top of the tree")
      } else if (header ~ /(^|\/)\.\.(\/|$)/ || !(to in rank))
        refuse("not a layer of the project")
      else if (from == "console-ui" && to != "console-ui" && to != "common")
        refuse("console-ui sees the rest through D-Bus alone")
      else if (from != to && rank[to] >= rank[from])
        refuse(from " is below " to " or beside it")
    }
    END { printf "%d includes, %d of them point up\n", seen, bad; exit bad > 0 || seen == 0 }'
}

[ $# -eq 0 ] || { check "$1"; exit; }

# A check that cannot fail proves nothing: each of these must be refused, and the tree around them accepted.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
try() {
  local wanted=$1 file=$2 header=$3 status=0
  rm -rf "$work/tree"
  mkdir -p "$work/tree/$(dirname "$file")" "$work/tree/common"
  echo '#include "common/floe-error.h"' >"$work/tree/common/good.c"
  printf '#include "%s"\n' "$header" >"$work/tree/$file"
  check "$work/tree" >/dev/null || status=$?
  [ $status = "$wanted" ] || { echo "layers.sh itself: $file including $header: status $status, $wanted wanted"; exit 1; }
}
try 1 common/a.c policy/document/floe-policy.h
try 1 policy/trust/a.c policy/document/floe-policy.h
try 1 policy/document/a.h policy/signing/floe-repository.h
try 1 policy/document/a.h policy/../agent/a.h
try 1 server-sync/image/a.c hypervisor/net/floe-net.h
try 1 hypervisor/a.c image-builder/a.h
try 1 image-builder/a.c hypervisor/a.h
try 1 appliance/a.c hypervisor/a.h
try 1 appliance/a.c agent/a.h
try 1 hypervisor/a.c agent/a.h
try 1 console-ui/a.c hypervisor/usb/floe-usb.h
try 1 console-ui/a.c policy/document/floe-policy.h
try 1 hypervisor/a.c console-ui/a.h
try 1 agent/a.c console-ui/a.h
try 1 agent/a.c tests/lib/a.h
try 1 common/a.c good.c
try 0 policy/floe-policy.c policy/signing/floe-repository.h
try 0 policy/document/a.c policy/trust/floe-trust.h
try 0 agent/a.c hypervisor/a.h
try 0 agent/a.c server-sync/image/floe-store.h
try 0 console-ui/a.c common/floe-fd.h
try 0 console-ui/a.c floe-hypervisor-generated.h
check "$SOURCE"
