#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A role's key in a PKCS#11 token (SoftHSM): floe-policy signs with it through OpenSSL's provider or engine, the private half never
# being a file, and an endpoint accepts what it signed.
. "$(dirname "$0")/../lib/host.sh"
need floe-policy
need floe-trust
need softhsm2-util
need pkcs11-tool

mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$WORK" >softhsm2.conf
export SOFTHSM2_CONF=$WORK/softhsm2.conf
module=$(find /usr/lib -name libsofthsm2.so | head -n 1)
softhsm2-util --init-token --free --label floe --so-pin 123456 --pin 567890 >token.log
for key in policy=01 spare=02; do
  pkcs11-tool --module "$module" --token-label floe --login --pin 567890 --keypairgen --key-type EC:prime256v1 \
    --label ${key%=*} --id ${key#*=} >>token.log 2>&1 || { cat token.log; die 'the token makes no key'; }
done
echo 567890 >pin
echo 111111 >wrong
common=(--repo repo --keys keys --passphrase-file pin)

floe-policy key card --token 'pkcs11:token=floe;object=policy' --keys keys --passphrase-file pin >/dev/null
[ ! -e keys/card.key ] || die 'a private key came out of the token'
floe-policy init "${common[@]}" --role policy=2:card,alice >/dev/null
floe-policy publish-policy "$SOURCE/docs/examples/office.json" "${common[@]}" >out
grep -q 'policy: in force' out || { cat out; die 'not in force'; }
floe-policy status --repo repo >out
grep -q 'signed by card (.*), alice' out || { cat out; die 'the token did not sign'; }
floe-trust --metadata-dir endpoint init keys/root.json
floe-trust --metadata-dir endpoint --repository repo --target-name policy/office.json --target-dir got download
cmp got/policy%2Foffice.json "$SOURCE/docs/examples/office.json"

# refused WORDS COMMAND...
refused() {
  local words=$1
  shift
  if "$@" >out 2>&1; then die "accepted: $*"; fi
  grep -q "$words" out || { cat out; die "not in these words: $words"; }
}
mkdir card && cp keys/card.uri keys/*.pub keys/root.json card/
refused 'PIN' floe-policy extend policy --repo repo --keys card --passphrase-file wrong
refused 'no such key' floe-policy key other --token 'pkcs11:token=floe;object=nothing' --keys keys --passphrase-file pin
# Another key of the token under the same name is not taken for the one in the role.
echo 'pkcs11:token=floe;object=spare' >keys/card.uri
refused 'not the private half' floe-policy extend policy "${common[@]}"
echo 'pkcs11:token=floe;object=policy' >keys/card.uri
floe-policy extend policy "${common[@]}" >out || { cat out; die 'the token signs no more'; }
say 'a key in a token signs, and no other passes for it'
