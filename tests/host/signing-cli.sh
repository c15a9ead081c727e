#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Administrators keep a repository with floe-policy, each with one's own keys: a policy that two of three must sign, drafts, rotation,
# a server that holds the online key alone, and what an outsider with access to the files tries. What endpoints make of it is asked
# of floe-trust at every turn.
. "$(dirname "$0")/../lib/host.sh"
need floe-policy
need floe-trust
need faketime

echo 'correct horse' >pass
repo=$WORK/repo
# as PERSON COMMAND...: floe-policy with that person's keys; output in out.
as() {
  local who=$1 command=$2
  shift 2
  floe-policy "$command" "$@" --repo "$repo" --keys "$WORK/$who" --passphrase-file "$WORK/pass" >out 2>&1
}
must() { as "$@" || { cat out; die "$*"; }; }
# refused WORDS PERSON COMMAND...: fails, in these words, and clients see what they saw before.
refused() {
  local words=$1 before
  shift
  before=$(in_force)
  if as "$@"; then cat out; die "accepted: $*"; fi
  grep -q -- "$words" out || { cat out; die "refused, but not in the words '$words': $*"; }
  [ "$before" = "$(in_force)" ] || die "changed what is in force: $*"
}
says() { grep -q -- "$1" out || { cat out; die "floe-policy did not say '$1'"; }; }
# in_force: digest of all that clients can reach.
in_force() { (cd "$repo" && cat metadata/timestamp.json metadata/*.root.json | sha256sum); }
# An endpoint that keeps its state; endpoint_has FILE: refreshes and has this as its office policy.
endpoint_refresh() { floe-trust --metadata-dir endpoint --repository "$repo" refresh >trust.log 2>&1 || { cat trust.log; die 'the endpoint refused'; }; }
download() { rm -rf got; floe-trust --metadata-dir "$1" --repository "$repo" --target-name "$2" --target-dir got download >trust.log 2>&1; }
endpoint_has() {
  endpoint_refresh
  download endpoint policy/office.json || { cat trust.log; die "the endpoint has no office policy"; }
  cmp -s got/policy%2Foffice.json "$1" || die "the endpoint's office policy is not $1"
}
version() { sed -n 's/^ *"version": \([0-9]*\).*/\1/p' "$1" | tail -n 1; }

cp "$SOURCE/docs/examples/office.json" office.json
for memory in 2048 3072 4096 5120; do
  sed "s/\"memory_mib\": *1024/\"memory_mib\": $memory/" office.json >office$memory.json
  cmp -s office.json office$memory.json && die 'the example has changed'
done

# -- A ceremony makes all keys; then everyone takes one's own.
must ceremony init --role policy=2:alice,bob,carol
as ceremony init && die 'a second init made a second repository'
says 'is a repository already'
for key in ceremony/*.key; do
  [ "$(stat -c %a "$key")" = 600 ] || die "$key has mode $(stat -c %a "$key")"
  head -n 1 "$key" | quietly grep 'ENCRYPTED PRIVATE KEY' || die "$key is not encrypted"
done
take() { mkdir -p "$1"; cp ceremony/*.pub ceremony/root.json "$1"/; }
for person in alice bob carol images online; do take $person; mv ceremony/$person.key $person/; done
take vault; mv ceremony/{root,targets,appliance}.key vault/
[ -z "$(ls ceremony/*.key 2>/dev/null)" ] || die 'keys left behind'
floe-trust --metadata-dir endpoint init ceremony/root.json
endpoint_refresh
download endpoint policy/office.json && die 'a policy from nowhere'

# -- Two of three: one short is a draft, and clients see nothing of it.
before=$(in_force)
must alice publish-policy office.json
says 'a draft, not in force yet'; says '+ policy/office.json'; says 'signed by alice'; says '1 of 2 needed'; says 'may sign: bob'
must online refresh
endpoint_refresh
download endpoint policy/office.json && die 'one signature of two put a policy in force'
must carol status
says 'draft of policy, version 2'
refused 'that no key here has signed waits' carol publish-policy office2048.json
must bob sign policy
says '2 of 2 needed'
endpoint_refresh
download endpoint policy/office.json && die 'in force without the online key'
[ "$before" != "$(in_force)" ] || die 'the refresh did nothing'
must online refresh
endpoint_has office.json
must online status
says 'signed by alice ([0-9a-f]*), bob ([0-9a-f]*)'
grep -q 'draft of' out && die 'the draft is still there'

# -- Who may not: wrong document, wrong passphrase, readable key, the image team, nobody's key.
sed 's/"vcpus"/"cpus": 1, "vcpus"/' office.json >wrong.json
refused 'wrong.json:[0-9]*: machines.*cpus: unknown key' alice publish-policy wrong.json
echo 'wrong' >wrong
if floe-policy publish-policy office2048.json --repo "$repo" --keys alice --passphrase-file wrong >out 2>&1; then die 'any passphrase will do'; fi
says 'wrong passphrase'
chmod 644 alice/alice.key
refused 'open to others' alice publish-policy office2048.json
chmod 600 alice/alice.key
mkdir -p imageteam; cp images/* online/online.key imageteam/
must imageteam publish-policy office2048.json
says 'signed by nobody, 0 of 2 needed'
must imageteam refresh
endpoint_has office.json
refused 'no private key here may sign policy' imageteam sign policy
must imageteam discard policy
must imageteam extend images
says 'images: in force'

# -- A key given up: the vault names dave instead of alice, two of the new three sign, and both take force together.
mkdir -p dave; cp bob/*.pub bob/root.json dave/
floe-policy key dave --keys dave --passphrase-file pass >/dev/null
must vault rotate policy alice dave/dave.pub
says '+ key of policy: dave'; says '- key of policy: alice'
must online refresh
endpoint_has office.json
must bob sign policy
must online refresh
grep -q 'draft' <(floe-policy status --repo "$repo") || die 'a rotation took force with one signature of two'
must dave sign policy
must online refresh
endpoint_has office.json
must online status
says 'signed by bob ([0-9a-f]*), dave'
grep -q 'draft of' out && die 'the drafts are still there'
must alice publish-policy office2048.json
says 'signed by nobody'
must alice discard policy
must dave publish-policy office2048.json
must carol sign policy
must online refresh
endpoint_has office2048.json

# -- Root itself: rotated thrice, the last time to two of two; endpoints with any older root follow.
cp -a endpoint endpoint-old
for next in root2 root3; do
  floe-policy key $next --keys vault --key-type ecdsa --passphrase-file pass >/dev/null
  previous=$([ $next = root2 ] && echo root || echo root2)
  must vault rotate root $previous vault/$next.pub
  says 'root: in force'
  rm vault/$previous.key
  endpoint_has office2048.json
done
floe-policy key root4 --keys vault --passphrase-file pass >/dev/null
must vault add-key root vault/root4.pub
must vault threshold root 2
[ "$(version endpoint/root.json)" = 3 ] || die 'the endpoint did not follow root'
endpoint_refresh
[ "$(version endpoint/root.json)" = 5 ] || die 'the endpoint did not follow root to its threshold'
mkdir -p half; mv vault/root4.key half/; cp vault/*.pub vault/root.json half/
floe-policy key root5 --keys vault --passphrase-file pass >/dev/null
must vault rotate root root4 vault/root5.pub
says 'draft'
endpoint_refresh
[ "$(version endpoint/root.json)" = 5 ] || die 'root took force without the threshold of the keys in force'
must half sign root
says 'root: in force'
endpoint_has office2048.json
rm -rf endpoint; mv endpoint-old endpoint
endpoint_has office2048.json

# -- The online key, lost or stolen: the vault names another; the old one's word counts no more.
mkdir -p online2; cp online/*.pub online/root.json online2/
floe-policy key server2 --keys online2 --passphrase-file pass >/dev/null
cp online/online.key vault/; mkdir -p both; cp vault/* half/*.key online2/server2.* both/
must both rotate timestamp online online2/server2.pub
must both rotate snapshot online online2/server2.pub
endpoint_has office2048.json
refused 'not here' online refresh
must online2 refresh
endpoint_has office2048.json

# -- Only the online key on the server: refresh works, the rest is told apart clearly.
before=$(version endpoint/timestamp.json)
must online2 refresh
endpoint_refresh
[ "$(version endpoint/timestamp.json)" -gt "$before" ] || die 'refresh made no new timestamp'
refused 'no draft of policy' online2 sign policy

# -- Someone with access to the files: nothing altered is built upon.
must bob publish-policy office3072.json
cp -a "$repo" kept
sed -i 's/"length": [0-9]*/"length": 7/' "$repo/drafts/policy.json"
refused 'that no key here has signed' dave publish-policy office4096.json
must dave status
says 'signed by nobody'
rm -r "$repo"; cp -a kept "$repo"
sed -i 's/"policy\/office.json"/"policy\/evil.json"/' "$repo"/metadata/*.policy.json
must dave discard policy
refused 'not signed by its keys' dave publish-policy office4096.json
refused 'altered, nothing is signed' online2 refresh
as online2 status; says 'policy .*NOT VERIFIED'
rm -r "$repo"; cp -a kept "$repo"
sed -i 's/"version": 1,/"version": 7,/' "$repo"/metadata/timestamp.json
printf '{"signed":{"_type":"timestamp"},"signatures":[]}' >"$repo/metadata/timestamp.json"
refused 'timestamp.json' online2 refresh
rm -r "$repo"; mv kept "$repo"
must dave sign policy
must online2 refresh
endpoint_has office3072.json

# -- A word of warning before anything expires, and status fails once something has.
later() { faketime "$1" floe-policy status --repo "$repo" >out 2>&1; }
later '+1 day' || die 'status complains of a fresh repository'
grep -q warning out && { cat out; die 'a warning too early'; }
later '+6 days' || die 'status fails before anything expired'
says 'warning: timestamp expires on'; says 'floe-policy refresh'
later '+8 days' && die 'status does not fail on an expired timestamp'
says 'timestamp EXPIRED'
later '+150 days' || true
says 'warning: policy expires on .*floe-policy extend *policy'
faketime '+6 days' floe-policy refresh --repo "$repo" --keys online2 --passphrase-file pass >out 2>&1 || { cat out; die 'refresh later'; }
later '+12 days' || die 'a refresh did not extend the timestamp'
endpoint_has office3072.json
say 'thresholds, drafts, rotation, refresh, altered files and warnings: as they should be'
