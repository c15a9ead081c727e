# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh and packaging/lib/endpoint.sh: the appliance's image in QEMU under TCG with OVMF, a TPM (swtpm), a virtio screen and a network that exists only here. A test:
#
#   before_sandbox() { . "$SOURCE/tests/lib/appliance.sh"; appliance_prepare; }
#   . "$(dirname "$0")/../lib/host.sh"
#   . "$SOURCE/tests/lib/appliance.sh"
#   appliance_world
#   appliance_disk one; appliance_start one
#
# appliance_prepare sets APPLIANCE_DEBUG: the image made with --debug, by the content of packages, trees and options; and APPLIANCE_SERVER (below).
# A machine NAME has: NAME.disk (what it writes over the image), NAME.tpm/, NAME.vars, NAME.serial (what came on its serial line since it was started), NAME.qmp. One runs at
# a time. Settings before appliance_start: APPLIANCE_MEMORY (MiB, 2048), APPLIANCE_ARGS (array, more for QEMU), APPLIANCE_FIRMWARE (a file of OVMF's),
# APPLIANCE_NETWORK (none: no cable, and no appliance_world), APPLIANCE_TRANSLATED (MiB of translated code that TCG keeps).

. "$SOURCE/tests/lib/debian13.sh"
. "$SOURCE/tests/lib/trixie.sh"
. "$SOURCE/tests/lib/vm.sh"

APPLIANCE_PICTURES=$SOURCE/build/appliance
# A machine under TCG beside other work is slow, and nothing here is a measure of time.
APPLIANCE_PATIENCE=${FLOE_APPLIANCE_SECONDS:-1200}

# appliance_packages: this checkout's .debs for Debian 13, in build/debs.
appliance_packages() {
  local tree
  need mmdebstrap
  say 'packages of this checkout for Debian 13'
  tree=$(debian13_tree)
  exec 6>"$SOURCE/build/debs.lock"
  flock 6
  "$SOURCE/packaging/deb/build" "$tree" "$SOURCE/build/debs" >/dev/null || die 'packaging/deb/build'
  exec 6>&-
}
# The image trusts APPLIANCE_SERVER's root, so that all tests start one and the same; it is made once.
appliance_prepare() {
  need qemu-system-x86_64
  need swtpm
  appliance_server "$(appliance_guest)"
  appliance_packages
  APPLIANCE_DEBUG=$(appliance_image debug --debug --root "$APPLIANCE_SERVER/data/repo/metadata/1.root.json") || die 'the image with --debug'
  export APPLIANCE_DEBUG
}

# appliance_guest: prints the path of a small desktop's disk. Debian's kernel for clouds is at its first process in a third of the other's time.
appliance_guest() (
  vm_packages=(linux-image-cloud-amd64 kmod busybox-static dosfstools mtools syslinux syslinux-common)
  "$SOURCE/tests/lib/trixie.sh" vm "${vm_packages[@]}" >/dev/null
  vm_guest appliance-guest-init.sh virtio_pci virtio_blk virtio_net virtio_console
)

# appliance_image NAME OPTION...: prints the path of an image, made if there is none of the same packages, files and options.
appliance_image() (
  name=$1; shift
  # Files and their times: those of the image are the newest of them. A commit that changes nothing else has another.
  key=$( (cd "$SOURCE" && dpkg-deb --fsys-tarfile build/debs/floe-endpoint_*.deb | sha256sum
    cat image-builder/build-appliance.sh; find image-builder/appliance -type f | LC_ALL=C sort | xargs cat; printf '%s\n' "$@") | sha256sum | cut -c1-16)
  image=$FLOE_CACHE/appliance-test-$name-$key.raw
  exec 8>"$FLOE_CACHE/appliance-test.lock"
  flock 8
  if [ ! -e "$image" ]; then
    rm -rf "$FLOE_CACHE/appliance-test-$name"-*.raw "$FLOE_CACHE/appliance-test-$name"-*.raw.d
    "$BUILD/bin/floe-image" build-appliance --output "$image" --debs "$SOURCE/build/debs" --no-firmware "$@" >&2 || exit 1
  fi
  echo "$image"
)

