# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests/lib/usb-guests-inside.sh: real guests within the test machine, and what each of them gets to see.

# guest_report MACHINE: in REPORT, what the guest says of itself (tests/lib/usb-guest-init.sh); fails while it says nothing, or has written
# half of it. It says it in a cluster of its disk that stays where it first was.
declare -A REPORT_AT=()
guest_report() {
  local overlay=$STATE/hypervisor/machines/$1/overlay.qcow2 at
  REPORT=
  if [ -z "${REPORT_AT[$1]:-}" ]; then
    at=$(grep -abom1 'FLOEGUEST [0-9]' "$overlay" 2>/dev/null) || return 1
    at=${at%%:*}
    [ $((at % 65536)) = 0 ] || return 1
    REPORT_AT[$1]=$((at / 65536))
  fi
  dd if="$overlay" bs=65536 skip="${REPORT_AT[$1]}" count=1 status=none >/run/report || return 1
  slurp /run/report
  [[ $SLURPED == FLOEGUEST\ *FLOEEND* ]] && REPORT=${SLURPED%%FLOEEND*}
}
guest_round() { guest_report "$1" && ROUND=${REPORT%%$'\n'*} && ROUND=${ROUND#FLOEGUEST }; }
guest_sees() { guest_report "$1" && [[ $REPORT =~ $2 ]]; }
# It speaks, and not of that: a guest that says nothing has not shown that it does not see it.
guest_sees_not() { guest_report "$1" && ! [[ $REPORT =~ $2 ]]; }
guest_looked() { guest_round "$1" && [ "$ROUND" -gt "$2" ]; }
# guest_looks_again MACHINE: waits until it has looked twice more, so that what it says is of now.
guest_looks_again() {
  local round
  until_true guest_round "$1" || die "guest $1 says nothing"
  round=$ROUND
  until_true guest_looked "$1" $((round + 1)) || die "guest $1 looks no more"
}

qemu_of() { vm stats "$1" | awk '$1 == "pid" { print $2 }'; }
# What USB nodes and disks the QEMU of a machine has open.
held_by() { ls -l "/proc/$(qemu_of "$1")/fd" | grep -oE '/dev/(bus/usb|sd)[^ ]*' || true; }
holds_nothing() { [ -z "$(held_by "$1")" ]; }
# given WHAT PATH RULE PATTERN DRIVERS [MACHINE]: hypervisord gives the device, and the guest reports PATTERN.
given() {
  local what=$1 path=$2 rule=$3 pattern=$4 drivers=$5 machine=${6:-one}
  expect "$what" "$path" machine "$rule" "$drivers"
  if until_true guest_sees "$machine" "$pattern"; then passes "$what: guest $machine sees $pattern"; else
    fails "$what: guest $machine does not see $pattern"
    echo "$REPORT"
    vm usb
  fi
}
# until_true COMMAND...: for what a guest does and says, at no hurry: what looks takes from it the one processor that there is. When its disk goes while it
# reads, it waits half a minute of its own. What the host does is waited for by until_so, and not for long.
until_true() {
  local end=$((SECONDS + 600))
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    pause 2
  done
}
unseen() {
  guest_looks_again "$1"
  if until_true guest_sees_not "$1" "$2"; then passes "guest $1 does not see $2"; else fails "guest $1 sees $2, or has fallen silent: $REPORT"; fi
}
no_disk_here() { if compgen -G '/sys/block/sd*' >/dev/null; then fails "$1: the host has a disk: $(ls /sys/block)"; fi; }

guests_start() {
  local begun=$SECONDS
  say 'a guest within, on KVM'
  [ -c /dev/kvm ] || die 'no KVM in the test machine'
  vm status | tee /run/status
  grep -q '^accelerator: kvm:' /run/status || die 'the daemon does not take KVM'
  vm start one
  until_true guest_looked one 0 || die 'the guest says nothing'
  # What it has without any device.
  INPUTS=$(grep '^inputs' <<<"$REPORT")
  DEVICES=$(grep -c '^device' <<<"$REPORT") || true
  say "the guest speaks after $((SECONDS - begun)) s"
}

guests_sticks() {
  local rw ro blocked card
  plug '{"driver":"usb-storage","id":"rw","bus":"xhci.0","port":"3","drive":"rw","serial":"RW-1"}' && rw=$CAME
  given 'writable stick' "$rw" stick 'greeting from-rw written file.sector' usbfs
  no_disk_here 'writable stick'
  guest_sees one 'device 46f4:0001 RW-1 end' || fails 'the guest sees another device than the stick'
  plug '{"driver":"usb-storage","id":"ro","bus":"xhci.0","port":"4","drive":"ro","serial":"RO-1"}' && ro=$CAME
  given 'read-only stick' "$ro" read-only-stick 'ro 1 greeting from-ro written refused' usb-storage
  unseen one 'RO-1'
  plug '{"driver":"usb-storage","id":"no","bus":"xhci.0","port":"5","drive":"blocked","serial":"BLOCKED"}' && blocked=$CAME
  expect 'blocked stick' "$blocked" block no-storage ''
  plug '{"driver":"usb-ccid","id":"card","bus":"xhci.0","port":"6"}' && card=$CAME
  given 'card reader' "$card" cards 'device 08e6:4433' usbfs
  unseen one 'BLOCKED|from-blocked'
  # The read-only one is a disk of QEMU's.
  [ "$(grep -c '^device' <<<"$REPORT")" = $((DEVICES + 3)) ] || fails "the guest has more or fewer than two disks and the card reader: $REPORT"
  [ "$(grep -c '^disk' <<<"$REPORT")" = 2 ] || fails "the guest has more or fewer than two disks: $REPORT"
  say "the guest itself:"
  echo "$REPORT"
  pull no "$blocked"
  pull card "$card"
  until_true guest_sees_not one '08e6:4433' || fails 'a card reader that was pulled is still there in the guest'
  pull rw "$rw"
  until_true guest_sees_not one 'RW-1' || fails 'a stick that was pulled is still there in the guest'
  pull ro "$ro"
  until_true guest_sees_not one 'from-ro' || fails 'a read-only disk whose stick was pulled is still there in the guest'
  until_so 30 "QEMU to let go of what was pulled" holds_nothing one
}

# guest_inputs MACHINE NUMBER
guest_inputs() { guest_sees "$1" "inputs $2"$'\n'; }

guests_parts() {
  local inputs=${INPUTS#inputs }
  say 'a device in part, and one that turns when the guest resets it'
  vm start two
  # Given whole, it is a keyboard to the guest: so it would be if the guest got at that interface.
  gadget 4 /run/whole.face
  given 'a device with a keyboard in it, whole' "$GADGET" whole 'device f10e:0a32' usbfs
  until_true guest_inputs one $((inputs + 1)) || fails "the guest has no keyboard of it: $REPORT"
  gadget_pull
  until_true guest_inputs one "$inputs" || fails "the guest still has a keyboard that was pulled: $REPORT"
  gadget 4 /run/part.face
  given 'the same without its keyboard' "$GADGET" part 'device f10e:0a30' 'usbfs none'
  guest_looks_again one
  guest_inputs one "$inputs" || fails "the guest has an input of an interface that is not its: $REPORT"
  if grep -q 'asked 2' /run/gadget-4.log; then fails "somebody listens to the keyboard that is not the machine's"; fi
  gadget_pull
  # A disk that refuses every command: the guest's storage driver resets it, and then it is another device.
  gadget 4 -e /run/turns.face /run/turned.face
  until_so 60 'the guest to reset the device' grep -qx second /run/gadget-4.log
  expect 'a device that turns at the reset that a guest asks for' "$GADGET" block no-storage ''
  grep -q "USB device decided DEVICE=$GADGET .*VERDICT=machine .*RULE=turning" $LOG || fails 'the device was not given before it turned'
  unseen one 'device f10e:0b20'
  guest_sees_not one 'device f10e:0a20' || fails 'the guest still has the device that it was'
  holds_nothing one || fails "QEMU still holds $(held_by one)"
  gadget_pull
}

guests_question() {
  local asked
  say 'a question, and who may answer it'
  plug '{"driver":"usb-storage","id":"ask","bus":"xhci.0","port":"3","drive":"rw","serial":"ASK-1"}' && asked=$CAME
  expect 'a stick that is asked about' "$asked" ask question ''
  if setpriv --reuid 65534 --clear-groups floe-vm --config $CONFIG usb-answer "$asked" machine:one >/run/err 2>&1; then fails 'user nobody answers'; fi
  say "user nobody: $(cat /run/err)"
  if vm usb-answer "$asked" machine:two >/run/err 2>&1; then fails 'an answer was taken that the policy does not offer'; fi
  say "another machine: $(cat /run/err)"
  expect 'still asked about' "$asked" ask question ''
  unseen one 'ASK-1|greeting from-rw'
  forget
  # Given read-only, the host keeps its disk: these interfaces and no others, which the choice says.
  vm usb-answer "$asked" 'machine:one:read-only[08:06:50,08:06:62]' || fails "the answer was not taken"
  given 'the stick, by the answer' "$asked" question 'ro 1 greeting from-rw written refused' usb-storage
  unseen one 'ASK-1'
  pull ask "$asked"
  until_true guest_sees_not one 'greeting from-rw' || fails 'the guest still has the disk of a stick that was pulled'
}

devnum() { slurp "$SYSFS/$1/devnum"; DEVNUM=${SLURPED//[[:space:]]/}; }
is_another() { devnum "$1"; [ "$DEVNUM" != "$2" ]; }

guests_two() {
  local stick use before
  say 'one device and two machines; withdrawn by a newly signed policy while the guest uses it'
  until_true guest_looked two 0 || die 'the second guest says nothing'
  plug '{"driver":"usb-storage","id":"rw","bus":"xhci.0","port":"3","drive":"rw","serial":"RW-1"}' && stick=$CAME
  given 'a stick for one of two machines' "$stick" stick 'device 46f4:0001 RW-1' usbfs
  until_true guest_sees one 'use [0-9]+ reading [1-9]' || fails "the guest does not use the stick: $REPORT"
  [[ $REPORT =~ use\ ([0-9]+)\ reading ]] && use=${BASH_REMATCH[1]}
  unseen two '46f4|disk|use'
  holds_nothing two || fails "the other machine's QEMU holds $(held_by two)"
  forget
  # It was let in rightly; from here on it is not.
  slurp /proc/uptime
  USB_SINCE=${SLURPED%% *}
  usb_spool 2
  usb_refresh
  expect 'a stick whose rule is gone' "$stick" block no-storage ''
  USB_SINCE=
  # Whatever the guest makes of it.
  until_so 30 'QEMU to let go of what was withdrawn' holds_nothing one
  until_true guest_sees_not one 'RW-1|greeting from-rw|use [0-9]+ reading' || fails "the guest still has a stick that was withdrawn: $REPORT"
  until_true guest_sees one "use $use broke off after [1-9]" || fails "the guest's reading was not cut: $REPORT"
  unseen two '46f4|disk'
  # The first machine's QEMU, if its guest had taken it over, could have kept its descriptor: this connection is nobody else's while it lives.
  devnum "$stick"
  before=$DEVNUM
  forget
  usb_spool 3
  usb_refresh
  until_so 60 'the connection that the first machine had to end' is_another "$stick" "$before"
  grep -q "USB device decided DEVICE=$stick .*VM=two RULE=stick-of-two .*PROBLEM=machine one had it before" $LOG || fails 'nothing said why it is not given'
  # A port that QEMU's controller was told to switch off and on does not find its device again: so it is the person's turn.
  pull rw "$stick"
  plug '{"driver":"usb-storage","id":"rw","bus":"xhci.0","port":"3","drive":"rw","serial":"RW-1"}' && stick=$CAME
  # Until it has written: pulled before, the file that it was about to write again would be cut off on the stick.
  given 'the stick, plugged in again, for the other machine' "$stick" stick-of-two 'device 46f4:0001 RW-1.*greeting from-rw written file.sector' usbfs two
  unseen one '46f4'
  holds_nothing one || fails "QEMU of the machine that had it holds $(held_by one)"
  pull rw "$stick"
  vm stop two --force
}

# What the guest has is shut off when its machine ends, and what the daemon's former life gave is given again or taken.
guests_end() {
  local card
  say 'the daemon dies while a guest has a device; the machine ends'
  plug '{"driver":"usb-ccid","id":"card","bus":"xhci.0","port":"6"}' && card=$CAME
  given 'card reader again' "$card" cards 'device 08e6:4433' usbfs
  forget
  usb_daemon_stop -KILL
  usb_daemon_start
  # It has been pulled and is given anew.
  expect 'the card reader after the death of the daemon' "$card" machine cards usbfs
  guest_looks_again one
  until_true guest_sees one 'device 08e6:4433' || fails 'the guest has lost its card reader with the daemon'
  vm stop one --force
  until_so 60 'the driver to leave a device of a machine that is off' drivers_are "$card" ''
  if authorised "$card"; then fails 'a device of a machine that is off is authorised'; fi
  pull card "$card"
}
