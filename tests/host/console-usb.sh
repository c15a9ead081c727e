#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The console and USB under Xvfb: a notice for what is blocked; the dialogue for what is asked, over a desktop whose guest then gets no
# key; answered by key and by mouse; dropped when the device is pulled; hypervisord told which machine is on the screen.
# Pictures are left in console/ beside the build, or in $FLOE_PICTURES.
source "$(dirname "$0")/../lib/host.sh"
for program in Xvfb xdotool import convert qemu-system-x86_64 dbus-daemon gcc objcopy; do need $program; done
[ -x "$BUILD/bin/floe-console" ] || die "$BUILD/bin/floe-console is not built"
pictures=${FLOE_PICTURES:-$(dirname "$BUILD")/console}
mkdir -p "$pictures" /run/t
export NO_AT_BRIDGE=1 HOME=$WORK XDG_RUNTIME_DIR=/run/t
pids=()
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap finish EXIT

tell() { printf '%s\n' "$@" >commands; }
picture() { sleep 0.7; import -window root "$pictures/$1.png"; }
pixel() { import -window root pixel.png; convert pixel.png -format "%[fx:round(255*p{$1}.r)],%[fx:round(255*p{$1}.g)],%[fx:round(255*p{$1}.b)]" info:; }
framed() { [ "$(pixel 1,300)" = "$1" ]; }
key() { xdotool key "$@"; }
said() { grep -qxF "call usb $1" calls; }
front_is() { [ "$(grep '^call usb SetSituation' calls | tail -n 1)" = "call usb SetSituation front=$1 person= locked=0" ]; }
answers() { grep -c '^call usb AnswerUsb' calls || true; }
keys() { tr -d '\0' <keys | tr '\n' ' '; }
got() { [ "$(keys)" = "$1" ]; }
# The box of the dialogue is in the middle of the screen, over which a veil lies; without it, the guest's colour is there.
covered() { [ "$(pixel 4,500)" != "$1" ]; }
uncovered() { ! covered "$1"; }

gcc -m32 -c -DATTRIBUTE=0x2f -DLETTER=0x4f -o guest.o "$SOURCE/tests/lib/keyboard-guest.S"
objcopy -O binary -j .text guest.o guest.img
cat >bus.conf <<END
<busconfig><type>session</type><listen>unix:path=/run/t/bus</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
END
dbus-daemon --config-file=bus.conf --nofork 2>bus.log &
pids+=($!)
wait_for 10 "the bus" test -S /run/t/bus
nice qemu-system-x86_64 -M pc -accel tcg -m 16 -nodefaults -vga std -display none -k en-us -spice unix=on,addr=/run/t/spice,disable-ticketing=on \
  -drive file=guest.img,format=raw,if=ide,readonly=off -chardev file,id=keys,path=keys -device isa-debugcon,iobase=0xe9,chardev=keys 2>qemu.log &
pids+=($!)
wait_for 30 "SPICE of the guest" test -S /run/t/spice
: >calls
mkfifo commands
"$BUILD/tests/fake-hypervisord" unix:path=/run/t/bus 'office=Office=#2e7d32=/run/t/spice' 'internet=Internet=#c62828=/nowhere' <>commands >>calls 2>hypervisord.log &
pids+=($!)
Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp -noreset 3>display 2>xvfb.log &
pids+=($!)
wait_for 20 "Xvfb" test -s display
DISPLAY=:$(cat display)
export DISPLAY
"$BUILD/bin/floe-console" --bus unix:path=/run/t/bus 2>console.log &
console=$!
pids+=($!)
wait_for 30 "the console's window" xdotool search --name '^Floe$'

say 'the situation'
wait_for 20 "the list, told" said 'SetSituation front= person= locked=0'
tell 'state office running'
sleep 0.5
key Home Down Return
wait_for 20 "the desktop" framed 46,125,50
wait_for 20 "the machine in front, told" said 'SetSituation front=office person= locked=0'
wait_for 30 "typing into the desktop" eval ': >keys; key a; sleep 0.3; got "1e 9e "'

say 'a notice'
tell 'usb DataTraveler no-storage'
picture usb-notice
sleep 8

say 'a question'
plain=$(pixel 4,500)
: >keys
tell 'ask 1-2 41 Camera cameras 1 block host machine:office front:read-only[08:06:50] machine:gone'
wait_for 20 "the dialogue" covered "$plain"
sleep 1.2
picture usb-ask
key b
sleep 0.3
got '' || die "the guest got keys while a question stood: $(keys)"
# The person looks elsewhere; the question stands.
key ctrl+alt+Home
wait_for 20 "the list in front, told" front_is ''
picture usb-ask-list
key ctrl+alt+Left
wait_for 20 "the desktop in front again" front_is office
sleep 1.5
# "Do not use it" has the keyboard; two further down is the machine.
answered() { key "${@:2}"; sleep 1.5; said "$1"; } # keys that come too early are all swallowed: again
wait_for 60 "the answer" answered 'AnswerUsb 1-2 41 machine:office 0' Tab Tab Return
wait_for 20 "the dialogue gone" uncovered "$plain"
wait_for 30 "typing into the desktop again" eval ': >keys; key a; sleep 0.3; got "1e 9e "'

say 'remembered, and pulled out'
tell 'ask 1-2 42 Camera cameras 1 block host'
wait_for 20 "the second question" covered "$plain"
sleep 1.2
wait_for 60 "the remembered answer" answered 'AnswerUsb 1-2 42 host 1' Tab Tab space shift+Tab Return
tell 'ask 1-3 43 Stick sticks 0 block host'
wait_for 20 "the third question" covered "$plain"
tell 'ask-no-more'
wait_for 20 "no question about what is gone" uncovered "$plain"
[ "$(answers)" = 2 ] || die "$(answers) answers, 2 wanted"
kill -0 $console || die 'the console ended'

say 'names are not markup'
tell 'ask 1-2 44 <b>%s</b>Evil&co sticks 1 block machine:internet'
wait_for 20 "the question of an evil name" covered "$plain"
sleep 1
picture usb-ask-evil
if grep -iE 'critical|warning' console.log; then die 'the console complains'; fi
echo "figure: console_usb_answers = $(answers)"
