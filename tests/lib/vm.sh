# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh: a machine with Debian 13's kernel, in QEMU under TCG, that runs one script of ours as root: for what the kernel
# of the host may not have (USB, gadgets, VLANs, bridges with filters) or should not be asked for. -cpu max has AMD's SVM, so a guest
# within the guest runs on real KVM. A test with it looks like this:
#
#   before_sandbox() { . "$SOURCE/tests/lib/vm.sh"; vm_prepare; }
#   . "$(dirname "$0")/../lib/host.sh"
#   . "$SOURCE/tests/lib/vm.sh"
#   vm_run 120 tests/lib/THING-inside.sh ARGUMENT...
#
# vm_run SECONDS SCRIPT ARGUMENT...: the script's output comes to our standard output while it runs, its status is vm_run's (a machine that
# dies or takes longer than SECONDS is a failure, with the end of its console). SCRIPT is a path within the checkout.
# vm_start SCRIPT ARGUMENT... and vm_wait SECONDS do the same in two steps, for a test that does things from outside meanwhile.
# Settings, before vm_start: VM_NAME (vm), VM_MEMORY (1024 MiB), VM_CPUS (1), VM_CMDLINE (more for the kernel), VM_ARGS (array, more for QEMU), VM_NESTED
# (whether there will be guests on KVM within: see vm_wait).
# With more than one CPU a kernel that patches its own code while another CPU runs it, as it does for hooks and probes, now and then
# panics under QEMU's TCG.
#
# Inside, for the script:
#   /source      this checkout, read-only          /build   its build for Debian 13, read-only; /build/bin is first in PATH
#   /exchange    the working directory, which is $VM_DIR outside: files passed in and out, both ways and at any time (9p)
#   anything else: the tree of vm_packages with a layer in memory over it. /proc, /sys, /dev, /dev/pts, /dev/shm, /run, /tmp, cgroup2, tracefs and
#   configfs are mounted, lo is up, nothing else runs: no systemd, no udev. Modules load with modprobe: all of Debian's.
#   /run/outer-qmp, a name for the QMP monitor of the QEMU that the script runs in, already past its greeting and negotiation: for
#   plugging and pulling devices; one request a line (tests/tools/vm-qmp.c). The same QEMU has another monitor outside, at
#   $VM_QMP (vm_qmp COMMAND [ARGUMENTS-AS-JSON]).
# FLOE_VM_BUILD in the environment: another build to use, such as build/gcc of a host whose libraries Debian 13 has too; nothing is built then.
# QEMU has the controllers that q35 has, and virtio; USB controllers, network cards and disks are for VM_ARGS.

. "$SOURCE/tests/lib/debian13.sh"
. "$SOURCE/tests/lib/trixie.sh"

# TCG does "fast strings" byte by byte: with them, memory is cleared at a tenth of the speed.
VM_CPU=max,-erms,-fsrm
vm_recipe=1
vm_packages=(linux-image-amd64 kmod udev busybox-static erofs-utils qemu-system-x86 qemu-system-modules-spice qemu-utils nbdkit
  dbus dbus-daemon polkitd nftables iproute2 dnsmasq-base conntrack tcpdump procps libglib2.0-bin socat jq openssl util-linux
  iputils-ping python3-minimal usbutils strace dosfstools e2fsprogs syslinux syslinux-common mtools xz-utils curl iperf3
  libjansson4 libssl3t64 libzstd1 libcurl4t64 libmicrohttpd12t64 libsqlite3-0 libnftnl11 libmnl0 libcap-ng0 libseccomp2 libpolkit-gobject-1-0
  libglib2.0-0t64 libusb-1.0-0 libusbredirparser1t64)
# What the machine needs to find its root: in the initrd, with all that these depend on.
vm_modules=(virtio_pci virtio_blk virtio_console erofs overlay 9pnet_virtio 9p)

# vm_prepare: before the sandbox, since it needs the archive's network when nothing is cached. Sets VM_BOOT: a directory with kernel, initrd
# and root file system.
vm_prepare() {
  need mmdebstrap
  need qemu-system-x86_64
  "$SOURCE/tests/lib/trixie.sh" vm "${vm_packages[@]}" >/dev/null
  VM_BOOT=$(vm_made boot vm-initrd.sh "${vm_modules[@]}") || die 'kernel, initrd and root file system of the test machine'
  export VM_BOOT
  [ -z "${FLOE_VM_BUILD:-}" ] || return 0
  say 'building for Debian 13'
  debian13_build "$(debian13_tree)" gcc || die 'build for Debian 13'
}

