# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced inside the test machine (tests/lib/vm.sh) by tests of the USB gate: hypervisord on a bus of its own, devices to plug and pull, and what
# the kernel itself says of them.
#
# The witness is the kernel's tracing, not hypervisord: every new device, every authorisation, every driver's probe and every claim, in
# order, with the name of the thread that did it. It judges all that happens between usb_witness_start and usb_witness_judge.

set -euo pipefail
NAME=$(basename "$0" .sh)
. "$SOURCE/packaging/lib/base.sh"
. "$SOURCE/tests/lib/bus.sh"
STATE=/run/state CONFIG=/run/floe/floe.conf LOG=/run/logs/daemon.log AUDIT=/run/logs/audit.log TRACE=/run/logs/trace.log
CASES=0 FAILURES=0
export PATH="/build/tests:$PATH"
mkdir /run/logs
touch $LOG $AUDIT $TRACE
trap 'status=$?; [ $status = 0 ] || tail -n 15 $LOG >&2; cp -r /run/logs /exchange; exit $status' EXIT

# Under emulation a fork costs what a thousand lines of shell do not: what is asked again and again is asked without one.
mkfifo /run/never
exec 9<>/run/never
pause() { read -rt "$1" <&9 || true; }
# until_so SECONDS WHAT COMMAND...: as wait_for.
until_so() {
  local end=$((SECONDS + $1 * FLOE_PATIENCE)) what=$2; shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || die "gave up waiting for $what"
    pause 0.1
  done
}
# slurp FILE: its text, in SLURPED; empty when it cannot be read.
slurp() { SLURPED=; { IFS= read -rd '' SLURPED <"$1"; } 2>/dev/null || true; }

# -- The endpoint ------------------------------------------------------------------------------------------------------------------

usb_modules() {
  modprobe -a xhci_pci usb_storage uas usbhid hid_generic usbnet cdc_ether rndis_host cdc_acm ftdi_sio snd-usb-audio btusb cdc_subset vhci_hcd \
    kvm-amd tun nf_tables sd_mod
  # As Debian's udev has it; there is none here, and QEMU runs as a user of its own.
  if [ -c /dev/kvm ]; then chmod 666 /dev/kvm; fi
}
heard() { busctl emit /org/floe org.floe.Hypervisor1 Heard; [ -s $AUDIT ]; }
usb_bus() {
  system_bus 120 /run/logs/bus.log
  # As the bus's monitor: one that waits for the name to be owned would miss what is said at once.
  busctl --json=short --match="type='signal',interface='org.floe.Hypervisor1'" monitor >$AUDIT 2>/run/logs/monitor.log &
  wait_for 120 'the monitor' heard
}
# usb_spool N: the repository as it was after its Nth policy, as the agent would have spooled it.
usb_spool() {
  rm -rf $STATE/spool
  mkdir -p $STATE/spool $STATE/chunks
  cp -r "/exchange/spool-$1/metadata" "/exchange/spool-$1/targets" $STATE/spool/
  chmod -R a+rX $STATE
}
usb_endpoint() {
  mkdir -p $STATE /run/floe/agent
  cp /exchange/root.json /run/floe/root.json
  usb_spool 1
  cp -r /exchange/chunks/. $STATE/chunks/
  chmod -R a+rX $STATE
  cat >$CONFIG <<TXT
[endpoint]
group=test
[paths]
state=$STATE
run=/run/floe
root=/run/floe/root.json
[host]
usb=enforce
[programs]
plugin=/build/lib/nbdkit-floe-plugin.so
TXT
}
usb_daemon_start() {
  floe-hypervisord --config $CONFIG >>$LOG 2>&1 &
  DAEMON_PID=$!
  wait_for 180 floe-hypervisord gdbus wait --system --timeout 1 org.floe.Hypervisor1
}
usb_daemon_stop() { kill "${1:--TERM}" $DAEMON_PID; wait $DAEMON_PID 2>/dev/null || true; }
usb_refresh() { gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method org.floe.Hypervisor1.SpoolChanged >/dev/null; }
vm() { floe-vm --config $CONFIG "$@"; }

