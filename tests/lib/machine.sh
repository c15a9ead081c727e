# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests of floe-hypervisord, after host.sh: a bus, a signed repository with a small guest in it, and the daemon.
# What the agent would do is done by copying: the repository is the spool.

need dbus-daemon
need qemu-system-x86_64
need nbdkit
need python3
. "$SOURCE/tests/lib/bus.sh"

STATE=$WORK/state CONFIG=/run/floe/floe.conf REPO=$WORK/repo
vm() { floe-vm --config "$CONFIG" "$@"; }
machine_get() {
  gdbus call --system --dest org.floe.Hypervisor1 --object-path "/org/floe/Hypervisor1/machine/$1" \
    --method org.freedesktop.DBus.Properties.Get org.floe.Hypervisor1.Machine "$2" | sed -E "s/^\(<(uint64 |uint32 )?'?//; s/'?>,\)$//"
}
machine_is() { [ "$(machine_get "$1" State)" = "$2" ]; }
stat_of() { vm stats "$1" | awk -v key="$2" '$1 == key { print $2 }'; }

start_bus() { system_bus 10 bus.log; }

# make_sector: sector.bin, the guest of one sector.
make_sector() {
  gcc -m32 -c -o guest.o "$SOURCE/tests/lib/disk-guest.S"
  ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o sector.bin guest.o
  [ "$(stat -c %s sector.bin)" = 512 ] || die "the boot sector has $(stat -c %s sector.bin) bytes"
}
# make_guest: guest.raw, 8 MiB, each chunk different.
make_guest() {
  [ -e sector.bin ] || make_sector
  openssl enc -aes-256-ctr -nosalt -K 0 -iv 0 </dev/zero 2>/dev/null | head -c 8388608 >guest.raw || true
  dd if=/dev/zero of=guest.raw bs=4096 count=1 conv=notrunc status=none
  dd if=sector.bin of=guest.raw conv=notrunc status=none
}

# make_repository: a repository with image tiny.
make_repository() {
  echo correct horse >pass
  floe-policy init --repo "$REPO" --keys keys --passphrase-file pass >repo.log
  floe-image publish --repo "$REPO" --keys keys --passphrase-file pass --name tiny --channel stable --os other --firmware bios \
    "$@" guest.raw >>repo.log
}
# publish_policy FILE; spool: what the agent does. A chunk that is there is not written again: cp would empty it first, and a guest that reads it
# in that moment waits for an agent.
publish_policy() { floe-policy publish-policy --repo "$REPO" --keys keys --passphrase-file pass "$1" >>repo.log; }
spool() {
  rm -rf "$STATE/spool"
  mkdir -p "$STATE/spool" "$STATE/chunks"
  cp -r "$REPO/metadata" "$REPO/targets" "$STATE/spool/"
  cp -ru "$REPO/chunks/." "$STATE/chunks/"
  chmod -R a+rX "$STATE"
}

make_config() {
  mkdir -p "$STATE" /run/floe/agent
  chmod 755 "$WORK" "$STATE"
  cp "$REPO/metadata/1.root.json" /run/floe/root.json
  cat >"$CONFIG" <<TXT
[endpoint]
group=test
[paths]
state=$STATE
run=/run/floe
root=/run/floe/root.json
[host]
usb=observe
[programs]
plugin=$BUILD/lib/nbdkit-floe-plugin.so
resolver=$BUILD/bin/floe-resolver
TXT
}

start_daemon() {
  floe-hypervisord --config "$CONFIG" >>daemon.log 2>&1 &
  DAEMON_PID=$!
  wait_for 30 floe-hypervisord gdbus wait --system --timeout 1 org.floe.Hypervisor1
}

# rounds ID, errors ID: what the guest has written into its disk; nothing if it has not yet.
guest_count() {
  python3 - "$STATE/hypervisor/machines/$1/overlay.qcow2" "$2" <<'PY'
import struct, sys
data = open(sys.argv[1], 'rb').read()
at = data.rfind(b'FLOEDISK')
print('' if at < 0 else struct.unpack('<II', data[at + 8:at + 16])[int(sys.argv[2])])
PY
}
rounds() { guest_count "$1" 0; }
errors() { guest_count "$1" 1; }
# goes_on ID: the guest counts further.
goes_on() { local before; before=$(rounds "$1"); wait_for "${2:-30}" "guest $1 to go on" counts_past "$1" "${before:-0}"; }
counts_past() { local now; now=$(rounds "$1"); [ -n "$now" ] && [ "$now" -gt "$2" ]; }

# leftovers ID...: what is left of machines that do not run; nothing should be.
leftovers() {
  ip -o link | grep -o ': floe[0-9]*' || true
  nft list tables 2>/dev/null | grep floe || true
  ls /run/floe/hypervisor/machines
  grep -c '/run/floe/hypervisor' /proc/mounts | grep -v '^0$' || true
  local pid
  for pid in /proc/[0-9]*; do
    awk '/^Uid/ && $2 >= 630000 && $2 < 662768 { print FILENAME }' "$pid/status" 2>/dev/null || true
  done
  pgrep -x dnsmasq || true
}
