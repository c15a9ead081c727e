#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The test machine that other tests rely on (tests/lib/vm.sh): boots, passes files, arguments, output and status, has the modules that
# they need, real KVM inside, and a monitor of its own; and fails when it must.
before_sandbox() { . "$SOURCE/tests/lib/vm.sh"; vm_prepare; }
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"

VM_ARGS=(-device qemu-xhci,id=xhci)
mkdir -p vm
echo 'passed in' >vm/in.txt
begun=$(date +%s%N)
vm_run 240 tests/lib/vm-inside.sh works 'two words' "it's" >output.txt || { cat output.txt; die 'the script failed'; }
cat output.txt
figure vm_test_seconds "$(awk -v ns=$(($(date +%s%N) - begun)) 'BEGIN { printf "%.1f", ns / 1e9 }')" s
figure vm_boot_seconds "$(cat vm/booted)" s
grep -qx 'arguments: works|two words|it.s' output.txt || die 'its arguments did not arrive'
[ "$(cat vm/out.txt)" = 'passed in, and out' ] || die 'files do not pass'

say 'a script that fails, one that kills the machine, one without end'
status=0
vm_run 120 tests/lib/vm-inside.sh fails || status=$?
[ $status = 7 ] || die "status $status, not 7"
vm_run 120 tests/lib/vm-inside.sh crashes 2>err && die 'a machine that crashed was called good'
grep -q 'without a status' err || die "$(cat err)"
vm_run 5 tests/lib/vm-inside.sh hangs 2>err && die 'a machine that hangs was called good'
grep -q 'longer than 5 seconds' err || die "$(cat err)"

say 'one that stands still is interrupted by its keyboard'
VM_NESTED=1
vm_run 120 tests/lib/vm-inside.sh waits >still 2>&1 || { cat still; die 'no key of a machine without a heartbeat was pressed'; }
grep -q 'and goes on' still || { cat still; die 'nothing was said of it'; }
