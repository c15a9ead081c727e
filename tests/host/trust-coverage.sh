#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# Branch coverage of policy/trust by its unit tests and its two host tests; over 90 %.
. "$(dirname "$0")/../lib/host.sh"
need gcovr

build=$SOURCE/build/coverage
unit=(floe-trust floe-trust-attacks floe-trust-flips floe-canonical floe-key floe-path floe-metadata floe-state floe-transport)
nice cmake -G Ninja -S "$SOURCE" -B "$build" -DFLOE_COVERAGE=ON -DCMAKE_C_COMPILER_LAUNCHER= -DFLOE_CONSOLE=OFF >"$WORK/log" 2>&1 || { cat "$WORK/log"; die 'cmake'; }
nice ninja -C "$build" "${unit[@]/%/-test}" trust-kill trust-http trust-forge floe-trust-program >"$WORK/log" 2>&1 \
  || { tail "$WORK/log"; die 'build'; }
find "$build" -name '*.gcda' -delete
for test in "${unit[@]}"; do
  "$build/tests/$test-test" >"$WORK/log" 2>&1 || { tail "$WORK/log"; die "$test-test"; }
done
# Nested, they make namespaces of their own; what they count lands in the same files.
for test in trust-http trust-kill; do
  env -u FLOE_SANDBOX FLOE_BUILD="$build" bash "$SOURCE/tests/host/$test.sh" >"$WORK/log" 2>&1 || { tail "$WORK/log"; die "$test.sh"; }
done
cd "$SOURCE"
gcovr --root . --object-directory "$build" --filter policy/trust/ --exclude-throw-branches --branches "$build/policy/trust" --txt "$WORK/table" \
  --json-summary "$WORK/summary.json" >/dev/null 2>&1 || die 'gcovr'
cat "$WORK/table"
percent=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["branch_percent"])' "$WORK/summary.json")
figure trust_branch_coverage_pct "$percent" %
awk -v p="$percent" 'BEGIN { exit !(p > 90) }' || die "$percent % of branches, more than 90 wanted"
