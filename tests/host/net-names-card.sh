#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real card whose rules have names, with its resolver and its rules in the kernel; the guest is the kernel's network stack in a
# namespace. What a name has opened is reached by that name's address and port, and by nothing else; it stays open when the resolver is
# killed and when the policy is replaced, and closes when the rule goes.
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/names-world.sh"
start_card names

say 'what names open'
[ "$(reach_tcp 198.51.100.20)" = no ] || die 'open before any name was asked for'
[ "$(ask 10.77.0.1 www.example.org/A)" = 'www.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.20' ] || die "asked: $(ask 10.77.0.1 www.example.org/A)"
[ "$(reach_tcp 198.51.100.20)" = yes ] || { nft list table inet floe0; cat one.log; die 'the name has opened nothing'; }
[ "$(reach_tcp 198.51.100.21)" = no ] || die 'another address is open'
[ "$(reach_tcp 198.51.100.20 8080)" = no ] || die 'another port is open'
[ "$(ask 10.77.0.1 www.example.net/A)" = 'www.example.net/A rcode 3 tc 0 ede - ttl 0' ] || die 'another name is answered'
[ "$(ask 10.77.0.1 private.example.org/A)" = 'private.example.org/A rcode 0 tc 0 ede - ttl 0' ] || die 'a name has rebound'
[ "$(ask fdf1:e77::1 www.example.org/AAAA)" = 'www.example.org/AAAA rcode 0 tc 0 ede - ttl 300 2001:db8::20' ] || die 'over IPv6'
nft list table inet floe0 | quietly grep '2001:db8::20 .*timeout 5m5s' || { nft list table inet floe0 | grep -E 'set|elements|2001|198.51'; die 'not bound for 305 seconds'; }
# The endpoint's own resolver is the only one.
[ "$(ask 198.51.100.10 www.example.org/A)" = 'www.example.org/A timeout' ] || die 'a server outside was reached'

say 'killed, replaced'
resolver=$(pgrep -u 700000)
kill -KILL "$resolver"
[ "$(reach_tcp 198.51.100.20)" = yes ] || die 'closed with the resolver'
wait_for 10 'another resolver' eval "[ -n \"\$(pgrep -u 700000)\" ]"
[ "$(ask 10.77.0.1 a.b.example.org/A)" = 'a.b.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.20' ] || die 'asked the new one'
card replace more
[ "$(reach_tcp 198.51.100.20)" = yes ] || die 'closed by a policy with the same rule'
card replace without
[ "$(reach_tcp 198.51.100.20)" = no ] || die 'open without the rule'
[ "$(ask 10.77.0.1 www.example.org/A)" = 'www.example.org/A timeout' ] || die 'answered without a resolver'
[ -z "$(pgrep -u 700000)" ] || die 'a resolver that nobody wants'
card replace names
[ "$(ask 10.77.0.1 www.example.org/A)" = 'www.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.20' ] || die 'asked after its return'
[ "$(reach_tcp 198.51.100.20)" = yes ] || die 'open again'

say 'the loader is killed: names end with it, what they have opened does not'
kill -KILL "$loader"; wait "$loader" 2>/dev/null || true
wait_for 10 'the resolver to end' eval "[ -z \"\$(pgrep -u 700000)\" ]"
[ "$(reach_tcp 198.51.100.20)" = yes ] || die 'closed with the loader'

say 'who finds the card again knows what is open'
FLOE_RESOLVER=$BUILD/bin/floe-resolver "$BUILD/tests/net-card" adopt 0 policy.json names <<<bound >adopted.out 2>adopted.log || { cat adopted.log; die 'not adopted'; }
quietly grep -E '^bound web 198\.51\.100\.20 [1-9][0-9]*$' adopted.out || { cat adopted.out; die 'what the name has opened is not told'; }
[ "$(grep -c ^bound adopted.out)" = 1 ] || { cat adopted.out; die 'more is told than is open'; }
