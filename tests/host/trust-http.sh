#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The HTTP transport against servers that misbehave: each failure has its own error, endless and slow transfers end at a limit, nothing
# but the pinned key is spoken to, redirects lead to no other protocol.
. "$(dirname "$0")/../lib/host.sh"
need python3
need openssl

unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
serve() { python3 -B "$SOURCE/tests/lib/trust-http-server.py" "$@" 2>/dev/null & }
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }
openssl req -x509 -newkey ed25519 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=floe 2>/dev/null
pin=sha256//$(openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
openssl req -x509 -newkey rsa:2048 -nodes -keyout old-key.pem -out old-cert.pem -days 2 -subj /CN=floe 2>/dev/null
old_pin=sha256//$(openssl x509 -in old-cert.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
serve 8001
serve 8002 cert.pem key.pem
serve 8003 old-cert.pem old-key.pem TLSv1_1
for port in 8001 8002 8003; do wait_for 10 "port $port" listening "$port"; done

cases=0
# expect 'BEGINNING*' URL PIN MAX PATH...: the last line that trust-http prints.
expect() {
  local wanted=$1 got; shift
  got=$("$BUILD/tests/trust-http" "$@" | tail -n 1)
  [[ $got == $wanted ]] || die "'$got', not '$wanted', of $*"
  cases=$((cases + 1))
}
plain=http://127.0.0.1:8001 tls=https://127.0.0.1:8002

hundred=$(head -c 100 /dev/zero | tr '\0' x | sha256sum | cut -d' ' -f1)
one=$(printf 1 | sha256sum | cut -d' ' -f1)
expect "ok 100 $hundred" $plain - 100 metadata/small
expect "ok 100 $hundred" $plain/ - 100 targets/small
expect "ok 100 $hundred" $plain - 100 metadata/chunked
expect "ok 1 $one" $plain - 100 metadata/header
expect "ok 100 $hundred" $plain - 100 metadata/near
expect "ok 100 $hundred" $plain - 100 metadata/404 metadata/endless metadata/small
expect 'Limit *more than the 99 bytes*' $plain - 99 metadata/small
expect 'Limit *more than the 99 bytes*' $plain - 99 metadata/chunked
expect 'Limit *more than the 100000 bytes*' $plain - 100000 metadata/endless
for status in 403 404 410; do expect "NotFound *no such object ($status)" $plain - 100 metadata/$status; done
for status in 400 500 503; do expect "Peer *answered $status; try again*" $plain - 100 metadata/$status; done
expect 'Io *' $plain - 1000 metadata/cut
expect 'Peer *' $plain - 100 metadata/loop
for path in file ftp other; do expect 'Refused *only the protocol of the configured URL*' $plain - 100 metadata/$path; done
expect 'Limit *slower than 256 bytes a second for 1 seconds*' $plain - 100 @1 metadata/drip
expect 'Limit *slower than 256 bytes a second for 1 seconds*' $plain - 100 @1 metadata/stall
expect 'Cancelled *' $plain - 100 ! metadata/drip
expect 'Refused the sink refused' $plain - 100 % metadata/small
expect 'Io *' http://127.0.0.1:8009 - 100 metadata/small
expect 'Invalid *no path in a repository*' $plain - 100 elsewhere/small
expect 'none *https:// or http:// wanted*' ftp://127.0.0.1 - 100 metadata/small
expect 'none *https:// or http:// wanted*' '' - 100 metadata/small

expect "ok 100 $hundred" $tls "$pin" 100 metadata/small
expect 'Unverified *not the pinned one*' $tls "$old_pin" 100 metadata/small
expect 'Unverified *' $tls - 100 metadata/small
expect 'Refused *only the protocol*' $tls "$pin" 100 metadata/other
expect 'none pin *wanted, and an https:// URL' $plain "$pin" 100 metadata/small
expect 'none pin *wanted*' $tls nonsense 100 metadata/small
curl -ksf --tls-max 1.1 --ciphers ALL:@SECLEVEL=0 -o /dev/null https://127.0.0.1:8003/metadata/small || die 'the server of TLS 1.1 does not work'
expect 'Io *' https://127.0.0.1:8003 "$old_pin" 100 metadata/small

# The program itself, over both, as the TUF community's suite calls it, and from a directory.
client() { floe-trust --metadata-dir meta "$@"; }
"$BUILD/tests/trust-forge" repo
(cd repo && exec python3 -B -m http.server 8004 --bind 127.0.0.1 >/dev/null 2>&1) &
wait_for 10 'port 8004' listening 8004
urls=(--metadata-url http://127.0.0.1:8004/metadata --target-base-url http://127.0.0.1:8004/targets)
download=(download --target-name policy/office.json --target-dir out)
! client "${urls[@]}" refresh 2>/dev/null || die 'refreshed without a root'
client init repo/root.json || die 'no init'
client "${urls[@]}" refresh || die 'no refresh'
[ "$(ls meta | tr '\n' ' ')" = 'root.json snapshot.json targets.json timestamp.json ' ] || die "in meta: $(ls meta)"
cmp meta/timestamp.json repo/metadata/timestamp.json || die 'not the bytes that were sent'
client "${urls[@]}" "${download[@]}" || die 'no download'
cmp out/policy%2Foffice.json repo/targets/policy/office.json || die 'another target'
mv repo/targets away
client "${urls[@]}" "${download[@]}" || die 'what was there and right was fetched again'
echo altered > out/policy%2Foffice.json
status=0; client "${urls[@]}" "${download[@]}" 2>/dev/null || status=$?
[ $status = 1 ] || die "exit status $status for a target that is not to be had"
mv away repo/targets
client "${urls[@]}" "${download[@]}" || die 'an altered copy was not replaced'
cmp out/policy%2Foffice.json repo/targets/policy/office.json || die 'another target'
client --repository repo "${download[@]}" --target-name policy/office.json || die 'not from a directory'
for wrong in 'refresh' '--metadata-url http://127.0.0.1:8004/metadata' '--metadata-url ftp://x refresh' '--repository repo download' \
    '--repository repo init' '--repository repo refresh more' '--bad refresh' '--repository repo --target-dir out --target-name none download' \
    'init repo/none.json' 'init repo/metadata/timestamp.json'; do
  status=0; client $wrong >/dev/null 2>&1 || status=$?
  [ $status = 1 ] || die "exit status $status for $wrong"
  cases=$((cases + 1))
done
status=0; floe-trust refresh 2>/dev/null || status=$?
[ $status = 1 ] || die 'no --metadata-dir'
figure trust_http_cases $cases
