#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-server against clients that mean no good: what is outside the grammar of paths is not there, whoever is slow or many is bounded,
# and honest clients are served throughout.
. "$(dirname "$0")/../lib/host.sh"
need curl; need python3; need openssl; need setpriv

URL=https://127.0.0.1:8443
chunk=abcd0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab
chmod 755 "$WORK"
mkdir -p data/repo/metadata data/repo/targets/policy "data/repo/chunks/abcd" outside
echo '{"signed":{}}' >data/repo/metadata/timestamp.json
echo '{"signed":{}}' >data/repo/metadata/1.root.json
: >data/repo/metadata/empty.json
head -c 100000 /dev/urandom >"data/repo/chunks/abcd/$chunk.cacnk"
echo secret >outside/secret.json
ln -s "$WORK/outside/secret.json" data/repo/metadata/link.json
ln -s "$WORK/outside" data/repo/targets/link
ln -s ../../../outside/secret.json data/repo/targets/policy/link.json
mkfifo data/repo/metadata/fifo.json
mkdir data/repo/metadata/directory.json
chown -R 61001 data

say 'starting: identity, pin, refusals'
floe-server --data data --listen 127.0.0.1:8443 --user root 2>err && die 'it serves as root'
grep -q 'no such unprivileged user' err || die "root was refused with: $(cat err)"
floe-server --data data --listen 127.0.0.1:8443 2>err &
server=$!
wait_for 10 'the server' grep -q serving err
[ "$(awk '/^Uid:/ { print $2 $3 $4 }' /proc/$server/status)" = "$(id -u nobody)$(id -u nobody)$(id -u nobody)" ] || die 'root stays root'
[ "$(awk '/^Cap(Prm|Eff|Inh|Amb):/ { n += $2 != "0000000000000000" } END { print n + 0 }' /proc/$server/status)" = 0 ] || die 'it keeps capabilities'
curl -sk https://127.0.0.1:8443/metadata/1.root.json | cmp - data/repo/metadata/1.root.json
kill $server; wait $server
rm -r data/tls
as_server() { setpriv --reuid 61001 --regid 61001 --clear-groups "$@"; }
pin=$(as_server floe-server --data data --print-pin)
[ "$(as_server floe-server --data data --print-pin)" = "$pin" ] || die 'the pin changed at the second start'
[ "$(stat -c %a data/tls/key.pem)" = 600 ] || die 'the key can be read by others'
[ "$pin" = "sha256//$(openssl x509 -in data/tls/cert.pem -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64)" ] ||
  die "the pin $pin is not that of the certificate"
chmod 644 data/tls/key.pem
as_server floe-server --data data --print-pin 2>err && die 'it takes a key that everybody can read'
grep -q 'key.pem: mode 0644' err || die "a readable key was refused with: $(cat err)"
chmod 600 data/tls/key.pem
rm data/tls/cert.pem
[ "$(as_server floe-server --data data --print-pin)" = "$pin" ] || die 'a new certificate changed the pin'
chmod 777 data/repo
as_server floe-server --data data --listen 127.0.0.1:8443 2>err && die 'it serves what everybody may write'
chmod 755 data/repo
mv data/repo data/away
as_server floe-server --data data --listen 127.0.0.1:8443 2>err && die 'it serves without a repository'
grep -q 'data/repo' err || die "a missing repository was refused with: $(cat err)"
mv data/away data/repo
for listen in 127.0.0.1 localhost:1 127.0.0.1:65536 ::1:8443 '[127.0.0.1]:1'; do
  as_server floe-server --data data --listen "$listen" 2>err && die "--listen $listen was taken"
  grep -qF -e "--listen $listen" err || die "--listen $listen was refused with: $(cat err)"
done

start_server() {
  mkfifo ready
  setpriv --reuid 61001 --regid 61001 --clear-groups "$BUILD/bin/floe-server" --data data --listen 127.0.0.1:8443 --ready-fd 3 "$@" 3>ready 2>>server.log &
  server=$!
  [ "$(timeout 10 cat ready)" = 127.0.0.1:8443 ] || die "not ready: $(cat server.log)"
  rm ready
}
stop_server() { kill -TERM $server; wait $server || die "SIGTERM ended it with status $?"; }
start_server --max-connections 200 --max-per-address 40 --request-seconds 3
[ "$(awk '/^Uid:/ { print $3 }' /proc/$server/status)" = 61001 ] || die 'it runs as another user'
[ "$(awk '/^NoNewPrivs:/ { print $2 }' /proc/$server/status)" = 1 ] || die 'it could gain privileges'