# appliance_world: the network "outside", as endpoint_world has it, the appliance's cable being "uplink", with a DHCP server that names the management server
# too. There is no DNS.
appliance_world() {
  mkdir -p "$APPLIANCE_PICTURES"
  ip netns add outside
  outside ip link set lo up
  outside ip tuntap add dev uplink mode tap
  outside ip address add 192.0.2.1/24 dev uplink
  outside ip link set uplink up
  outside ip address add 198.51.100.10/32 dev lo
  outside ip address add 203.0.113.20/32 dev lo
  outside dnsmasq --conf-file=/dev/null --no-daemon --port=0 --interface=uplink --bind-interfaces --dhcp-range=192.0.2.50,192.0.2.50,1h \
    --dhcp-option=option:router,192.0.2.1 --dhcp-option=236,192.0.2.1:8443 --leasefile-ro --user=root >"$WORK/dhcp.log" 2>&1 &
  outside_services
}

# appliance_disk NAME [IMAGE] [SIZE]: a disk that begins as the image, larger than it: state has to be made room for.
appliance_disk() {
  cp --sparse=always --reflink=auto "${2:-$APPLIANCE_DEBUG}" "$WORK/$1.disk"
  truncate -s "${3:-4G}" "$WORK/$1.disk"
  cp "${APPLIANCE_VARIABLES:-/usr/share/OVMF/OVMF_VARS_4M.fd}" "$WORK/$1.vars"
  mkdir -p "$WORK/$1.tpm"
}
# appliance_boot_file NAME FILE PATH: FILE as PATH on the boot partition of a disk that is not running.
appliance_boot_file() { mcopy -o -i "$WORK/$1.disk@@1M" "$2" "::$3"; }

# appliance_start NAME [TPM]: TPM is another machine's name, or none.
appliance_start() {
  local name=$1 tpm=${2:-$1} code=${APPLIANCE_FIRMWARE:-/usr/share/OVMF/OVMF_CODE_4M.fd} trusted=() machine=q35
  # Words and no function before a job's command: its pid is then QEMU's, and appliance_stop ends that.
  local world=(ip netns exec outside) network=(-netdev tap,id=net,ifname=uplink,script=no,downscript=no -device virtio-net-pci,netdev=net,romfile=)
  [ "${APPLIANCE_NETWORK:-}" != none ] || world=() network=(-nic none)
  APPLIANCE=$name
  rm -f "$WORK/$name".{qmp,shell,swtpm}
  # What an earlier start has said is not said by this one.
  [ ! -e "$WORK/$name.serial" ] || mv "$WORK/$name.serial" "$WORK/$name.serial.before"
  if [ "$tpm" != none ]; then
    mkdir -p "$WORK/$tpm.tpm"
    swtpm socket --tpm2 --tpmstate dir="$WORK/$tpm.tpm" --ctrl type=unixio,path="$WORK/$name.swtpm" --terminate >"$WORK/$name.swtpm.log" 2>&1 &
    wait_for 10 swtpm test -S "$WORK/$name.swtpm"
    trusted+=(-chardev "socket,id=tpm,path=$WORK/$name.swtpm" -tpmdev emulator,id=tpm,chardev=tpm -device tpm-crb,tpmdev=tpm)
  fi
  # Firmware with Secure Boot keeps its variables in memory that only its own mode reaches.
  case $code in *secboot*) machine=q35,smm=on trusted+=(-global driver=cfi.pflash01,property=secure,value=on) ;; esac
  ${world[@]+"${world[@]}"} qemu-system-x86_64 -nodefaults -no-user-config -M $machine -accel "tcg,thread=multi,tb-size=${APPLIANCE_TRANSLATED:-0}" -cpu $VM_CPU \
    -smp 1 -m "${APPLIANCE_MEMORY:-2048}" -display none -rtc base=utc \
    -drive if=pflash,unit=0,format=raw,readonly=on,file="$code" -drive if=pflash,unit=1,format=raw,file="$WORK/$name.vars" \
    -drive if=none,id=disk,format=raw,file="$WORK/$name.disk",discard=unmap -device virtio-blk-pci,drive=disk,bootindex=1 \
    -device virtio-vga,xres=1280,yres=800 -device virtio-keyboard-pci -device virtio-tablet-pci -device virtio-rng-pci -device qemu-xhci,id=usb \
    "${network[@]}" \
    -chardev "socket,id=serial,path=$WORK/$name.shell,server=on,wait=off,logfile=$WORK/$name.serial,logappend=on" -serial chardev:serial \
    -qmp "unix:$WORK/$name.qmp,server=on,wait=off" ${trusted[@]+"${trusted[@]}"} ${APPLIANCE_ARGS[@]+"${APPLIANCE_ARGS[@]}"} \
    </dev/null >"$WORK/$name.qemu" 2>&1 &
  APPLIANCE_PID=$!
  wait_for 20 "QEMU ($(tail -n 2 "$WORK/$name.qemu" 2>/dev/null))" test -S "$WORK/$name.qmp"
}

