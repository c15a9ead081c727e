#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What crosses between a guest and the screen: channels by policy, the clipboard by direction.
# The clipboard: a real SPICE server, and a guest's agent that offers, asks, asks for what was never offered and sends what nobody asked for.
# What policy does not let cross does not cross, and a guest in the background takes no part.
source "$(dirname "$0")/../lib/host.sh"
for program in Xvfb xdotool xclip qemu-system-x86_64 dbus-daemon gcc objcopy python3; do need $program; done
[ -x "$BUILD/bin/floe-console" ] || die "$BUILD/bin/floe-console is not built"
mkdir -p /run/t
export NO_AT_BRIDGE=1 HOME=$WORK XDG_RUNTIME_DIR=/run/t

gcc -m32 -c -DAGENT -DATTRIBUTE=0x2f -DLETTER=0x4f -o guest.o "$SOURCE/tests/lib/keyboard-guest.S"
objcopy -O binary -j .text guest.o guest.img
nice qemu-system-x86_64 -M pc -accel tcg -m 16 -nodefaults -vga std -display none -spice unix=on,addr=/run/t/spice,disable-ticketing=on \
  -drive file=guest.img,format=raw,if=ide -chardev spicevmc,id=agent,name=vdagent -device isa-serial,index=0,chardev=agent \
  -chardev socket,id=test,path=/run/t/agent,server=on,wait=off -device isa-serial,index=1,chardev=test \
  -audiodev spice,id=sound -device AC97,audiodev=sound -device qemu-xhci -chardev spicevmc,id=redirect,name=usbredir \
  -device usb-redir,chardev=redirect -chardev spiceport,id=webdav,name=org.spice-space.webdav.0 -device isa-serial,index=2,chardev=webdav \
  2>qemu.log &
cat >bus.conf <<END
<busconfig><type>session</type><listen>unix:path=/run/t/bus</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
END
dbus-daemon --config-file=bus.conf --nofork 2>bus.log &
Xvfb -displayfd 3 -screen 0 800x600x24 -nolisten tcp -noreset 3>display 2>xvfb.log &
wait_for 20 "Xvfb" test -s display
DISPLAY=:$(cat display)
export DISPLAY
wait_for 30 "QEMU" test -S /run/t/agent
wait_for 10 "the bus" test -S /run/t/bus
mkfifo commands typed
exec 8<>commands 9<>typed
"$BUILD/tests/fake-hypervisord" unix:path=/run/t/bus 'office=Office=#2e7d32=/run/t/spice' 'other=Other=#c62828=/nowhere' <&8 >calls 2>&1 &
python3 "$SOURCE/tests/lib/spice-agent.py" /run/t/agent 'from the guest' <&9 >>agent.log 2>&1 &
tell() { printf '%s\n' "$@" >&8; }
agent() { printf '%s\n' "$1" >&9; }
copy() { printf '%s' "$1" | xclip -selection clipboard -loops 0 2>/dev/null; }
paste() { timeout 5 xclip -selection clipboard -o 2>/dev/null || true; }
pasted() { [ "$(paste)" = "$1" ]; }
guest_got() { grep -qxF "got 1 $1" agent.log; }
# How long "nothing happened" is watched for; what may happen takes a tenth of it.
quiet() { sleep 2; }

tell 'state office running' 'sharing office none none 0'
"$BUILD/bin/floe-console" --bus unix:path=/run/t/bus 2>console.log &
wait_for 30 "the window" xdotool search --name '^Floe$'
sleep 1
xdotool key Home Return
wait_for 30 "SPICE" grep -q 'office OpenDisplay' calls
wait_for 30 "the agent's channel" grep -q announced agent.log
opened() { grep -c 'office OpenDisplay' calls || true; }
opened_is() { [ "$(opened)" = "$1" ]; }
# The server offers sound, USB redirection and a shared folder as well: main, display, inputs and cursor are all that is asked for.
quiet
opened_is 4 || die "$(opened) channels were opened without sound, not 4"
tell 'sharing office none none 1'
wait_for 20 "channels with sound" opened_is 10
quiet
opened_is 10 || die "$(($(opened) - 4)) channels were opened with sound, not 6"
: >agent.log
tell 'sharing office none none 0'
wait_for 20 "channels without sound again" opened_is 14
wait_for 30 "the agent's channel" grep -q announced agent.log
tried=0 crossed=0
for mode in none to-guest from-guest both; do
  say "clipboard: $mode"
  tell "sharing office $mode none 0"
  sleep 0.5
  copy "host, $mode"
  case $mode in
    to-guest|both) wait_for 20 "text in the guest ($mode)" guest_got "host, $mode" ;;
    *)
      quiet
      agent peek
      quiet
      tried=$((tried + 2))
      ! guest_got "host, $mode" || crossed=$((crossed + 1)) ;;
  esac
  agent grab
  case $mode in
    from-guest|both) wait_for 20 "text from the guest ($mode)" pasted 'from the guest' ;;
    *)
      quiet
      agent push
      quiet
      tried=$((tried + 2))
      pasted "host, $mode" || crossed=$((crossed + 1)) ;;
  esac
done
say 'in the background'
xdotool key ctrl+alt+Right
sleep 0.5
copy 'for the other desktop'
agent grab
agent peek
agent push
quiet
tried=$((tried + 4))
! guest_got 'for the other desktop' || crossed=$((crossed + 1))
pasted 'for the other desktop' || crossed=$((crossed + 1))
figure clipboard_crossings_tried $tried
figure clipboard_crossings_leaked $crossed
[ $crossed = 0 ] || { cat agent.log; die 'the clipboard crossed where policy forbids it'; }
xdotool key ctrl+alt+Left
wait_for 20 "the offer when it is on screen again" guest_got 'for the other desktop'
if grep -E 'error:|CRITICAL|assertion|AddressSanitizer' console.log; then die 'the console complained'; fi