fetch() { curl -sk --max-time 20 --pinnedpubkey "$pin" "$@"; }
status() { fetch --path-as-is -o body -w '%{http_code}' "$@"; }
say 'what is served'
fetch "$URL/metadata/1.root.json" | cmp - data/repo/metadata/1.root.json
fetch "$URL/chunks/abcd/$chunk.cacnk" | cmp - "data/repo/chunks/abcd/$chunk.cacnk"
[ "$(status "$URL/metadata/empty.json")" = 200 ] && [ ! -s body ] || die 'an empty file is not served as such'
fetch -r 10-19 "$URL/chunks/abcd/$chunk.cacnk" | cmp - <(tail -c +11 "data/repo/chunks/abcd/$chunk.cacnk" | head -c 10)
fetch -r -10 "$URL/chunks/abcd/$chunk.cacnk" | cmp - <(tail -c 10 "data/repo/chunks/abcd/$chunk.cacnk")
[ "$(status -r 100000- "$URL/chunks/abcd/$chunk.cacnk")" = 416 ] || die 'a range past the end is no 416'
fetch -I "$URL/chunks/abcd/$chunk.cacnk" | quietly grep -i '^content-length: 100000' || die 'HEAD does not tell the length'
fetch -I "$URL/metadata/timestamp.json" | quietly grep -i '^cache-control: no-cache' || die 'caches may keep timestamp.json'
[ "$(fetch --tlsv1.3 -w '%{http_code}' -o body "$URL/metadata/1.root.json")" = 200 ] || die 'no TLS 1.3'
[ "$(fetch --tls-max 1.2 -w '%{http_code}' -o body "$URL/metadata/1.root.json")" = 200 ] || die 'no TLS 1.2'
fetch --tls-max 1.1 --ciphers 'DEFAULT@SECLEVEL=0' "$URL/metadata/1.root.json" && die 'TLS 1.1 is spoken'
curl -sk --pinnedpubkey "sha256//$(head -c 32 /dev/zero | base64)" "$URL/metadata/1.root.json" && die 'any pin matches'

say 'what is not'
tried=0
not_there() {
  local got; got=$(status "$URL$1")
  tried=$((tried + 1))
  [ "$got" = 404 ] || [ "$got" = 400 ] || die "$1 is answered $got"
  grep -q secret body && die "$1 gives away what is outside"
  return 0
}
for path in / /metadata /metadata/ /metadata/absent.json /metadata/link.json /metadata/fifo.json /metadata/directory.json \
  /targets/link/secret.json /targets/policy/link.json /tls/key.pem /../tls/key.pem /metadata/../../tls/key.pem /metadata/..%2f..%2ftls/key.pem \
  /metadata/%2e%2e/%2e%2e/tls/key.pem /metadata/..%252f..%252ftls/key.pem '/metadata/..\..\tls\key.pem' /metadata/%c0%ae%c0%ae/tls/key.pem \
  //metadata/1.root.json /metadata//1.root.json /metadata/./1.root.json /metadata/1.root.json/ /metadata/1.root.json/../1.root.json \
  '/metadata/1.root.json?a=b' '/metadata/1.root.json?' '/metadata/1.root.json;a' /metadata/1.root.json%00.json /metadata/1%2eroot.json \
  /chunks/ /chunks/abcd/ "/chunks/abcd/$chunk" "/chunks/ABCD/$chunk.cacnk" "/chunks/abce/$chunk.cacnk" "/chunks/abcd/../abcd/$chunk.cacnk" \
  /chunks/.writing/x /metadata/.timestamp.json.00000000 /proc/self/environ '/targets/~/x' /targets/a/b/c/d/e/f/g/h; do
  not_there "$path"
done
for method in POST PUT DELETE PATCH OPTIONS TRACE PROPFIND FOO; do
  [ "$(status -X $method "$URL/metadata/1.root.json")" = 405 ] || die "$method is not answered 405"
done
# 000: the connection was closed on what is still being sent, before the answer was read.
case $(status -d "$(head -c 100000 /dev/zero | tr '\0' x)" "$URL/metadata/1.root.json" || true) in *405 | *000) ;; *) die 'an upload is taken' ;; esac
[ "$(status -X GET -d x "$URL/metadata/1.root.json")" = 413 ] || die 'a GET with a body is taken'
[ "$(status "$URL/metadata/$(head -c 2000 /dev/zero | tr '\0' a)")" = 414 ] || die 'a long path is no 414'

say 'hostile connections'
python3 "$SOURCE/tests/lib/hostile-http.py" 127.0.0.1 8443 40 3 || die 'hostile client (see above)'
[ "$(status "$URL/metadata/1.root.json")" = 200 ] || die 'it serves no more'
rss=$(awk '/^VmRSS/ { print int($2 / 1024) }' /proc/$server/status)
[ "$rss" -lt 64 ] || die "$rss MiB resident after the hostile clients"

say 'stopping'
stop_server
grep -q 'served REQUESTS=' server.log || die 'no summary of what was served'
[ "$(grep -c . server.log)" -lt 20 ] || die "a line a request? $(wc -l <server.log) lines of log"
# In the middle of a transfer, too: one that no socket buffer holds.
truncate -s 64M data/repo/targets/policy/large
start_server
fetch --limit-rate 20k "$URL/targets/policy/large" -o body &
sleep 0.5
stop_server
wait $! && die 'a cut transfer looks whole' || true
figure server_hostile_paths_tried $tried
figure server_hostile_paths_served 0
figure server_rss_after_attack_mib "$rss" MiB
