#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL at 1,000 random moments of a client that refreshes over a changing repository: what was accepted is never lost, nothing
# older is accepted afterwards, and the next refresh succeeds.
. "$(dirname "$0")/../lib/host.sh"

seed=${FLOE_SEED:-$RANDOM}
say "FLOE_SEED=$seed"
mkdir /run/state
"$BUILD/tests/trust-kill" /run/state 1000 "$seed" | tee "$WORK/out"
grep -q 'trust_kills = 1000' "$WORK/out" || die 'not every kill was made'
grep -q 'trust_state_lost = 0' "$WORK/out" || die 'accepted state was lost'
# A run in which the client never got anywhere, or never was interrupted, shows nothing.
rounds=$(sed -n 's/^rounds.*: //p' "$WORK/out")
[ "$rounds" -ge 2 ] || die "only $rounds rounds: the client made too little progress between kills"