# vm_in_tree TREE OUT SCRIPT ARGUMENT...: runs a script of tests/lib in a copy of TREE, with TREE at /tree, and OUT at /out for what it makes.
vm_in_tree() {
  unshare --mount --pid --fork --kill-child=KILL bash -euc '
    tree=$1 out=$2 library=$3 script=$4; shift 4
    mount -t tmpfs tmpfs /run
    mkdir /run/upper /run/work /run/root
    mount -t overlay -o "lowerdir=$tree,upperdir=/run/upper,workdir=/run/work" overlay /run/root
    mkdir /run/root/out /run/root/tree /run/root/library
    mount --bind "$out" /run/root/out
    mount --bind "$tree" /run/root/tree
    mount --bind "$library" /run/root/library
    mount -t proc proc /run/root/proc
    exec chroot /run/root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh "/library/$script" /tree /out "$@"
  ' bash "$1" "$2" "$SOURCE/tests/lib" "${@:3}"
}

# vm_made NAME SCRIPT ARGUMENT...: prints the directory that vm_in_tree made with them, kept beside the tree by the content of all of it.
vm_made() (
  name=$1 script=$2; shift
  tree=$(trixie_path vm "${vm_packages[@]}")
  made=$tree.$name-$( (echo $vm_recipe "$*"; cd "$SOURCE/tests/lib"; cat "$script"; for word in "$@"; do case $word in /library/*) cat "${word#/library/}" ;; esac; done) |
    sha256sum | cut -c1-16)
  if [ ! -d "$made" ]; then
    exec 8>"$made.lock"
    flock 8
    if [ ! -d "$made" ]; then
      rm -rf "$made.part"
      mkdir "$made.part"
      vm_in_tree "$tree" "$made.part" "$@" >&2 || exit 1
      sync -f "$made.part"
      mv -T "$made.part" "$made"
    fi
  fi
  echo "$made"
)

# vm_guest INIT MODULE...: prints the path of a disk for a guest within the test machine (tests/lib/vm-guest.sh); INIT is a file of tests/lib. After
# vm_prepare, and before the sandbox too.
vm_guest() {
  local init=$1 made; shift
  made=$(vm_made guest vm-guest.sh "/library/$init" "$@") || return 1
  echo "$made/guest.raw"
}

vm_start() {
  local script=$1 name=${VM_NAME:-vm}; shift
  VM_DIR=$WORK/$name VM_QMP=$WORK/$name.qmp VM_LOG=$WORK/$name.console
  mkdir -p "$VM_DIR"
  rm -f "$VM_DIR"/{status,beat} "$WORK/$name".{fifo,inner}
  {
    [ -z "${VM_NESTED:-}" ] || echo '(while echo $SECONDS >/exchange/beat; do sleep 2; done) >/dev/null 2>&1 </dev/null &'
    # Emulated, all takes many times as long.
    echo "export FLOE_PATIENCE=$((4 * FLOE_PATIENCE))"
    printf '%q ' bash "/source/$script" "$@"
  } >"$VM_DIR/command"
  # A pipe in between: QEMU would make our own output non-blocking, for all who write to it.
  mkfifo "$WORK/$name.fifo"
  cat "$WORK/$name.fifo" &
  VM_CAT=$!
  qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -M q35 -accel tcg,thread=multi -cpu $VM_CPU -smp "${VM_CPUS:-1}" -m "${VM_MEMORY:-1024}" \
    -display none -rtc base=utc -kernel "$VM_BOOT/vmlinuz" -initrd "$VM_BOOT/initrd" \
    -append "console=ttyS0 loglevel=5 panic=-1 mitigations=off random.trust_cpu=on ${VM_CMDLINE:-}" \
    -chardev file,id=console,path="$VM_LOG" -serial chardev:console \
    -drive if=none,id=root,format=raw,readonly=on,file="$VM_BOOT/root.erofs" -device virtio-blk-pci,drive=root \
    -virtfs local,path="$SOURCE",mount_tag=source,security_model=none,readonly=on,multidevs=remap \
    -virtfs local,path="${FLOE_VM_BUILD:-$SOURCE/build/debian13/gcc}",mount_tag=build,security_model=none,readonly=on,multidevs=remap \
    -virtfs local,path="$VM_DIR",mount_tag=exchange,security_model=none,multidevs=remap \
    -device virtio-serial-pci -device virtio-rng-pci \
    -chardev file,id=output,path="$WORK/$name.fifo" -device virtserialport,chardev=output,name=output \
    -chardev socket,id=monitor,path="$WORK/$name.inner",server=on,wait=off -mon chardev=monitor,mode=control \
    -chardev socket,id=monitor-port,path="$WORK/$name.inner" -device virtserialport,chardev=monitor-port,name=qmp \
    -qmp "unix:$VM_QMP,server=on,wait=off" ${VM_ARGS[@]+"${VM_ARGS[@]}"} </dev/null 2>"$WORK/$name.qemu" >&2 &
  VM_PID=$!
}

# vm_wait SECONDS: the script's status; 75 when the emulator stands still. With a guest on KVM within, QEMU 7.2 loses interrupts now and then: TCG's VMRUN
# writes the processor's word of requests without a lock, over one that a timer has made at the same moment. The timer's is pending in the local APIC (IRR) from
# then on and the processor is not told: the machine sleeps for ever, or the one process that runs goes on alone. An interrupt of any other device has the APIC
# look at all that is pending: so a machine of VM_NESTED that has no heartbeat for 8 seconds has a key pressed on its keyboard, again every 4. It stands
# still when that does not help for five minutes, or when QEMU takes no processor time for two, which a kernel with nothing to do never does.
VM_STILL=75
vm_wait() {
  local end=$((SECONDS + $1)) status=1 used='' moved=$SECONDS stat still= beat='' last='' beaten=$SECONDS kicked=0
  while kill -0 "$VM_PID" 2>/dev/null && [ $SECONDS -lt $end ] && [ -z "$still" ]; do
    sleep 0.2
    read -r -a stat 2>/dev/null <"/proc/$VM_PID/stat" || continue
    if [ "${stat[13]} ${stat[14]}" != "$used" ]; then
      used="${stat[13]} ${stat[14]}" moved=$SECONDS
    elif [ $((SECONDS - moved)) -ge 120 ]; then
      still=1
    fi
    [ -e "$VM_DIR/beat" ] && read -r beat 2>/dev/null <"$VM_DIR/beat" || continue
    if [ "$beat" != "$last" ]; then
      [ $kicked = 0 ] || say "the emulator had stood still for $((SECONDS - beaten)) s, and goes on"
      last=$beat beaten=$SECONDS kicked=0
    elif [ $((SECONDS - beaten)) -ge 300 ]; then
      still=1
    elif [ $((SECONDS - beaten)) -ge $((8 + kicked * 4)) ]; then
      kicked=$((kicked + 1))
      vm_qmp send-key '{"keys":[{"type":"qcode","data":"shift"}]}' >/dev/null || true
    fi
  done
  if [ -n "$still" ]; then
    say 'the emulator stands still'
    kill -9 "$VM_PID"
    status=$VM_STILL
  elif kill -0 "$VM_PID" 2>/dev/null; then
    say "the test machine took longer than $1 seconds"
    kill -9 "$VM_PID"
  fi
  wait "$VM_PID" 2>/dev/null || true
  # If QEMU has not even opened it, the reader would wait for ever.
  kill "$VM_CAT" 2>/dev/null && sleep 0.2
  wait "$VM_CAT" 2>/dev/null || true
  if [ -s "$VM_DIR/status" ]; then
    status=$(cat "$VM_DIR/status")
  else
    say 'the test machine ended without a status; what QEMU said, and its console:'
    tail -n 5 "$WORK/${VM_NAME:-vm}.qemu" >&2
    tail -n 40 "$VM_LOG" >&2
  fi
  return "$status"
}

vm_run() {
  local seconds=$1; shift
  vm_start "$@"
  vm_wait "$seconds"
}

# vm_qmp COMMAND [ARGUMENTS]: one QMP command from outside; prints its answer and fails on an error.
vm_qmp() {
  local answer
  answer=$(printf '%s\n' '{"execute":"qmp_capabilities"}' "{\"execute\":\"$1\"${2:+,\"arguments\":$2},\"id\":1}" |
    socat -t 10 - "UNIX-CONNECT:$VM_QMP" | grep -m1 '"id": 1')
  printf '%s\n' "$answer"
  [[ $answer == *'"return"'* ]]
}