# -- The witness -------------------------------------------------------------------------------------------------------------------

usb_witness_start() {
  local t=/sys/kernel/tracing
  modprobe usbcore
  echo mono >$t/trace_clock
  echo 8192 >$t/buffer_size_kb
  {
    echo 'p:floe/new usb_new_device task=$comm:string name=udev->dev.kobj.name:string number=udev->devnum:s32 product=udev->descriptor.idProduct:x16'
    echo 'p:floe/gone usb_disconnect'
    echo 'p:floe/authorize usb_authorize_device task=$comm:string name=usb_dev->dev.kobj.name:string number=usb_dev->devnum:s32 product=usb_dev->descriptor.idProduct:x16'
    echo 'p:floe/deauthorize usb_deauthorize_device task=$comm:string name=usb_dev->dev.kobj.name:string number=usb_dev->devnum:s32'
    echo 'p:floe/probe usb_probe_interface task=$comm:string name=dev->kobj.name:string'
    echo 'p:floe/claim usb_driver_claim_interface task=$comm:string name=iface->dev.kobj.name:string'
  } >$t/kprobe_events
  : >$TRACE
  cat $t/trace_pipe >$TRACE &
  TRACE_PID=$!
  echo 1 >$t/events/floe/enable
}
# usb_events PATTERN: "TIME TASK EVENT name=… number=…" of each event that matches, names without the quotation marks.
usb_events() {
  awk '{ time = event = task = rest = ""
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^[0-9]+\.[0-9]+:$/) { time = $i; event = $(i + 1) }
      if ($i ~ /^task=/) task = substr($i, 6)
      if ($i ~ /^(name|number|product)=/) rest = rest " " $i
    }
    gsub(/[":]/, "", time); sub(/:$/, "", event); gsub(/"/, "", rest); gsub(/"/, "", task)
    print time, task, event rest }' $TRACE | grep -E -- "${1:-.}" || true
}
# usb_witness_judge: how many drivers were bound or interfaces claimed on a device that hypervisord had not authorised on this
# connection ("early"), and how many authorisations there were of a product that must never be let in (0b..), of a connection that was expected to
# be blocked (from the time USB_SINCE on where that was set), or by another than hypervisord ("wrong"). What the test itself switched is
# not counted: it says so by USB_TEST_SWITCHED, names of devices.
USB_BLOCKED= USB_SINCE= USB_TEST_SWITCHED=
usb_witness_judge() {
  local verdict
  verdict=$(usb_events | awk -v switched=" $USB_TEST_SWITCHED " -v blocked="$USB_BLOCKED" '
    function field(key,  i) { for (i = 4; i <= NF; i++) if (index($i, key "=") == 1) return substr($i, length(key) + 2); return "" }
    BEGIN {
      n = split(blocked, all, " ")
      for (i = 1; i <= n; i++) {
        split(all[i], one, "@")
        if (!(one[1] in since) || one[2] + 0 < since[one[1]]) since[one[1]] = one[2] + 0
      }
      n = 0
    }
    $3 == "new" { open[field("name")] = 0; n++ }
    $3 == "authorize" {
      name = field("name"); product = field("product")
      if ($2 ~ /^floe-hyp/) open[name] = 1
      else if (!index(switched, " " name " ")) { wrong++; print "wrong: " $0 >"/dev/stderr" }
      key = name "#" field("number")
      if (key in since && $1 + 0 >= since[key]) { wrong++; print "wrong: " $0 >"/dev/stderr" }
      if (product ~ /^0xb[0-9a-f][0-9a-f]$/) { wrong++; print "wrong: " $0 >"/dev/stderr" }
    }
    $3 == "deauthorize" { open[field("name")] = 0 }
    $3 == "probe" || $3 == "claim" {
      name = field("name"); sub(/:.*/, "", name)
      if (name !~ /-0$/ && !open[name] && !index(switched, " " name " ")) { early++; print "early: " $0 >"/dev/stderr" }
    }
    END { print early + 0, wrong + 0, n + 0 }')
  read -r EARLY WRONG CONNECTIONS <<<"$verdict"
}

# -- Devices -----------------------------------------------------------------------------------------------------------------------

SYSFS=/sys/bus/usb/devices
# usb_list: in LISTED, names of devices, " 1-1 2-3 ".
usb_list() {
  local entry
  LISTED=' '
  for entry in $SYSFS/[0-9]*-*; do
    entry=${entry##*/}
    [[ $entry == *[:*]* ]] || LISTED+="$entry "
  done
}
# usb_of VENDOR: the devices of that vendor.
usb_of() { (cd $SYSFS && grep -lx "$1" [0-9]*-*/idVendor 2>/dev/null | cut -d/ -f1) || true; }
# usb_appears COMMAND...: runs it; CAME is the device that has come since.
usb_appears() {
  local before name end=$((SECONDS + 120))
  usb_list
  before=$LISTED
  forget
  "$@" >/run/came || { cat /run/came; return 1; }
  while [ $SECONDS -lt $end ]; do
    usb_list
    for name in $LISTED; do
      [[ $before == *" $name "* ]] || { CAME=$name; return 0; }
    done
    pause 0.05
  done
  echo "no device came after $*" >&2
  return 1
}
usb_is_gone() { [ ! -e "$SYSFS/$1" ]; }
plug() { usb_appears vm-qmp device_add "$1"; }
# pull ID PATH: unplugs it, and waits until the kernel has noticed.
pull() { vm-qmp device_del "{\"id\":\"$1\"}" >/run/went || cat /run/went; until_so 120 "$2 to go" usb_is_gone "$2"; }
# gadget PORT OPTION...: tests/tools/usb-gadget at that port of the virtual controller; sets GADGET_PID and GADGET, its path.
gadget() {
  local port=$1; shift
  usb_appears gadget_start "$port" "$@" || die "no gadget came: $*"
  GADGET=$CAME
}
gadget_start() {
  local port=$1; shift
  usb-gadget -p "$port" "$@" >/run/gadget-$port.log 2>&1 &
  GADGET_PID=$!
}
gadget_pull() {
  kill -KILL "$GADGET_PID"
  wait "$GADGET_PID" 2>/dev/null || true
  until_so 120 "$GADGET to go" usb_is_gone "$GADGET"
}
# Descriptors in hexadecimal, for faces of gadgets.
h() { printf '%02x ' "$@"; }
le() { h $(($1 & 255)) $(($1 >> 8)); }
# device PRODUCT CLASS CONFIGURATIONS [VENDOR]: strings 1, 2, 3 are manufacturer, product and serial.
device() { h 18 1 0 2 "$2" 0 0 64; le "${4:-0xf10e}"; le "$1"; h 0 1 1 2 3 "$3"; }
interface() { h 9 4 "$1" "$2" "${6:-1}" "$3" "$4" "$5" 0; }
endpoint() { h 7 5 "$1" "$2" 64 0 1; }
# configuration VALUE INTERFACES HEX...
configuration() {
  local value=$1 interfaces=$2 body; shift 2
  body=$(echo "$@" | tr -s ' ')
  h 9 2; le $((9 + $(wc -w <<<"$body"))); h "$interfaces" "$value" 0 128 50; echo "$body"
}
hid() { h 9 33 17 1 0 1 34 63 0; endpoint 129 3; }
storage_endpoints() { endpoint 129 2; endpoint 2 2; }
keyboard_interface() { interface "$1" "${2:-0}" 3 1 1; hid; }
storage_interface() { interface "$1" "${2:-0}" 8 6 80 2; storage_endpoints; }
# face NAME LINE...: writes /run/NAME.face.
face() { local name=$1; shift; printf '%s\n' "$@" >"/run/$name.face"; }

# -- What must be so -----------------------------------------------------------------------------------------------------------------

fails() { echo "FAILED: $*"; FAILURES=$((FAILURES + 1)); }
passes() { CASES=$((CASES + 1)); echo "case $CASES: $*"; }
# drain: takes in what hypervisord has said since, as verdicts and as audit events; forget: from here on.
declare -A VERDICTS=() AUDITS=()
exec 8<$LOG 7<$AUDIT
LOG_PART= AUDIT_PART=
drain() {
  local line
  while IFS= read -r line <&8; do
    line=$LOG_PART$line LOG_PART=
    [[ $line =~ 'USB device decided DEVICE='([^ ]+)' ' ]] && VERDICTS[${BASH_REMATCH[1]}]=$line
  done
  LOG_PART+=$line
  while IFS= read -r line <&7; do
    line=$AUDIT_PART$line AUDIT_PART=
    [[ $line == *'"member":"Audit"'* && $line =~ '"path":{"type":"s","data":"'([^\"]+)'"}' ]] && AUDITS[${BASH_REMATCH[1]}]=$line
  done
  AUDIT_PART+=$line
}
forget() { drain; VERDICTS=() AUDITS=(); }
# decided PATH: in DECIDED, hypervisord's last line on it since.
decided() { drain; DECIDED=${VERDICTS[$1]:-}; }
# authorised PATH [VALUE]
authorised() { slurp "$SYSFS/$1/authorized"; [ "${SLURPED//[[:space:]]/}" = "${2:-1}" ]; }
# drivers PATH: in DRIVERS, of its interfaces, each once, "none" for an interface without; nothing when there are no interfaces.
drivers() {
  local interface driver
  DRIVERS=
  for interface in "$SYSFS/$1:"*; do
    slurp "$interface/uevent"
    [ -n "$SLURPED" ] || continue
    driver=none
    [[ $SLURPED =~ DRIVER=([^[:space:]]+) ]] && driver=${BASH_REMATCH[1]}
    [[ " $DRIVERS " == *" $driver "* ]] || DRIVERS+="${DRIVERS:+ }$driver"
  done
}
drivers_are() { drivers "$1"; [ "$DRIVERS" = "$2" ]; }
audited() { drain; [[ ${AUDITS[$1]:-} == *'"rule":{"type":"s","data":"'"$2"'"}'* ]]; }
is_so() {
  decided "$1"
  [[ $DECIDED == *"VERDICT=$2 "*"RULE=$3"* ]] && drivers_are "$1" "$4" && audited "$1" "$3"
}

# expect WHAT PATH VERDICT RULE DRIVERS: a case: hypervisord decided so, said so over D-Bus, and the kernel has these drivers on it.
expect() {
  local what=$1 path=$2 verdict=$3 rule=$4 wanted=$5 before=$FAILURES end=$((SECONDS + 60))
  until is_so "$path" "$verdict" "$rule" "$wanted" || [ $SECONDS -gt $end ]; do pause 0.1; done
  decided "$path"
  [[ $DECIDED == *"VERDICT=$verdict "* ]] || fails "$what: $verdict wanted: ${DECIDED:-no line for $path}"
  [[ $DECIDED == *"RULE=$rule"* ]] || fails "$what: rule $rule wanted: $DECIDED"
  drivers_are "$path" "$wanted" || fails "$what: drivers '$DRIVERS' on $path, '$wanted' wanted"
  audited "$path" "$rule" || fails "$what: no audit event for $path by $rule"
  if [ "$verdict" = block ] && authorised "$path"; then fails "$what: $path is authorised"; fi
  # From here on the witness takes an authorisation of this connection for a wrong one.
  if [ "$verdict" = block ]; then slurp "$SYSFS/$path/devnum"; USB_BLOCKED+=" $path#${SLURPED//[[:space:]]/}${USB_SINCE:+@$USB_SINCE} "; fi
  [ $FAILURES -gt "$before" ] || passes "$what: $verdict by $rule, drivers: ${wanted:-no interfaces}"
}
# expect_gadget WHAT PORT VERDICT RULE DRIVERS OPTION...: plugs it, expects, pulls it.
expect_gadget() {
  local what=$1 port=$2 verdict=$3 rule=$4 drivers=$5; shift 5
  gadget "$port" "$@"
  expect "$what" "$GADGET" "$verdict" "$rule" "$drivers"
  gadget_pull
}
