#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The console under Xvfb, with real SPICE displays: two QEMUs whose boot sector writes down every scan code it gets. The hotkey
# switches and no part of it arrives; typing does; displays outlive hypervisord and come back after QEMU's restart.
# Pictures are left in console/ beside the build, or in $FLOE_PICTURES.
source "$(dirname "$0")/../lib/host.sh"
for program in Xvfb xdotool import convert qemu-system-x86_64 dbus-daemon gcc objcopy; do need $program; done
[ -x "$BUILD/bin/floe-console" ] || die "$BUILD/bin/floe-console is not built"
pictures=${FLOE_PICTURES:-$(dirname "$BUILD")/console}
mkdir -p "$pictures" /run/t
export NO_AT_BRIDGE=1 HOME=$WORK XDG_RUNTIME_DIR=/run/t
pids=()
# Xvfb leaves a lock and a socket in /tmp when it is killed: it is asked first.
# Without -noreset it begins anew when its last client has gone, and turns away who comes meanwhile.
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap finish EXIT

# -- Peers ----------------------------------------------------------------------------------------------------------

guest() { # NAME ATTRIBUTE LETTER
  gcc -m32 -c -DATTRIBUTE="$2" -DLETTER="$3" -o "guest-$1.o" "$SOURCE/tests/lib/keyboard-guest.S"
  objcopy -O binary -j .text "guest-$1.o" "guest-$1.img"
}
qemu() { # NAME
  nice qemu-system-x86_64 -M pc -accel tcg -m 16 -nodefaults -vga std -display none -k en-us \
    -spice "unix=on,addr=/run/t/spice-$1,disable-ticketing=on" -drive "file=guest-$1.img,format=raw,if=ide,readonly=off" \
    -chardev "file,id=keys,path=keys-$1" -device isa-debugcon,iobase=0xe9,chardev=keys 2>"qemu-$1.log" &
  eval "qemu_$1=$!"
  pids+=($!)
}
hypervisord() { # MACHINE..., whose state is as FIRST tells it, from the first moment on
  rm -f commands
  mkfifo commands
  exec 7<>commands
  [ ${#FIRST[@]} = 0 ] || printf '%s\n' "${FIRST[@]}" >&7
  "$BUILD/tests/fake-hypervisord" unix:path=/run/t/bus "$@" <&7 7<&- >>calls 2>hypervisord.log &
  hypervisord=$!
  pids+=($!)
  exec 7<&-
}
FIRST=()
tell() { printf '%s\n' "$@" >commands; }
stop() { # PID
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
screen() { # WIDTHxHEIGHT
  [ -z "${xvfb:-}" ] || stop "$xvfb"
  rm -f display
  Xvfb -displayfd 3 -screen 0 "$1x24" -nolisten tcp -noreset 3>display 2>xvfb.log &
  xvfb=$!
  pids+=($!)
  wait_for 20 "Xvfb" test -s display
  DISPLAY=:$(cat display)
  export DISPLAY
}
console() { # ARGUMENT...
  "$BUILD/bin/floe-console" --bus unix:path=/run/t/bus "$@" 2>>console.log &
  console=$!
  pids+=($!)
  wait_for 30 "the console's window" xdotool search --name '^Floe$'
}
picture() { sleep 0.7; import -window root "$pictures/$1.png"; }
pixel() { import -window root "pixel.png"; convert pixel.png -format "%[fx:round(255*p{$1}.r)],%[fx:round(255*p{$1}.g)],%[fx:round(255*p{$1}.b)]" info:; }
framed() { [ "$(pixel 1,300)" = "$1" ]; }
key() { xdotool key "$@"; }
got() { [ "$(tr '\n' ' ' <"keys-$1")" = "$2" ]; }
calls() { grep -c "^call $1" calls || true; }
called() { [ "$(calls "$1")" -ge "$2" ]; }
forget() { : >keys-a; : >keys-b; }
# QEMU writes at its own offset after a truncation, so the zero bytes before it are not keys.
keys() { tr -d '\0' <"keys-$1" | tr '\n' ' '; }
got() { [ "$(keys "$1")" = "$2" ]; }

OFFICE='office=Office=#2e7d32=/run/t/spice-a' INTERNET='internet=Internet=#c62828=/run/t/spice-b'
GREEN=46,125,50 RED=198,40,40
guest a 0x2f 0x4f
guest b 0x4f 0x49
cat >bus.conf <<END
<busconfig><type>session</type><listen>unix:path=/run/t/bus</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
END
dbus-daemon --config-file=bus.conf --nofork 2>bus.log &
pids+=($!)
wait_for 10 "the bus" test -S /run/t/bus
: >calls
qemu a
qemu b
wait_for 30 "SPICE of both guests" test -S /run/t/spice-a -a -S /run/t/spice-b

# -- The list -------------------------------------------------------------------------------------------------------
say 'list, states, questions'
hypervisord "$OFFICE" "$INTERNET"
screen 1024x768
console
picture list-en-1024-off
tell 'image internet 372000000 3100000000' 'state internet starting' 'image office 3100000000 3100000000' 'state office running' \
  'add lab=Chemistry laboratory=#f9a825=/nowhere' 'state lab failed' 'emulated office 1' \
  'problem lab image chemistry/5c0f needs UEFI firmware, which this computer lacks' \
  'policy-problem version 8 is signed by 1 of 2 keys; version 7 stays in force'
picture list-en-1024
key Down
picture list-en-1024-focus
key Home Down Down
key ctrl+d
picture confirm-en-1024
key Escape
key ctrl+d
sleep 0.5
! called 'office Stop' 1 || die 'shut down without being confirmed'
key Tab Return
wait_for 10 "the confirmed shutdown" called 'office Stop shutdown' 1
tell 'state office running'
key ctrl+r
sleep 0.5
key Tab Return
wait_for 10 "Reset" called 'office Reset' 1
picture refused-en-1024
[ "$(calls 'office Stop')" = 1 ] || die 'stopped more than once'
tell 'remove lab' 'emulated office 0' 'policy-problem '

# -- The hotkey -----------------------------------------------------------------------------------------------------
say 'hotkey'
sleep 0.5
key Home Down Return
wait_for 20 "the first desktop" framed $GREEN
wait_for 20 "its display" called 'office OpenDisplay' 4
sleep 1
picture desktop-1
wait_for 20 "typing" eval 'forget; key a b; sleep 0.3; got a "1e 9e 30 b0 "'
got b '' || die "typing reached the other guest: $(keys b)"
forget
# The chord, slowly, with auto-repeat; then a key while its modifiers are still down.
xdotool keydown ctrl keydown alt
wait_for 10 "modifiers" got a '1d 38 '
xdotool keydown Right
wait_for 20 "the second desktop" framed $RED
sleep 1.5
framed $RED || die 'auto-repeat switched again'
xdotool keyup Right key c keyup alt keyup ctrl
sleep 0.5
got a '1d 38 9d b8 ' || die "first guest saw more than paired modifiers: $(keys a)"
got b '' || die "second guest saw part of the hotkey: $(keys b)"
picture desktop-2
wait_for 20 "typing in the second" eval 'forget; key x; sleep 0.3; got b "2d ad "'
got a '' || die "typing reached the guest in the background: $(keys a)"
# With a key held: it is let go in the guest that has it, and the next never hears of it.
forget
xdotool keydown z
sleep 0.2
key ctrl+alt+Left
wait_for 20 "the first desktop again" framed $GREEN
xdotool keyup z
sleep 0.5
[[ $(keys b) =~ ^(2c )+1d\ (2c )*38\ (2c )*((ac|9d|b8)\ ){3}$ ]] || die "held key in the second guest: $(keys b)"
got a '' || die "first guest saw the held key: $(keys a)"
switches=3 leaked=0
# Many times, fast.
for round in $(seq 20); do
  forget
  key ctrl+alt+Right
  sleep 0.15
  key q
  # Its release as well: on a machine that is busy it would be the next round's.
  wait_for 10 "q, once, in round $round" eval '[ "$(cat keys-a keys-b | tr -d "\0" | grep -cx "10\|90" || true)" = 2 ]'
  sleep 0.15
  for guest in a b; do
    rest=$(keys $guest | sed 's/10 90 //')
    [[ $rest =~ ^(1d 38 (9d b8|b8 9d) )?$ ]] || { leaked=$((leaked + 1)); say "round $round, guest $guest: $(keys $guest)"; }
  done
  [ "$(cat keys-a keys-b | tr -d '\0' | grep -c 10)" = 1 ] || die "q was doubled in round $round: $(keys a)/ $(keys b)"
  switches=$((switches + 1))
done
figure console_hotkey_switches $switches
figure console_hotkey_leaks $leaked
[ $leaked = 0 ] || die 'the hotkey leaked'
framed $GREEN || die 'an even number of switches ends elsewhere'
key ctrl+alt+Home
sleep 0.7
! framed $GREEN || die 'the list key did nothing'
key Escape
wait_for 10 "back from the list" framed $GREEN

# -- Idle -----------------------------------------------------------------------------------------------------------
ticks() { awk '{ print $14 + $15 }' "/proc/$console/stat"; }
before=$(ticks)
sleep 4
used=$(($(ticks) - before))
figure console_idle_cpu $((used * 100 / (4 * $(getconf CLK_TCK)))) %
figure console_rss $(awk '/^VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$console/status") MiB
[ $used -lt $((4 * $(getconf CLK_TCK) / 2)) ] || die "busy while idle: $used ticks in 4 seconds"

# -- Coming and going -----------------------------------------------------------------------------------------------
say 'hypervisord killed and back'
opened=$(calls 'office OpenDisplay')
kill -9 $hypervisord
sleep 1
wait_for 20 "typing without hypervisord" eval 'forget; key a; sleep 0.3; got a "1e 9e "'
key ctrl+alt+Home
picture reconnecting-en-1024
FIRST=('state office running' 'state internet running' 'image office 3100000000 3100000000' 'image internet 2900000000 3100000000')
hypervisord "$OFFICE" "$INTERNET"
FIRST=()
sleep 1.5
key ctrl+u
wait_for 20 "an action after the restart" called 'office Suspend' 1
[ "$(calls 'office OpenDisplay')" = "$opened" ] || die 'displays were connected anew for a restart of hypervisord'
picture suspended-en-1024
key Return
wait_for 20 "Resume" called 'office Resume' 1
wait_for 20 "a display after Resume" called 'office OpenDisplay' $((opened + 4))
wait_for 20 "typing after Resume" eval 'forget; key a; sleep 0.3; got a "1e 9e "'
say 'QEMU killed and back'
opened=$(calls 'office OpenDisplay')
kill -9 $qemu_a
rm -f /run/t/spice-a
sleep 1.2
picture interrupted-en-1024
qemu a
wait_for 60 "typing after QEMU's restart" eval 'forget; key a; sleep 0.3; got a "1e 9e "'

# -- Notices --------------------------------------------------------------------------------------------------------
tell 'usb DataTraveler no-storage' 'usb DataTraveler no-storage' 'usb <b>Evil</b> no-storage'
picture notice-1024
stop $console
stop $hypervisord

# -- The only desktop; a kiosk; refused switch keys -----------------------------------------------------------------
say 'straight in, kiosk'
hypervisord "$OFFICE"
tell 'state office running'
console
wait_for 20 "the only desktop" framed $GREEN
wait_for 30 "typing into the only desktop" eval 'forget; key a; sleep 0.3; got a "1e 9e "'
tell 'kiosk 1' 'key switch_next a'
sleep 0.5
key ctrl+alt+Home
wait_for 20 "a kiosk that stays, and a switch key that types" eval 'forget; key a; sleep 0.3; got a "1e 9e "'
grep -q "switch key 'a' could not be typed" console.log || die 'a switch key that types text was accepted'
picture kiosk-1024
stop $console
stop $hypervisord

# -- A restart by itself --------------------------------------------------------------------------------------------
# hypervisord says policy's minutes in seconds: here one or two of them, or so many that the test is done long before. What the console did is read in its log.
said() { grep -c "$1" console.log || true; }
has_said() { [ "$(said "$1")" -ge "$2" ]; }
announced() { said 'it says that the computer restarts'; }
put_off() { said 'is put off'; }
RESTART='update RestartForUpdate'
# begins WHAT: the countdown, once more than before.
begins() {
  local before; before=$(announced)
  tell 'restart 1 6000'
  wait_for 30 "the countdown $1" has_said 'it says that the computer restarts' $((before + 1))
}
# puts_off WHAT COMMAND...: and nothing restarts.
puts_off() {
  local before what=$1; before=$(put_off); shift
  "$@"
  wait_for 30 "$what to put it off" has_said 'is put off' $((before + 1))
  tell 'restart 0 1'
}
# restarts WHAT
restarts() {
  local before; before=$(calls "$RESTART")
  tell 'restart 1 1'
  wait_for 30 "a restart $1" called "$RESTART" $((before + 1))
  tell 'restart 0 1'
  sleep 2
}
counts() { [ "$(pixel 242,384)" = 28,42,59 ]; }
say 'restart by itself: asked for, nothing ready'
hypervisord "$OFFICE" "$INTERNET"
tell 'state office running' 'state internet running' 'update 8' 'restart 0 1'
console
sleep 3
tell 'update 0' 'restart 1 1'
sleep 3
[ "$(announced)$(calls "$RESTART")" = 00 ] || die 'a restart that policy leaves to a person, or into nothing'
say 'on the list'
tell 'restart 0 1' 'update 8'
begins 'on the list'
wait_for 10 "its picture" counts
picture restart-list-1024
puts_off 'a key' key Return
! framed $GREEN || die 'the key that put a restart off opened a desktop'
begins 'again'
puts_off 'the pointer' xdotool mousemove_relative -- 7 5
restarts 'from the list'
say 'in a desktop'
key Home Down Return
wait_for 20 "the first desktop" framed $GREEN
wait_for 30 "typing" eval 'forget; key a; sleep 0.3; got a "1e 9e "'
forget
begins 'in a desktop'
wait_for 10 "its picture" counts
picture restart-desktop-1024
puts_off 'a key' key a
wait_for 20 "typing" eval 'key b; sleep 0.3; [[ $(keys a) == *"30 b0 "* ]]'
[[ $(keys a) != *1e* ]] || die "the key that put a restart off reached the guest: $(keys a)"
begins 'in a desktop again'
puts_off 'a click' xdotool click 1
restarts 'from a desktop'
say 'not while a machine is suspended; refused'
restarted=$(calls "$RESTART")
tell 'state internet suspending' 'restart 1 1'
sleep 4
[ "$(calls "$RESTART")" = "$restarted" ] || die 'a restart while a machine is being suspended'
tell 'restart-refused logind does not restart this computer: not now' 'state internet suspended'
wait_for 30 "a restart after that, and one more" called "$RESTART" $((restarted + 2))
tell 'restart 0 1'
picture restart-refused-1024
stop $console
stop $hypervisord
say 'not while it is set up or installs'
hypervisord
tell 'update 8' 'setup setup'
console
picture setup-restart-1024
for page in setup install; do
  restarted=$(calls "$RESTART")
  tell 'restart 1 1'
  sleep 4
  [ "$(calls "$RESTART")" = "$restarted" ] || die "a restart on the page of: $page"
  tell 'restart 0 1'
  tell 'install working' 'setup enrolled'
done
picture install-restart-1024
tell 'install ready' "add $OFFICE" 'state office running'
restarts 'after that'
stop $console
stop $hypervisord
say 'in a kiosk'
hypervisord "$OFFICE"
tell 'state office running' 'kiosk 1' 'update 8' 'languages fr'
console --language fr
wait_for 30 "typing in the kiosk" eval 'forget; key a; sleep 0.3; got a "1e 9e "'
begins 'in a kiosk'
wait_for 10 "its picture" counts
picture restart-kiosk-1024
puts_off 'a key' key a
restarts 'from a kiosk'
stop $console
stop $hypervisord

# -- French, and the large screen -----------------------------------------------------------------------------------
say 'French, 1920x1080'
for size in 1024x768 1920x1080; do
  for language in en fr; do
    screen $size
    hypervisord "$OFFICE" "$INTERNET" 'lab=Laboratoire de chimie=#f9a825=/nowhere'
    tell 'image internet 372000000 3100000000' 'state internet starting' 'image office 3100000000 3100000000' \
      'state office running' 'state lab suspended' 'emulated internet 1' 'banner Example S.A.'
    console --language $language
    picture "list-$language-$size"
    key End Tab Tab Return
    picture "menu-$language-$size"
    key Escape
    key ctrl+d
    picture "confirm-$language-$size"
    key Escape
    tell 'state internet starting'
    key alt+1
    sleep 1.5
    picture "view-$language-$size"
    key ctrl+alt+Home alt+2
    picture "status-$language-$size"
    # No language that policy does not name.
    if [ "$language" = fr ]; then
      key ctrl+alt+Home
      picture french
      tell 'languages en'
      picture english
      [ "$(convert "$pictures/french.png" "$pictures/english.png" -metric AE -compare -format '%[distortion]' info:)" != 0 ] ||
        die 'the language that policy no longer names stayed'
      rm "$pictures/french.png" "$pictures/english.png"
    fi
    stop $console
    stop $hypervisord
  done
done
for picture in list menu confirm status; do
  [ "$(convert "$pictures/$picture-en-1024x768.png" "$pictures/$picture-fr-1024x768.png" -metric AE -compare -format '%[distortion]' info:)" != 0 ] ||
    die "$picture is the same in English and in French"
done
if grep -E 'error:|CRITICAL|assertion|AddressSanitizer' console.log; then die 'the console complained'; fi
say "pictures in $pictures"
