# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests/lib/usb-vm-inside.sh: a device for each line that the USB section of the list of attacks has. Products 0a.. and 0c.. of vendor
# f10e are gadgets that some rule lets in, 0b.. must never be.

words=('text 1 Floe' 'text 2 Gadget')
fine_interface() { interface 0 "${1:-0}" 254 1 1; endpoint 129 2; }
# A boot keyboard's report descriptor (HID 1.11, B.1).
boot_keyboard='05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0'
fine="config $(configuration 1 1 "$(fine_interface)")"

hostile_faces() {
  local many= i one
  face fine "device $(device 0x0a01 0 1)" "$fine" "${words[@]}"
  face hidden-keyboard "device $(device 0x0b01 0 1)" "config $(configuration 1 2 "$(storage_interface 0)" "$(keyboard_interface 1)")" "${words[@]}"
  face hidden-behind-fine "device $(device 0x0b02 0 1)" "config $(configuration 1 2 "$(fine_interface)" "$(keyboard_interface 1)")" "${words[@]}"
  face second-configuration "device $(device 0x0b03 0 2)" "$fine" "config $(configuration 2 1 "$(keyboard_interface 0)")" "${words[@]}"
  face alternate-hid "device $(device 0x0b04 0 1)" "config $(configuration 1 1 "$(fine_interface)" "$(keyboard_interface 0 1)")" "${words[@]}"
  face alternate-disk "device $(device 0x0b05 0 1)" "config $(configuration 1 1 "$(fine_interface)" "$(storage_interface 0 7)")" "${words[@]}"
  face device-class "device $(device 0x0b06 3 1)" "$fine" "${words[@]}"
  face vendor-class "device $(device 0x6001 0 1 0x0403)" "config $(configuration 1 1 "$(interface 0 0 255 255 255 2)" "$(storage_endpoints)")" "${words[@]}"
  face bluetooth "device $(device 0x0b07 224 1)" "config $(configuration 1 1 "$(interface 0 0 224 1 1)" "$(endpoint 129 3)")" "${words[@]}"
  face token "device $(device 0x0407 0 1 0x1050)" "config $(configuration 1 1 "$(interface 0 0 3 0 0)" "$(hid)")" "${words[@]}"
  face length-0 "device $(device 0x0b08 0 1)" "config $(configuration 1 1 "$(fine_interface)" "$(h 0 36 1 2 3 4 5 6 7 8 9)")" "${words[@]}"
  face length-1 "device $(device 0x0b09 0 1)" "config $(configuration 1 1 "$(fine_interface)" 01 24)" "${words[@]}"
  face total-long "device $(device 0x0b0a 0 1)" "config $(h 9 2; le 65535; h 1 1 0 128 50) $(fine_interface)" "${words[@]}"
  # The bytes behind the total are sent to whoever asks for them.
  face total-short "device $(device 0x0b0b 0 1)" "config $(h 9 2; le 18; h 2 1 0 128 50) $(fine_interface) $(keyboard_interface 1)" "${words[@]}"
  face duplicate "device $(device 0x0b0c 0 1)" "config $(configuration 1 1 "$(fine_interface)" "$(keyboard_interface 0 0)")" "${words[@]}"
  for i in $(seq 0 254); do
    if [ "$i" = 200 ]; then printf -v one '09 04 c8 00 00 03 01 01 00'; else printf -v one '09 04 %02x 00 00 fe 01 01 00' "$i"; fi
    many+=" $one"
  done
  face interfaces-255 "device $(device 0x0b0d 0 1)" "config $(configuration 1 255 "$many")" "${words[@]}"
  face no-configuration "device $(device 0x0b0e 0 0)" "$fine" "${words[@]}"
  face keyboard "device $(device 0x0b0f 0 1)" "config $(configuration 1 1 "$(keyboard_interface 0)")" "${words[@]}"
  face changed "device $(device 0x0b10 0 1)" "config $(configuration 1 2 "$(fine_interface)" "$(keyboard_interface 1)")" "${words[@]}"
  face turns "device $(device 0x0a20 0 1)" "config $(configuration 1 1 "$(storage_interface 0)")" "${words[@]}"
  face turned "device $(device 0x0b20 0 1)" "config $(configuration 1 2 "$(storage_interface 0)" "$(interface 1 0 3 1 1)" "$(h 9 33 17 1 0 1 34 63 0; endpoint 131 3)")" "report $boot_keyboard" "${words[@]}"
  local typing="config $(configuration 1 2 "$(fine_interface)" "$(interface 1 0 3 1 1)" "$(h 9 33 17 1 0 1 34 63 0; endpoint 130 3)")"
  face part "device $(device 0x0a30 0 1)" "$typing" "report $boot_keyboard" "${words[@]}"
  face whole "device $(device 0x0a32 0 1)" "$typing" "report $boot_keyboard" "${words[@]}"
  face part-here "device $(device 0x0a31 0 1)" "config $(configuration 1 2 "$(storage_interface 0)" "$(interface 1 0 3 1 1)" "$(h 9 33 17 1 0 1 34 63 0; endpoint 131 3)")" "${words[@]}"
  face name-injects "device $(device 0x0b11 0 1)" "config $(configuration 1 1 "$(storage_interface 0)")" 'text 1 x VERDICT=host RULE=keyboard' \
    "string 2 $(h 22 3; for i in 10 70 76 79 69 27 91 50 74 13; do h "$i" 0; done)" 'text 3 ", "verdict": "host'
}
# serial HEX|TEXT: writes face "serial" with it, a line `string 3 …` or `text 3 …`.
serial_face() { face serial "device $(device 0x0c01 0 1)" "$fine" "${words[@]}" "$1"; }
# string_of TEXT HEX...: a string descriptor of TEXT and then UTF-16 units, little-endian.
string_of() {
  local text=$1 i units= unit; shift
  for ((i = 0; i < ${#text}; i++)); do printf -v unit ' %02x 00' "'${text:i:1}"; units+=$unit; done
  units+=" $*"
  set -- $units
  echo "string 3 $(h $(($# + 2)) 3) $units"
}

hostile_descriptors() {
  say 'descriptors that hide or lie'
  expect_gadget 'a gadget as it should be' 0 host gadget-vendor none /run/fine.face
  expect_gadget 'storage with a hidden keyboard' 1 block no-storage '' /run/hidden-keyboard.face
  expect_gadget 'a keyboard behind what is let in' 2 block default '' /run/hidden-behind-fine.face
  expect_gadget 'HID in a second configuration' 0 block default '' /run/second-configuration.face
  expect_gadget 'HID in an alternate setting' 1 block default '' /run/alternate-hid.face
  expect_gadget 'storage in an alternate setting' 2 block no-storage '' /run/alternate-disk.face
  expect_gadget 'a class of the device, none of its interfaces' 0 block default '' /run/device-class.face
  expect_gadget 'vendor class with an ID that a driver binds' 1 block default '' /run/vendor-class.face
  expect_gadget 'Bluetooth dongle' 2 block no-net-dongles '' /run/bluetooth.face
  expect_gadget 'U2F token, of no rule' 0 block default '' /run/token.face
  expect_gadget 'bLength 0' 1 block default '' /run/length-0.face
  expect_gadget 'bLength 1' 2 block default '' /run/length-1.face
  expect_gadget 'wTotalLength beyond the end' 0 block default '' /run/total-long.face
  expect_gadget 'wTotalLength before the end' 1 block default '' /run/total-short.face
  expect_gadget 'two descriptors of one interface' 2 block default '' /run/duplicate.face
  expect_gadget '255 interfaces, one of them HID' 0 block default '' /run/interfaces-255.face
  expect_gadget 'a second keyboard that types' 1 block default '' /run/keyboard.face
  quietly grep -c . /run/gadget-1.log
  if grep -q asked /run/gadget-1.log; then fails 'somebody listens to a keyboard that is blocked'; fi
  expect_gadget 'fine at high speed' 2 host gadget-vendor none -s high /run/fine.face
  expect_gadget 'and a keyboard at full speed' 2 block default '' -s full /run/changed.face
}

hostile_strings() {
  say 'serials that are nearly the right one'
  serial_face 'text 3 GOOD-1'
  expect_gadget 'the serial of the rule' 0 host gadget-serial none /run/serial.face
  serial_face 'string 3 02 03'
  expect_gadget 'no character' 1 block not-by-serial '' /run/serial.face
  serial_face 'text 3 GOOD-10'
  expect_gadget 'one character more' 2 block not-by-serial '' /run/serial.face
  serial_face 'text 3 GOOD-'
  expect_gadget 'one character less' 0 block not-by-serial '' /run/serial.face
  serial_face 'text 3 good-1'
  expect_gadget 'other case' 1 block not-by-serial '' /run/serial.face
  serial_face "$(string_of GOOD-1 "$(h 10 0)")"
  expect_gadget 'a newline behind it' 2 block not-by-serial '' /run/serial.face
  serial_face "$(string_of GOOD-1 "$(h 46 32)")"
  expect_gadget 'an invisible character behind it' 0 block not-by-serial '' /run/serial.face
  serial_face "$(string_of GOOD-1 "$(printf '41 00 %.0s' $(seq 120))")"
  expect_gadget '126 characters' 1 block not-by-serial '' /run/serial.face
  serial_face 'text 3 GOOD-1" }, { "id": "x", "verdict": "host'
  expect_gadget 'a rule in the serial' 2 block not-by-serial '' /run/serial.face
  expect_gadget 'a verdict in the name' 0 block no-storage '' /run/name-injects.face
  face once "device $(device 0x0c03 0 1)" "config $(configuration 1 1 "$(interface 0 0 253 1 1)" "$(endpoint 129 2)")" "${words[@]}" 'text 3 TWIN'
  gadget 1 /run/once.face
  local first=$GADGET first_pid=$GADGET_PID
  expect 'a device of which there may be one' "$first" host gadget-once none
  expect_gadget 'its clone, while it is there' 2 block default '' /run/once.face
  GADGET=$first GADGET_PID=$first_pid
  gadget_pull
}

hostile_changes() {
  local path number
  say 'devices that change after the verdict'
  gadget 3 /run/fine.face /run/changed.face
  path=$GADGET
  expect 'before the reset' "$path" host gadget-vendor none
  slurp "$SYSFS/$path/devnum"; number=${SLURPED//[[:space:]]/}
  forget
  usbreset "$(printf '%03d/%03d' "$(cat "$SYSFS/$path/busnum")" "$number")" || true
  expect 'a keyboard after the reset' "$path" block default ''
  quietly grep -x second /run/gadget-3.log || fails 'the gadget saw no reset'
  gadget_pull
  expect_gadget 'another device when it is read again' 3 block default '' -r /run/fine.face /run/changed.face
  gadget 3 /run/fine.face
  expect 'plugged' "$GADGET" host gadget-vendor none
  gadget_pull
  expect_gadget 'another device at the same port' 3 block default '' /run/changed.face
}

hostile_topology() {
  local hub bad
  say 'hubs and controllers'
  plug '{"driver":"usb-hub","id":"hub","bus":"xhci.0","port":"5"}' && hub=$CAME
  expect 'hub' "$hub" host hubs hub
  plug '{"driver":"usb-kbd","id":"child","bus":"xhci.0","port":"5.1"}' && bad=$CAME
  expect 'bad child of an allowed hub' "$bad" block default ''
  [[ $bad == "$hub".1 ]] || fails "the child of $hub is at $bad"
  pull child "$bad"
  pull hub "$hub"
  local root
  for root in $SYSFS/usb*; do echo 2 >"$root/authorized_default"; done
  plug '{"driver":"usb-kbd","id":"d","bus":"xhci.0","port":"6"}'
  expect 'authorized_default=2, which trusts internal ports' "$CAME" block default ''
  pull d "$CAME"
  for root in $SYSFS/usb*; do
    slurp "$root/authorized_default"
    [ "${SLURPED//[[:space:]]/}" = 0 ] || fails "authorized_default of ${root##*/} stays ${SLURPED//[[:space:]]/}"
  done
  vm-qmp device_add '{"driver":"qemu-xhci","id":"late","bus":"hot"}'
  plug '{"driver":"usb-storage","id":"d","bus":"late.0","drive":"other","serial":"RW-1x"}'
  expect 'a stick on a controller that has just come' "$CAME" block no-storage ''
  pull d "$CAME"
  plug '{"driver":"usb-mouse","id":"d","bus":"late.0"}'
  expect 'a mouse there' "$CAME" host mice usbhid
  pull d "$CAME"
}

hostile_daemon() {
  local bus1=$SYSFS/usb1/uevent mouse stick
  say 'while the daemon is stopped, flooded, dead'
  kill -STOP $DAEMON_PID
  plug '{"driver":"usb-mouse","id":"m","bus":"xhci.0","port":"5"}' && mouse=$CAME
  plug '{"driver":"usb-storage","id":"s","bus":"xhci.0","port":"6","drive":"other","serial":"X"}' && stick=$CAME
  for _ in $(seq 5000); do echo change >"$bus1"; done
  for path in $mouse $stick; do if authorised "$path"; then fails "$path let in by a daemon that sleeps"; fi; done
  kill -CONT $DAEMON_PID
  expect 'mouse that came in a flood of events' "$mouse" host mice usbhid
  expect 'stick that came in a flood of events' "$stick" block no-storage ''
  pull s "$stick"
  usb_daemon_stop -KILL
  authorised "$mouse" || fails 'what was let in goes with the daemon'
  pull m "$mouse"
  plug '{"driver":"usb-mouse","id":"m","bus":"xhci.0","port":"5"}' && mouse=$CAME
  plug '{"driver":"usb-storage","id":"s","bus":"xhci.0","port":"6","drive":"other","serial":"X"}' && stick=$CAME
  sleep 1
  for path in $mouse $stick; do
    if authorised "$path"; then fails "$path let in by nobody"; fi
    drivers_are "$path" '' || fails "$path has drivers: $DRIVERS"
  done
  usb_daemon_start
  expect 'mouse that came while there was no daemon' "$mouse" host mice usbhid
  expect 'stick that came while there was no daemon' "$stick" block no-storage ''
  pull s "$stick"
  pull m "$mouse"
}

hostile_parts() {
  say 'a device in part'
  expect_gadget 'a disk with a keyboard, of which the host has the disk' 0 host part-here 'usb-storage none' /run/part-here.face
  if grep -q 'asked 3' /run/gadget-0.log; then fails 'somebody listens to the keyboard of a disk'; fi
}

hostile_opened() {
  local root stick
  say 'a kernel that let things in'
  usb_daemon_stop -KILL
  for root in $SYSFS/usb*; do
    echo 1 >"$root/authorized_default"
    echo 1 >"$root/interface_authorized_default"
  done
  plug '{"driver":"usb-storage","id":"s","bus":"xhci.0","port":"7","drive":"other","serial":"Y"}' && stick=$CAME
  USB_TEST_SWITCHED+=" $stick "
  until_so 120 'the kernel to bind it' drivers_are "$stick" usb-storage
  usb_daemon_start
  expect 'a stick that the kernel had let in' "$stick" block no-storage ''
  pull s "$stick"
}

# compose NAME PRODUCT FUNCTION...: a gadget of the kernel's own functions, by configfs, on the loopback controller (dummy_hcd).
compose() {
  local dir=/sys/kernel/config/usb_gadget/$1 product=$2 function; shift 2
  mkdir -p "$dir/strings/0x409" "$dir/configs/c.1"
  echo 0xf10e >"$dir/idVendor"
  echo "$product" >"$dir/idProduct"
  echo Composed >"$dir/strings/0x409/product"
  for function in "$@"; do
    mkdir "$dir/functions/$function"
    case $function in
      mass_storage.*) echo /exchange/other.img >"$dir/functions/$function/lun.0/file" ;;
      hid.*)
        echo 1 >"$dir/functions/$function/protocol"
        echo 1 >"$dir/functions/$function/subclass"
        echo 8 >"$dir/functions/$function/report_length"
        printf "\\x${boot_keyboard// /\\x}" >"$dir/functions/$function/report_desc" ;;
    esac
    ln -s "$dir/functions/$function" "$dir/configs/c.1/"
  done
}
bind_gadget() { echo dummy_udc.0 >"/sys/kernel/config/usb_gadget/$1/UDC"; }
unbind_gadget() { echo '' >"/sys/kernel/config/usb_gadget/$1/UDC"; until_so 120 "$CAME to go" usb_is_gone "$CAME"; }
inputs() { local all=(/sys/class/input/event*); echo "${#all[@]}"; }
# A key, as a keyboard sends it; whether anybody has fetched it.
types() { timeout 3 dd if=/run/key of=/dev/hidg0 bs=8 count=1 oflag=nonblock 2>/dev/null; }

hostile_functions() {
  local before
  say "the kernel's own gadgets, on a controller that comes for them"
  modprobe -a dummy_hcd libcomposite usb_f_mass_storage usb_f_hid usb_f_ecm
  printf '\0\0\x04\0\0\0\0\0' >/run/key
  before=$(inputs)
  compose disk-that-types 0x0b30 mass_storage.0 hid.0
  usb_appears bind_gadget disk-that-types
  expect 'a disk that types' "$CAME" block no-storage ''
  if types && types; then fails 'a key of a blocked disk has been fetched'; fi
  compgen -G '/sys/block/sd*' >/dev/null && fails 'there is a disk'
  unbind_gadget disk-that-types
  compose types-alone 0x0b31 hid.1
  usb_appears bind_gadget types-alone
  expect 'a second keyboard that types like a person' "$CAME" block default ''
  [ "$(inputs)" = "$before" ] || fails "$before inputs before, $(inputs) now"
  unbind_gadget types-alone
  compose net-dongle 0x0b32 ecm.0
  usb_appears bind_gadget net-dongle
  expect 'a network dongle' "$CAME" block no-net-dongles ''
  unbind_gadget net-dongle
}
