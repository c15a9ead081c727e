# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh (or, in a test machine, base.sh), machine.sh and net-world.sh: a hostile guest in every phase of a machine's life.
# The test gives machines "victim" (whose cards are attacked) and those of OTHERS, write_policy N (policies that differ with N but allow the same
# good guest), CARDS (names) and calls chaser for each card of CARDS, quiet for taps where nothing hostile may arrive, and run_phases.

declare -A before expects
quiet_slots=()
sent=0 leaked=0 lost=0 asked=0
# FLOOD_NICENESS, where there is one processor: what is flooded must get on, too.
FLOOD_NICENESS=${FLOOD_NICENESS:-0}
# chaser NAME SLOT WORD...: a flood of the card's tap; and beside it the good guest of the same tap, ask-NAME, which never floods.
chaser() {
  local name=$1 slot=$2 role word words niceness; shift 2
  for role in "flood-$name" "ask-$name"; do
    words=() niceness=0
    for word in "$@"; do [ "$word" = filtered ] || words+=("$word"); done
    if [ "$role" = "flood-$name" ]; then niceness=$FLOOD_NICENESS; else words+=(calm); fi
    mkfifo "$role.in"
    nice -n "$niceness" "$TOOLS/hostile-frames" chase "floe$slot" "$slot" "$role.in" ${words[@]+"${words[@]}"} >"$role.out" &
    wait_for 10 "$role" grep -q chasing "$role.out"
  done
  expects[$name]='arp dhcp icmp udp tcp'
  case " $* " in *' six '*) expects[$name]+=' nd icmp6 udp6 tcp6' ;; esac
  # Beyond a machine that filters there is only what that machine lets through (tests/host/net-filter.sh).
  case " $* " in *' filtered '*' six '*) expects[$name]='arp dhcp nd' ;; *' filtered '*) expects[$name]='arp dhcp' ;; esac
  # A LAN's router and its DHCPv6 are not the endpoint's.
  case " $* " in *' lan '*) ;; *' six '*) expects[$name]+=' ra dhcp6' ;; esac
  case " $* " in *' dns '*) expects[$name]+=' dns dns6' ;; esac
}
# quiet SLOT: a tap that nothing hostile may come out of.
quiet() {
  mkfifo "quiet-$1.in"
  "$TOOLS/hostile-frames" chase "floe$1" "$1" "quiet-$1.in" calm >"quiet-$1.out" &
  quiet_slots+=("$1")
}
# took CARD: frames of its flood that taps took so far; accepted CARD: in this phase.
took() {
  local line; line=$(obey "flood-$1" count)
  echo $(($(field link "$line") + $(field flow "$line") + $(field flow6 "$line")))
}
accepted() { echo $(($(took "$1") - before[$1])); }
is_flooding() { [ "$(accepted "$1")" -gt "$ENOUGH" ]; }
ENOUGH=${ENOUGH:-20000}

# good CARD [LESS]: the good guest under the flood gets all that it is to get; LESS: words that are not asked for in this phase.
good() {
  local answer word
  if [ -n "${2:-}" ]; then
    answer=$(obey "ask-$1" legit alone)
  else
    answer=$(obey "ask-$1" legit $([[ " ${expects[$1]} " != *' dns '* ]] || echo www.example.test))
  fi
  for word in ${expects[$1]}; do
    [[ " ${2:-} " != *" $word "* ]] || continue
    asked=$((asked + 1))
    [ "$(field $word "$answer")" = 1 ] || { say "$PHASE: $1: $word is lost: $answer"; lost=$((lost + 1)); }
  done
}
all_good() {
  local card
  for card in "${CARDS[@]}"; do
    wait_for 60 "the flood of $card" is_flooding "$card"
    good "$card" "${1:-}"
  done
}
# phase NAME: begins with watchers (watch_all, the test's; it puts their names into WATCHERS); phase_end: nothing may have come out.
phase() {
  local card slot
  PHASE=$1
  say "$PHASE"
  watch_all
  for slot in "${quiet_slots[@]}"; do obey "quiet-$slot" drain >/dev/null; done
  for card in "${CARDS[@]}"; do before[$card]=$(took "$card"); done
}
phase_end() {
  local card slot n
  for card in "${CARDS[@]}"; do
    n=$(accepted "$card")
    [ "$n" -gt "$ENOUGH" ] || die "$PHASE: card $card took only $n hostile frames"
    sent=$((sent + n))
  done
  sleep 0.3
  end_watch "${WATCHERS[@]}"
  for slot in "${quiet_slots[@]}"; do
    [ "$(field holds "$(obey "quiet-$slot" count)")" = 1 ] || die "$PHASE: nobody listens on floe$slot"
    watched=$((watched + $(field drain "$(obey "quiet-$slot" drain)")))
  done
  leaked=$((leaked + watched))
  say "$PHASE: $watched leaked"
}
refresh() { gdbus call --system --dest org.floe.Hypervisor1 --object-path /org/floe/Hypervisor1 --method org.floe.Hypervisor1.SpoolChanged >/dev/null; }
up() { machine_is "$1" starting || machine_is "$1" running; }
all_up() { local machine; for machine in victim "${OTHERS[@]}"; do up "$machine" || return 1; done; }

# run_phases: with a bus, and a spool that has write_policy 0's.
run_phases() {
  local i
  phase 'boot: the flood is there before the daemon, the machines start by themselves'
  start_daemon
  wait_for 120 'the machines to start' all_up
  all_good
  phase_end

  phase 'taps go and are made again'
  vm stop victim --force
  vm start victim
  all_good
  phase_end

  phase 'new policies come into force'
  for ((i = 1; i <= 6; i++)); do
    write_policy $((i % 3 * 20))
    spool
    refresh
  done
  all_good
  phase_end

  phase 'the daemon is killed'
  kill -9 $DAEMON_PID
  wait $DAEMON_PID 2>/dev/null || true
  # What needs a server of the endpoint's has to wait for it; flows have not.
  all_good 'dhcp ra dhcp6 dns dns6'
  start_daemon
  wait_for 120 'the machines to be found again' all_up
  all_good
  phase_end

  phase 'QEMU is killed: its taps are made again'
  kill -9 "$(stat_of victim pid)"
  wait_for 30 'the machine to have ended' eval '! up victim'
  vm start victim
  all_good
  phase_end

  phase 'suspended and resumed'
  vm suspend victim
  vm resume victim
  all_good
  phase_end
}
# phases_say PREFIX: the figures, and the verdict.
phases_say() {
  figure "$1_hostile_frames" "$sent" frames
  figure "$1_leaked" "$leaked" frames
  figure "$1_legit_asked" "$asked" exchanges
  figure "$1_legit_lost" "$lost" exchanges
  [ "$leaked" = 0 ] || die "$leaked frames leaked"
  [ "$lost" = 0 ] || die "$lost of $asked good exchanges failed"
}
