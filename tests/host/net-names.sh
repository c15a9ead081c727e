#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A card's resolver between a guest and a DNS server that are both hostile, in the kernel: the real process in its jail, sets that its
# answers fill, and a rule that drops whatever is not in them. What hypervisord does is done by tests/tools/resolver-card.c.
. "$(dirname "$0")/../lib/host.sh"
for program in nft ip python3 socat; do need "$program"; done
DNS=$SOURCE/tests/lib/hostile-dns.py
SLOW=${FLOE_LONG:+1}

# -- The world: a server, and an address space where every address answers.
ip netns add world
ip link add uplink type veth peer name far netns world
in_world() { ip netns exec world "$@"; }
ip addr add 198.51.100.1/24 dev uplink
ip -6 addr add 2001:db8:1::1/64 dev uplink nodad
ip link set uplink up
in_world ip link set lo up
in_world ip addr add 198.51.100.10/24 dev far
in_world ip -6 addr add 2001:db8:1::10/64 dev far nodad
in_world ip link set far up
for net in 198.51.100.20/30 198.51.100.28/30 198.51.100.32/32 203.0.113.0/24; do in_world ip route add local $net dev lo; done
in_world ip route add 10.77.0.0/16 via 198.51.100.1
ip route add default via 198.51.100.10
in_world python3 -c '
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IP, 8, 1)
sock.bind(("", 7))
while True:
    data, control, _, sender = sock.recvmsg(2048, 256)
    # From the address that it was sent to: struct in_pktinfo has it last.
    sock.sendmsg([data], [(socket.IPPROTO_IP, 8, bytes(4) + control[0][2][8:12] + bytes(4))], 0, sender)' &
touch asked
in_world python3 "$DNS" serve 198.51.100.10 "$PWD/asked" >server.out 2>server.err &
in_world python3 "$DNS" serve 2001:db8:1::10 "$PWD/asked6" >server6.out 2>server6.err &
wait_for 10 'the server' grep -q serving server.out
wait_for 10 'the other server' grep -q serving server6.out

