#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# The C code builds with Debian 13's gcc and clang, warnings being errors, and its unit tests pass there: what the appliance runs.
before_sandbox() {
  . "$SOURCE/tests/lib/debian13.sh"
  tree=$(debian13_tree)
  export tree
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/debian13.sh"

for compiler in gcc clang; do
  debian13_build "$tree" $compiler || die "build with $compiler"
  say "$compiler: $(debian13_inside "$tree" $compiler --version | head -n 1): built"
done
# What takes longest is models of our own steps, whatever they run on: with --long alone.
models=' floe-repository-test slot-power-test install-power-test usb-oracle-test '
tests=0 failed=
for program in "$SOURCE"/build/debian13/gcc/tests/*-test; do
  name=$(basename "$program")
  [ -n "${FLOE_LONG:-}" ] || [[ $models != *" $name "* ]] || continue
  debian13_inside "$tree" FLOE_BUILD=/build/gcc timeout 300 "/build/gcc/tests/$name" >test.log 2>&1 || { tail -n 30 test.log; failed+=" $name"; }
  tests=$((tests + 1))
done
[ -z "$failed" ] || die "on Debian 13:$failed"
[ $tests -gt 0 ] || die 'no unit test was built'
figure debian13_unit_tests $tests