# appliance_qmp COMMAND [ARGUMENTS-AS-JSON]: one QMP command; prints its answer and fails on an error.
appliance_qmp() {
  local answer
  answer=$(printf '%s\n' '{"execute":"qmp_capabilities"}' "{\"execute\":\"$1\"${2:+,\"arguments\":$2},\"id\":1}" |
    socat -t 20 - "UNIX-CONNECT:$WORK/$APPLIANCE.qmp" | grep -m1 '"id": 1')
  printf '%s\n' "$answer"
  [[ $answer == *'"return"'* ]]
}

# appliance_key NAME...: keys held together, by QEMU's names for them. appliance_type TEXT: small letters and digits, one after the other.
appliance_key() {
  local keys
  keys=$(printf '{"type":"qcode","data":"%s"},' "$@")
  appliance_qmp send-key "{\"keys\":[${keys%,}]}" >/dev/null || die "send-key $*"
}
appliance_type() {
  local i
  for ((i = 0; i < ${#1}; i++)); do appliance_key "${1:i:1}"; done
}

# appliance_picture NAME: the screen as build/appliance/NAME.png.
appliance_picture() {
  appliance_qmp screendump "{\"filename\":\"$WORK/$1.ppm\"}" >/dev/null && convert "$WORK/$1.ppm" "png24:$APPLIANCE_PICTURES/$1.png"
}

# until_screen NAME FUNCTION ARGUMENT...: until FUNCTION likes the screen (screen.ppm); it is kept as NAME.png.
until_screen() {
  local name=$1 end=$((SECONDS + APPLIANCE_PATIENCE)); shift
  until appliance_qmp screendump "{\"filename\":\"$WORK/screen.ppm\"}" >/dev/null && "$@"; do
    [ $SECONDS -lt $end ] || die "the screen is not what $name.png should show: $*"
    sleep 2
  done
  convert screen.ppm "png24:$APPLIANCE_PICTURES/$name.png"
  say "on the screen: $name ($SECONDS s)"
}
# pixel X Y: its colour.
pixel() { tail -c $((3 * 1280 * 800)) screen.ppm | od -An -v -tx1 -j $((3 * ($2 * 1280 + $1))) -N 3 | tr -d ' \n'; }
# The lower right of a desktop has the colour of what answered it (appliance-guest-init.sh).
office_shown() { [ "$(pixel 900 650)" = 00a800 ]; }
# The list has the colours that policy gives both desktops, one below the other.
list_shown() {
  local colours
  colours=$(convert screen.ppm -crop 1x760+276+40 txt:)
  [[ $colours == *#C62828* && $colours == *#2E7D32* ]]
}

# appliance_shell COMMAND [SECONDS]: runs a line in the debug image's shell and prints what it says; its status is the line's, or failure after SECONDS
# (APPLIANCE_PATIENCE). Marks before and after come from commands: the terminal's echo of what was typed may have a prompt in its middle. The kernel writes to
# the same line, into the middle of words: from the first command on it says nothing there.
appliance_shell() {
  local mark=m$RANDOM$RANDOM output
  output=$({ printf '\n%s\n' "echo 1 >/proc/sys/kernel/printk; printf '\\n%s\\n' '${mark:0:2}''${mark:2}'; { $1; } 2>&1; printf '\\n%s %s\\n' '${mark:0:2}''${mark:2}' \$?"
    sleep 0.2; for i in $(seq $((${2:-$APPLIANCE_PATIENCE} * 5))); do
      grep -qa "^$mark [0-9]" "$WORK/$APPLIANCE.answer" 2>/dev/null && break
      # See appliance_awake, whose line does not come while this one holds the line.
      [ $((i % 100)) != 0 ] || echo
      sleep 0.2
    done; } | socat -t 1 - "UNIX-CONNECT:$WORK/$APPLIANCE.shell" | stdbuf -oL tr -d '\r' | tee "$WORK/$APPLIANCE.answer")
  printf '%s\n' "$output" | sed -n "/^$mark\$/,/^$mark [0-9]/p" | sed '1d; $d'
  printf '%s\n' "$output" | quietly grep -a "^$mark 0"
}
# appliance_file PATH FILE: what a file inside holds. A serial line has neither sums nor repetition: a line that is not one of od's makes it be asked for again.
appliance_file() {
  for _ in $(seq 5); do
    appliance_shell "od -An -v -tx1 $1; wc -c <$1" >"$WORK/file.hex" || die "$1: $(tail -n 1 "$WORK/file.hex")"
    { grep -xE '( [0-9a-f]{2}){1,16}' "$WORK/file.hex" || true; } | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >"$2"
    ! quietly grep -x " *$(stat -c %s "$2")" "$WORK/file.hex" || return 0
  done
  die "$1 does not come whole"
}

# appliance_awake: from here on, for as long as the machine runs, its shell gets an empty line every 20 seconds: with guests on KVM within, an emulator stands still
# until some device's interrupt comes (vm_wait in vm.sh). Not before the shell is there: firmware and boot loader take it for a key.
appliance_awake() {
  (
    while sleep 20 && kill -0 $APPLIANCE_PID; do
      echo | timeout 10 socat -u - "UNIX-CONNECT:$WORK/$APPLIANCE.shell" || true
    done
  ) >/dev/null 2>&1 </dev/null &
}

# appliance_has WHAT COMMAND PATTERN: the shell inside, asked until its answer has PATTERN.
appliance_has() {
  local end=$((SECONDS + APPLIANCE_PATIENCE)) answer=
  until answer=$(appliance_shell "$2" 120) && quietly grep -E "$3" <<<"$answer"; do
    [ $SECONDS -lt $end ] && kill -0 $APPLIANCE_PID 2>/dev/null ||
      { echo "$answer" >&2; appliance_picture "failed-$APPLIANCE" || true; die "gave up waiting for: $1"; }
    sleep 1
  done
  say "$1 ($SECONDS s)"
}

# appliance_wait SECONDS WHAT PATTERN: until the serial line has said it; shows its end when it does not.
appliance_wait() {
  local end=$((SECONDS + $1))
  until grep -qaE "$3" "$WORK/$APPLIANCE.serial" 2>/dev/null; do
    if [ $SECONDS -ge $end ] || ! kill -0 $APPLIANCE_PID 2>/dev/null; then
      tail -n 40 "$WORK/$APPLIANCE.serial" >&2 || true
      cat "$WORK/$APPLIANCE.qemu" >&2
      appliance_picture "failed-$APPLIANCE" || true
      die "$APPLIANCE: no sign of $2; the screen is build/appliance/failed-$APPLIANCE.png"
    fi
    sleep 0.3
  done
}

appliance_stop() {
  kill -KILL $APPLIANCE_PID 2>/dev/null || true
  wait $APPLIANCE_PID 2>/dev/null || true
}

# appliance_server GUEST: sets APPLIANCE_SERVER, a directory with data/repo, keys and passphrase of a server that has GUEST as the image "small"; made once. It is
# what published_desktop makes, and only read.
appliance_server() {
  local guest=$1
  APPLIANCE_SERVER=$FLOE_CACHE/appliance-test-server-$(sha256sum "$guest" | cut -c1-16)
  export APPLIANCE_SERVER
  (
    # Two tests begin at the same time.
    exec 8>"$FLOE_CACHE/appliance-test.lock"
    flock 8
    [ ! -d "$APPLIANCE_SERVER" ] || exit 0
    rm -rf "$APPLIANCE_SERVER.part"
    mkdir -p "$APPLIANCE_SERVER.part/data/repo" || exit 1
    (umask 077; head -c 24 /dev/urandom | base64 >"$APPLIANCE_SERVER.part/passphrase")
    set -- --repo "$APPLIANCE_SERVER.part/data/repo" --keys "$APPLIANCE_SERVER.part/keys" --passphrase-file "$APPLIANCE_SERVER.part/passphrase"
    floe-policy init "$@" >&2 && floe-image publish "$@" --name small --channel stable --os linux --firmware bios --memory 128 "$guest" >&2 &&
      mv "$APPLIANCE_SERVER.part" "$APPLIANCE_SERVER"
  ) || die "the server's data for the appliance's tests"
}

# appliance_tools COMMAND...: runs COMMAND in the tree with the tools that made the image, which stays as it was made; $WORK is /build.
appliance_tools() { tree_inside "$(ls -d "$FLOE_CACHE"/appliance-tools-*[0-9a-f] | head -n 1)" "$WORK" "$@"; }
