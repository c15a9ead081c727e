#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Enrolment with a one-time code: the exchange itself, against a real floe-server and by a second implementation of the protocol; a man in the
# middle, forged and replayed answers, guesses, two endpoints racing for one code, a server that is killed meanwhile, recovery keys.
# The setup screen has a test of its own: tests/host/setup.sh.
. "$(dirname "$0")/../lib/host.sh"
need python3; need setpriv; need openssl; need faketime

AGENT=64901 SERVER=64903
# Where other users reach it, though the checkout may lie in somebody's closed home.
mkdir /run/here /run/programs
chmod 755 "$WORK"
mount --bind "$WORK" /run/here
mount --bind "$BUILD" /run/programs
cd /run/here
WORK=/run/here BUILD=/run/programs PATH=/run/programs/bin:$PATH
# Words before a command, never a function: a background job's pid must be the command's.
as_agent=(setpriv --reuid=$AGENT --regid=$AGENT --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs --)
as_server=(setpriv --reuid=$SERVER --regid=$SERVER --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs --)
client() { python3 "$SOURCE/tests/lib/enrol-client.py" "$@"; }
code_of() { sed -n 's/^code  *//p' "$1"; }
# new_code ARGUMENT...: a code, in $code.
new_code() { floe-server code --data data --address 127.0.0.1 "$@" >code.txt; code=$(code_of code.txt); }
# An endpoint: its configuration without a server, its state.
endpoint() {
  install -d -m 755 -o $AGENT -g $AGENT "$1" "$1/state/agent" "$1/run/agent"
  printf '[paths]\nstate=%s/state\nrun=%s/run\nroot=%s/root.json\n' "$WORK/$1" "$WORK/$1" "$WORK" >"$1/floe.conf"
}
# enrol ENDPOINT ADDRESS CODE, with `as_command` before it.
enrol() { "${as_agent[@]}" "${as_command[@]}" "$BUILD/bin/floe-agent" enrol --direct --config "$1/floe.conf" "$2" "$3"; }
as_command=()
# not ENDPOINT ADDRESS CODE WORDS: does not enrol, and says why.
not() {
  enrol "$1" "$2" "$3" >out 2>err && die "$1 enrolled with $2, which it should not: $(cat out)"
  grep -q -- "$4" err || die "$2: '$4' wanted, not: $(cat err)"
  [ ! -e "$1/state/agent/enrolment.conf" ] || die 'a refused enrolment left a configuration'
}
A=127.0.0.1:8443

mkdir -p data/repo
(umask 077; echo secret >passphrase)
floe-policy init --repo data/repo --keys keys --passphrase-file passphrase >publish.log
cp data/repo/metadata/1.root.json root.json
chown -R $SERVER data
server_start() {
  "${as_server[@]}" "$BUILD/bin/floe-server" --data data --listen 127.0.0.1:8443 2>>server.log &
  server=$!
  wait_for 20 'floe-server' bash -c 'exec 3<>/dev/tcp/127.0.0.1/8443'
}
server_start

