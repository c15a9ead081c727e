#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long
# Networks of mode vlan and bridge, and vhost-net, under Debian 13's kernel in a test machine: the host that runs the tests need not have them.
before_sandbox() {
  . "$SOURCE/tests/lib/vm.sh"
  vm_prepare
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"
. "$SOURCE/tests/lib/machine.sh"
VM_NAME=vm VM_MEMORY=1536
mkdir -p "$WORK/vm"
# There is no compiler inside.
(cd "$WORK/vm" && make_sector)
vm_run 1800 tests/lib/net-vm-inside.sh