# -- The guest's link, and a rule for what names have opened.
ip netns add guest
ip link add floe0 type veth peer name eth0 netns guest
in_guest() { ip netns exec guest "$@"; }
ip addr add 10.77.0.1/30 dev floe0
ip -6 addr add fdf1:e77::1/64 dev floe0 nodad
ip link set floe0 up
in_guest ip link set lo up
in_guest ip addr add 10.77.0.2/30 dev eth0
in_guest ip -6 addr add fdf1:e77::2/64 dev eth0 nodad
in_guest ip link set eth0 up
in_guest ip route add default via 10.77.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<'RULES'
table inet names {
  set www4 { type ipv4_addr; flags timeout; }
  set www6 { type ipv6_addr; flags timeout; }
  set wild4 { type ipv4_addr; flags timeout; }
  set wild6 { type ipv6_addr; flags timeout; }
  set other4 { type ipv4_addr; flags timeout; }
  set other6 { type ipv6_addr; flags timeout; }
  counter dropped { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "uplink" accept
    ip daddr @www4 accept
    ip daddr @wild4 accept
    counter name dropped
  }
}
RULES
dropped() { nft list counter inet names dropped | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
bound() { nft list set inet names "$1" | tr '\n' ' '; }
forget() { for set in www4 www6 wild4 wild6 other4 other6; do nft flush set inet names $set; done; }

network() { # network FILE LINES...: rules as they are here, with more lines for [network]
  local file=$1; shift
  { echo '[network]'; printf '%s\n' 'mode=nat' "$@"; echo '[rules]'; echo 'www=www.example.org;good.example.org;ttl0.example.org;'
    echo 'wild=*.example.org;'; } >"$file"
}
network rules.ini 'resolver=rules' 'ipv6=true' 'dns=198.51.100.10' 'floor=15' 'delay=30' 'inside=10.77.0.0/16;fdf1:e77::/32'
network any.ini 'resolver=any' 'dns=198.51.100.10' 'floor=3' 'inside=10.77.0.0/16'
network rebind.ini 'resolver=rules' 'ipv6=true' 'dns=198.51.100.10' 'rebind=10.1.0.0/16;fd00::/64' 'inside=10.77.0.0/16'
network defaults.ini 'resolver=rules' 'dns=198.51.100.10' 'inside=10.77.0.0/16'
network six.ini 'resolver=rules' 'ipv6=true' 'dns=2001:db8:1::10' 'inside=10.77.0.0/16'
network two.ini 'resolver=rules' 'dns=198.51.100.99;198.51.100.10' 'inside=10.77.0.0/16'
network nobody.ini 'resolver=rules' 'dns=198.51.100.99' 'inside=10.77.0.0/16'
printf 'nonsense\nnameserver\nnameserver fe80::1%%eth0\nnameserver 198.51.100.10\n' >resolv.conf
network host.ini 'resolver=rules' "resolv_conf=$PWD/resolv.conf" 'inside=10.77.0.0/16'

mkdir jail
mkfifo control
start_card() { # start_card FILE
  : >card.out
  "$BUILD/tests/resolver-card" 0 "$BUILD/bin/floe-resolver" "$PWD/jail" 61234 "$1" <>control >card.out 2>>card.err & card=$!
  wait_for 10 'the resolver' grep -q ready card.out
}
tell() { # tell WORDS...: waits until it is done
  local before; before=$(grep -cE '^(done|error)' card.out || true)
  echo "$*" >control
  wait_for 10 "the card to '$*'" eval "[ \$(grep -cE '^(done|error)' card.out) -gt $before ]"
  ! tail -n 1 card.out | quietly grep ^error || die "$*: $(tail -n 1 card.out)"
}
stop_card() { echo quit >control; wait "$card"; }
ask() { in_guest python3 "$DNS" ask "$@"; }
expect() { # expect WANTED ASK-ARGUMENTS...
  local wanted=$1 got; shift
  got=$(ask 10.77.0.1 "$@")
  [ "$got" = "$wanted" ] || { cat card.err server.err; die "asked $*: got '$got', not '$wanted'"; }
}
# expect_all [WORD...]: lines `NAME/TYPE ANSWER` on standard input, all asked at one time.
expect_all() {
  cat >wanted
  ask 10.77.0.1 "$@" $(sed 's/ .*//' wanted) >got
  diff wanted got >difference || { cat card.err server.err difference; die 'answered otherwise (>) than expected (<)'; }
}
# told WORDS: an event begins with them. Answers do not wait for events.
told() { wait_for 20 "event $1" grep -q "^event $1" card.out; }
good='rcode 0 tc 0 ede - ttl 300 198.51.100.20'
failed='rcode 2 tc 0 ede - ttl 0'
empty='rcode 0 tc 0 ede - ttl 0'
pid() { tell pid; sed -n 's/^pid \([0-9]*\) .*/\1/p' card.out | tail -n 1; }

start_card rules.ini
resolver=$(pid)

say 'the process: no privilege, no way to open anything, small'
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$resolver/status"; }
[ "$(status Uid)" = $'61234\t61234\t61234\t61234' ] || die "uid $(status Uid)"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do [ "$(status $set)" = 0000000000000000 ] || die "$set $(status $set)"; done
[ "$(status Seccomp) $(status NoNewPrivs)" = '2 1' ] || die "seccomp $(status Seccomp), no_new_privs $(status NoNewPrivs)"
[ "$(status Seccomp_filters)" = 2 ] || die "$(status Seccomp_filters) filters, not the jail's and its own"
for namespace in net mnt pid ipc uts; do
  [ "$(readlink "/proc/$resolver/ns/$namespace")" != "$(readlink /proc/self/ns/$namespace)" ] || die "it shares the $namespace namespace"
done
expect 'good.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.20' good.example.org/A
# RssAnon: its own; the rest is libc, shared with everybody.
say "resident: $(status VmRSS), its own $(status RssAnon)"
figure resolver_rss_kib "$(status VmRSS | cut -d' ' -f1)" KiB
[ "$(status VmRSS | cut -d' ' -f1)" -le 4096 ] || die "resident: $(status VmRSS)"

say 'names: what rules name, as they name it, and nothing else'
expect_all <<ANSWERS
www.example.org/A $good
www.example.org/AAAA rcode 0 tc 0 ede - ttl 300 2001:db8::20
WwW.eXaMpLe.OrG/A $good
a.b.c.example.org/A $good
ANSWERS
expect "www.example.org/A $good" tcp www.example.org/A
[ "$(ask fdf1:e77::1 www.example.org/A)" = "www.example.org/A $good" ] || die 'over IPv6'
[ "$(ask fdf1:e77::1 tcp www.example.org/A)" = "www.example.org/A $good" ] || die 'over IPv6 and TCP'
: >asked
# Above names that are answered: nothing there, but it must not be said that it does not exist. And types that carry no address, or one
# around us (HTTPS has hints).
expect_all edns <<ANSWERS
$(for name in aexample.org www.example.org.evil.net wwwexample.org example.com www.example.or; do echo "$name/A rcode 3 tc 0 ede 15 ttl 0"; done)
example.org/A rcode 0 tc 0 ede 15 ttl 0
org/A rcode 0 tc 0 ede 15 ttl 0
$(for kind in HTTPS 64 TXT MX SRV CNAME ANY 252; do echo "www.example.org/$kind $empty"; done)
ANSWERS
[ ! -s asked ] || die "asked upstream: $(cat asked)"
for name in aexample.org example.com example.org; do told "refused $name - "; done

say 'the question that goes upstream'
: >asked
ask 10.77.0.1 edns $(for i in $(seq 200); do echo "q$i.example.org/A"; done) >/dev/null
[ "$(wc -l <asked)" = 200 ] || die "$(wc -l <asked) questions for 200"
ports=$(awk '{ print $3 }' asked | sort -u | wc -l) ids=$(awk '{ print $4 }' asked | sort -u | wc -l)
mixed=$(awk '$1 != tolower($1)' asked | wc -l)
say "of 200: $ports ports, $ids ids, $mixed in mixed case"
[ "$ports" -gt 150 ] && [ "$ids" -gt 150 ] && [ "$mixed" -gt 150 ] || die 'they can be guessed'

say 'bound before it is answered, by a kernel that takes 30 ms'
forget
before=$(dropped)
names=$(for i in $(seq 100); do echo "seq$i.example.org"; done)
answer=$(in_guest python3 "$DNS" reach 10.77.0.1 $names)
[ "$answer" = 'reached 100 of 100' ] || die "$answer"
late=$(($(dropped) - before))
[ "$late" = 0 ] || die "$late packets came before their rule"
in_guest socat -u - UDP:203.0.113.200:7 <<<too-early
sleep 0.2
[ "$(dropped)" -gt "$before" ] || die 'the rule drops nothing at all'

say 'what lives as long as the answer, and no longer'
forget
expect_all <<ANSWERS
ttl0.example.org/A rcode 0 tc 0 ede - ttl 0 198.51.100.30
ttlhuge.example.org/A rcode 0 tc 0 ede - ttl 0 198.51.100.31
ttllong.example.org/A rcode 0 tc 0 ede - ttl 3600 198.51.100.32
ANSWERS
grep -qx 'bind www 198.51.100.30 20' card.out && grep -qx 'bind wild 198.51.100.31 20' card.out && grep -qx 'bind wild 198.51.100.32 3605' card.out \
  || { grep ^bind card.out; die 'other times than 15 + 5 and 3600 + 5 seconds'; }
[[ $(bound www4) = *198.51.100.30* ]] || die "not bound: $(bound www4)"

say 'a server that answers badly: another id, question, port, case, no answer, no question, noise, too late; broken, truncated, chained'
labels() { local wanted=$1 label; shift; for label in "$@"; do echo "$label.example.org/A $wanted"; done; }
expect_all <<ANSWERS
$(labels "$good" wrongid wrongname wrongport wrongcase notanswer noquestion noise oversize old late trunc)
$(labels "$failed" loop forward cut trailing counts shortaddress chain13 chainloop chaintwice tcpcut tcpforeign servfail refused silent)
chain.example.org/A rcode 0 tc 0 ede - ttl 7 198.51.100.22
stranger.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.23
otherclass.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.24
nxdomain.example.org/A rcode 3 tc 0 ede - ttl 0
many.example.org/A rcode 0 tc 1 ede - ttl 0
evilmany.example.org/A $empty
ANSWERS
many=$(ask 10.77.0.1 tcp many.example.org/A)
[ "$(wc -w <<<"$many")" = $((9 + 32)) ] || die "of 3,000 addresses: $many"

say 'addresses that point inside'
inside='private private172 private192 loopback metadata shared ula mapped nat64 sixtofour pool chaininside endpoint'
got=$(ask 10.77.0.1 edns $(for label in $inside; do echo "$label.example.org/A $label.example.org/AAAA"; done))
! grep -vE ' rcode 0 tc 0 ede (-|15) ttl 0$' <<<"$got" || die 'answered what points inside'
for label in $inside; do
  grep -q "^$label\.example.*ede 15" <<<"$got" || die "$label: $got"
  told "inside $label.example.org "
done
expect_all <<'ANSWERS'
mixed.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.21
mixed.example.org/AAAA rcode 0 tc 0 ede - ttl 300 2001:db8::21
ANSWERS
told 'inside mixed.example.org '
! grep -qE '^bind [a-z]+ (10\.|127\.|172\.16|192\.168|169\.254|100\.64|fd|fe80|::|64:|2002:|198\.51\.100\.1 |2001:db8:1:)' card.out || die 'bound what points inside'

# Whatever it took until here: what was bound for 20 seconds ends by itself, and what is bound for longer does not.
wait_for 60 'the end of what was bound' eval '[[ $(bound www4) != *198.51.100.30* && $(bound wild4) != *198.51.100.31* ]]'
[[ $(bound wild4) = *198.51.100.32* ]] || die "ended too early: $(bound wild4)"
for set in www4 wild4 www6 wild6; do [[ $(bound $set) != *198.51.100.66* && $(bound $set) != *2001:db8::66* ]] || die "$set has what nobody was answered"; done
! grep -qE '^bind .*(198\.51\.100\.66|2001:db8::66)' card.out || die 'bound what nobody was answered'

say 'the process is killed: started again, what is bound stays'
expect 'www.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.20' www.example.org/A
kill -KILL "$resolver"
wait_for 10 'another process' eval "[ \"\$(pid)\" != $resolver ] && [ \"\$(pid)\" != 0 ]"
[[ $(bound www4) = *198.51.100.20* ]] || die 'what was bound is gone'
expect 'good.example.org/A rcode 0 tc 0 ede - ttl 300 198.51.100.20' good.example.org/A
resolver=$(pid)

say 'a flood and garbage: what others ask is answered still, nothing grows, the log stays short'
lines=$(wc -l <card.out) begun=$SECONDS
in_guest python3 "$DNS" flood 10.77.0.1 ${SLOW:+2}3 >flood.out
say "$(cat flood.out)"
in_guest python3 "$DNS" garbage 10.77.0.1 2000 >/dev/null
in_guest python3 "$DNS" garbage 10.77.0.1 200 tcp >/dev/null
mkfifo held
in_guest python3 "$DNS" hold 10.77.0.1 200 <>held >held.out & holder=$!
wait_for 20 'connections' grep -q held held.out
wait_for 20 'an answer after the flood' eval "[ \"\$(ip netns exec guest python3 $DNS ask 10.77.0.1 good.example.org/A)\" = 'good.example.org/A $good' ]"
kill "$holder"; wait "$holder" 2>/dev/null || true
[ "$(pid)" = "$resolver" ] || die 'it did not live through that'
[ "$(status VmRSS | cut -d' ' -f1)" -le 6144 ] || die "resident after the flood: $(status VmRSS)"
events=$(tail -n +"$lines" card.out | grep -c ^event || true)
[ "$events" -le $((60 * ((SECONDS - begun) / 60 + 2))) ] || die "$events events in $((SECONDS - begun)) s"
wait_for 20 'TCP again' eval "[ \"\$(ip netns exec guest python3 $DNS ask 10.77.0.1 tcp good.example.org/A)\" = 'good.example.org/A $good' ]"

say 'another policy: without a question lost'
in_guest python3 "$DNS" reach 10.77.0.1 $(for i in $(seq 60); do echo "seq$((i + 100)).example.org"; done) >during.out 2>during.err & asking=$!
for file in two.ini rules.ini defaults.ini two.ini rules.ini; do tell replace $file; sleep 0.5; done
wait "$asking"
[ "$(cat during.out)" = 'reached 60 of 60' ] || die "during replacement: $(cat during.out during.err)"
tell replace rebind.ini
expect_all <<ANSWERS
private.example.org/A rcode 0 tc 0 ede - ttl 300 10.1.2.3
ula.example.org/AAAA rcode 0 tc 0 ede - ttl 300 fd00::1
pool.example.org/A $empty
private192.example.org/A $empty
ANSWERS
tell replace six.ini
expect "good.example.org/A $good" good.example.org/A
grep -q 'good.example.org' -i asked6 || die 'the server with IPv6 was not asked'
tell replace two.ini
expect "www.example.org/A $good" www.example.org/A
tell replace any.ini
expect_all <<ANSWERS
www.example.net/A $good
www.example.org/AAAA $empty
text.example.net/TXT rcode 0 tc 0 ede - ttl 0 b'\\x05hello'
service.example.net/SRV rcode 0 tc 0 ede - ttl 0 host.service.example.net
mail.example.net/MX rcode 0 tc 0 ede - ttl 0 mail.mail.example.net
www.example.net/HTTPS $empty
use-application-dns.net/A rcode 3 tc 0 ede - ttl 0
a.localhost/A rcode 3 tc 0 ede - ttl 0
ANSWERS
! grep -q '^bind other' card.out || die 'bound what no rule names'
tell replace nobody.ini
expect "www.example.org/A $failed" www.example.org/A
# No more than so many events are told in a minute, and the flood may have used them up: asked until it is told.
end=$((SECONDS + 180))
until grep -q '^event upstream www.example.org ' card.out; do
  [ $SECONDS -lt $end ] || die "that no server answers is not told: $(tail -n 5 card.out)"
  expect "www.example.org/A $failed" www.example.org/A
done
stop_card

say 'with the times that hold without a test'
start_card defaults.ini
expect 'ttl0.example.org/A rcode 0 tc 0 ede - ttl 0 198.51.100.30' ttl0.example.org/A
grep -qx 'bind www 198.51.100.30 65' card.out || die 'the floor is another'
stop_card

say "the host's servers, read strictly, and read again when they change"
start_card host.ini
expect "www.example.org/A $good" www.example.org/A
printf 'nameserver 198.51.100.99\n' >resolv.new
mv resolv.new resolv.conf
wait_for 60 'the servers to be read again' eval "[ \"\$(ip netns exec guest python3 $DNS ask 10.77.0.1 www.example.org/A)\" = 'www.example.org/A $failed' ]"
stop_card
say 'leases: what a named server acknowledges to this card, and nothing else'
printf '[network]\nmode=bridge\ndhcp=192.0.2.1;192.0.2.2\n' >lan.ini
start_card lan.ini
resolver=$(pid)
[ "$(status Seccomp_filters)" = 2 ] || die "$(status Seccomp_filters) filters"
python3 "$DNS" dhcp floe0 02:f1:0e:00:00:00 source server offer other cookie nolease loopback overload twice fragment
# From the guest's own side, where no server is.
in_guest python3 "$DNS" dhcp eth0 02:f1:0e:00:00:00 good
sleep 1
! grep ^lease card.out || die 'a lease that is none'
told 'dhcp - 192.0.2.9 '
python3 "$DNS" dhcp floe0 02:f1:0e:00:00:00 good forever
wait_for 5 'a lease' grep -qx 'lease 192.0.2.50 3600' card.out
wait_for 5 'a lease for ever' grep -qx 'lease 192.0.2.50 4294967295' card.out
stop_card
figure net_names_bound_late "$late" packets