say 'a code, an endpoint'
new_code --group kiosk --days 3
[[ $code =~ ^[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){3}$ ]] || die "no code: $(cat code.txt)"
grep -qx 'group    kiosk' code.txt && grep -qx 'address  127.0.0.1' code.txt || die "the code came without what belongs to it: $(cat code.txt)"
[ "$(stat -c '%a %u' data/enrol)" = "700 $SERVER" ] || die "data/enrol: $(stat -c '%a %u' data/enrol)"
for file in data/enrol/*; do [ "$(stat -c '%a %u' "$file")" = "600 $SERVER" ] || die "$file: $(stat -c '%a %u' "$file")"; done
endpoint one
not one 127.0.0.1 "${code%?}" 'a code has 20 letters and digits, 19 were typed'
last=${code: -1}
not one 127.0.0.1 "${code%?}$([ "$last" = 7 ] && echo 8 || echo 7)" 'mistyped'
not one '127.0.0.1/path' "$code" 'an address is'
not one 127.0.0.1:1 "$code" '127.0.0.1:1/enrol: '
# As people type it.
enrol one " https://127.0.0.1:8443/ " "$(echo "$code" | tr 'A-Z01-' 'a-zoi ')" >first || die "an honest endpoint does not enrol"
id=$(sed -n "s/^enrolled  //p" first)
pin=$("${as_server[@]}" "$BUILD/bin/floe-server" --data data --print-pin)
printf '# Written when this endpoint enrolled.\n[server]\nurl=https://127.0.0.1:8443\npin=%s\n[endpoint]\ngroup=kiosk\nid=%s\n' "$pin" "$id" |
  cmp - one/state/agent/enrolment.conf || die 'the configuration that enrolment left is another'
[ "$(stat -c '%a %s' one/state/agent/endpoint.key)" = '600 32' ] || die 'the private key lies open'
floe-server endpoints --data data >endpoints
grep -q "^$id  .*  group kiosk  enrolled 20.*  recovery key no$" endpoints || die "the server has: $(cat endpoints)"
floe-server codes --data data | grep -q "^${code:0:5}  group kiosk  used 1 of 1  wrong 0  .*  used$" || die "codes: $(floe-server codes --data data)"
enrol one 127.0.0.1 "$code" 2>err && die 'an endpoint enrols twice'
grep -q 'has a server already' err || die "the second time: $(cat err)"
endpoint two
not two 127.0.0.1 "$code" 'has been used by another endpoint'
# The same endpoint, whose answer was lost.
rm one/state/agent/enrolment.conf
enrol one 127.0.0.1 "$code" >out2
cmp first out2 || die 'an endpoint that asks again is answered otherwise'
[ "$(floe-server endpoints --data data | wc -l)" = 1 ] || die 'an endpoint that asks again is two'

say 'the second implementation'
new_code
for _ in 1 2; do
  client honest 127.0.0.1 8443 "$code" a >got
  grep -q '^200 .*"group": "office".* proved$' got || die "python: $(cat got)"
done
client honest 127.0.0.1 8443 "$code" b >got
grep -q '^403 .*"refused": "used".* proved$' got || die "another key with a used code: $(cat got)"
new_code --uses 3
for seed in c d e; do client honest 127.0.0.1 8443 "$code" $seed | quietly grep '^200'; done
client honest 127.0.0.1 8443 "$code" f >got
grep -q '"refused": "used"' got || die 'four endpoints used a code for three'

say 'time'
new_code --days 1
"${as_server[@]}" faketime -f +2d "$BUILD/bin/floe-server" --data data --listen 127.0.0.1:8444 2>>server.log &
late=$!
wait_for 20 'a server that is two days on' bash -c 'exec 3<>/dev/tcp/127.0.0.1/8444'
not two 127.0.0.1:8444 "$code" '48 hours apart'
as_command=(faketime -f +2d)
not two 127.0.0.1:8444 "$code" "the code's time is over"
as_command=()
kill $late
new_code
floe-server withdraw --data data "${code:0:5}"
not two 127.0.0.1 "$code" 'does not take this code'

say 'another organisation, no Floe server'
cp root.json right.json
sed -i 's/"version": *1/"version": 1, "x": 1/' root.json
new_code
not two 127.0.0.1 "$code" 'made for another server'
cp right.json root.json
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=floe-server -keyout middle.key -out middle.crt 2>/dev/null
cat middle.key middle.crt >middle.pem
openssl s_server -accept 8445 -cert middle.pem -www -quiet >/dev/null 2>&1 &
other=$!
wait_for 20 'another server' bash -c 'exec 3<>/dev/tcp/127.0.0.1/8445'
not two 127.0.0.1:8445 "$code" 'no Floe server'
kill $other

say 'in the middle'
middle() { # MODE
  : >ready
  # No function: the pid must be its own.
  python3 "$SOURCE/tests/lib/enrol-client.py" middle 127.0.0.1 8443 8446 middle.pem "$1" seen >ready &
  middle=$!
  wait_for 20 'the man in the middle' grep -q ready ready
}
(umask 077; echo 'recovery-recovery-recovery' >two/run/agent/recovery-key); chown $AGENT two/run/agent/recovery-key
middle relay
not two 127.0.0.1:8446 "$code" 'does not take this code'
floe-server codes --data data | quietly grep "^${code:0:5}  .*used 0 of 1" || die 'a man in the middle used the code'
kill $middle; wait $middle || true
middle forge
not two 127.0.0.1:8446 "$code" 'did not prove to know the code'
kill $middle; wait $middle || true
# The proof of another day.
as_command=()
printf '%064d\n' 1 >seen.proof
middle replay
not two 127.0.0.1:8446 "$code" 'did not prove to know the code'
kill $middle; wait $middle || true
grep -q '"recovery"' seen || die 'the man in the middle saw no request'
grep -aq "$(printf recovery-recovery | od -An -tx1 | tr -d ' \n')" seen && die 'he could read the recovery key'
grep -aq "$(echo "$code" | tr -d - | cut -c6-)" seen && die 'he could read the code'

say 'recovery keys'
enrol two 127.0.0.1 "$code" >out
two=$(sed -n 's/^enrolled  //p' out)
[ ! -e two/run/agent/recovery-key ] || die 'the recovery key stays when it has been handed over'
[ "$(floe-server recovery-key --data data "$two")" = recovery-recovery-recovery ] || die 'the recovery key is not what was handed over'
grep -q recovery-recovery server.log && die 'the recovery key is in the log'
floe-server recovery-key --data data "$id" 2>err && die 'a recovery key of an endpoint that has none'
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out organisation.key
openssl pkey -in organisation.key -pubout -out data/enrol/recovery.pem
chown $SERVER data/enrol/recovery.pem
endpoint three
new_code
(umask 077; echo 'three-three-three' >three/run/agent/recovery-key); chown $AGENT three/run/agent/recovery-key
enrol three 127.0.0.1 "$code" >out
three=$(sed -n 's/^enrolled  //p' out)
floe-server recovery-key --data data "$three" 2>err && die 'the server reads what is encrypted to the organisation'
grep -q -- '--key FILE' err || die "without the organisation's key: $(cat err)"
[ "$(floe-server recovery-key --data data --key organisation.key "$three")" = three-three-three ] || die "the organisation's key does not open it"
cat data/enrol/* | grep -aq three-three && die 'a recovery key lies in plain beside the key that it should be encrypted to'
echo nonsense >data/enrol/recovery.pem
endpoint four
new_code
echo four >four/run/agent/recovery-key
not four 127.0.0.1 "$code" 'cannot enrol endpoints now'
rm data/enrol/recovery.pem
enrol four 127.0.0.1 "$code" >out || die 'what failed once does not work afterwards'

say 'attacks'
new_code --uses 100
attacked=$(client attacks 127.0.0.1 8443 "$code") || die 'an attack (see above)'
figure enrol_attacks_refused "$attacked"
floe-server codes --data data | quietly grep "^${code:0:5}  .*used 0 of 100" || die 'an attack used the code'

say 'guesses'
new_code
client guess 127.0.0.1 8443 "$code" 25 >guessed
[ "$(cat guessed)" = "{\"(403, {'floe': 1, 'refused': 'code'})\": 25}" ] || die "guesses are answered differently: $(cat guessed)"
client honest 127.0.0.1 8443 "$code" >got
grep -q '"refused": "code".* unproved' got || die 'a code that was tried too often still works, or says that it is locked'
wait_for 10 'the count of guesses' bash -c "floe-server codes --data data | grep '^${code:0:5}  .*wrong 2[0-9].*locked'"
# Also under the next life of the server.
kill $server; wait $server || true
server_start
client honest 127.0.0.1 8443 "$code" >got
grep -q '"refused": "code".* unproved' got || die 'a restart opens a locked code'

say 'two endpoints, one code'
won=0
for round in 1 2 3 4 5 6; do
  new_code
  rm -rf left right
  endpoint left; endpoint right
  (enrol left 127.0.0.1 "$code" >left.out 2>&1 || true) &
  (enrol right 127.0.0.1 "$code" >right.out 2>&1 || true) &
  wait %% %- 2>/dev/null || true
  wait_for 20 'both endpoints' bash -c '[ -s left.out ] && [ -s right.out ]'
  winners=$(cat left.out right.out | grep -c '^enrolled' || true)
  [ "$winners" = 1 ] || die "round $round: $winners endpoints enrolled with one code: $(cat left.out right.out)"
  [ "$(cat left.out right.out | grep -c 'has been used' || true)" = 1 ] || die "round $round: the other was told: $(cat left.out right.out)"
  won=$((won + winners))
done
figure enrol_race_rounds $won

say 'the server is killed meanwhile'
rounds=8; [ -z "${FLOE_LONG:-}" ] || rounds=200
before=$(floe-server endpoints --data data | wc -l)
for round in $(seq $rounds); do
  new_code
  rm -rf cut; endpoint cut
  (enrol cut 127.0.0.1 "$code" >cut.out 2>&1 || true) &
  sleep "0.$(printf %03d $((RANDOM % 160)))"
  kill -9 $server; { wait $server || true; } 2>/dev/null
  wait %% 2>/dev/null || true
  server_start
  grep -q '^enrolled' cut.out || enrol cut 127.0.0.1 "$code" >cut.out || die "round $round: after a kill: $(cat cut.out)"
  floe-server codes --data data | quietly grep "^${code:0:5}  .*used 1 of 1" || die "round $round: the code: $(floe-server codes --data data | head -n 1)"
done
after=$(floe-server endpoints --data data | wc -l)
[ $((after - before)) = "$rounds" ] || die "$((after - before)) endpoints after $rounds enrolments"
figure enrol_kills_survived $rounds
python3 - <<'PY'
import sqlite3
with sqlite3.connect("data/enrol/floe.db") as db:
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",) and db.execute("PRAGMA user_version").fetchone() == (2,)
PY
grep -q 'endpoint enrolled ENDPOINT=' server.log || die 'enrolments are not in the log'
grep -aq "$(echo "$code" | tr -d - | cut -c6-)" server.log && die 'a code is in the log'

say 'a database of another time; nothing can be written'
kill $server; wait $server || true
python3 -c 'import sqlite3; sqlite3.connect("data/enrol/floe.db").execute("PRAGMA user_version = 9")'
floe-server codes --data data 2>err && die 'a newer database is read'
grep -q 'newer floe-server' err || die "a newer database: $(cat err)"
server_start
[ "$(curl -sk -o body -w '%{http_code}' https://$A/metadata/1.root.json)" = 200 ] || die 'without a registry nothing is served'
[ "$(curl -sk -o body -w '%{http_code}' https://$A/enrol)" = 404 ] || die 'without a registry it offers enrolment'
grep -q 'endpoints cannot enrol REASON=' server.log || die 'the log does not say that nobody can enrol'
kill $server; wait $server || true
