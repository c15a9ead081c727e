#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# light
# Two implementations of TUF agree: floe-trust and python-tuf's client (Debian 13's python3-tuf, run in a tree of that) go
# through the same repositories, those that python-tuf signs and those that floe-policy signs, and accept, refuse and trust the same.
before_sandbox() {
  . "$SOURCE/tests/lib/debian13.sh"
  tree=$(debian13_tree)
  export tree
}
. "$(dirname "$0")/../lib/host.sh"
need floe-policy
need floe-trust
need python3

mkdir -p cases theirs mine
echo 'correct horse' >pass
cp "$SOURCE/tests/lib/tuf-interop.py" .
# Seen only in this test's own mount namespace: the tree stays as it was made.
mount --bind "$WORK" "$tree/mnt"
mount --rbind /dev "$tree/dev"
reference() { chroot "$tree" /usr/bin/env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 python3 -B /mnt/tuf-interop.py "$@"; }

# -- What floe-policy signs, as cases of the same form

# begin CASE [OPTION...]: a new repository in $repo, keys in $keys.
begin() {
  case=ours-$1 step=0 list=
  repo=$WORK/$case.repo keys=$WORK/$case.keys
  shift
  mkdir -p "cases/$case"
  policy init "$@"
  cp "$keys/root.json" "cases/$case/root.json"
}
policy() {
  local command=$1
  shift
  floe-policy "$command" "$@" --repo "$repo" --keys "$keys" --passphrase-file "$WORK/pass" >policy.log 2>&1 ||
    { cat policy.log; die "$case: floe-policy $command $*"; }
}
# step true|false [TARGET=FILE...]: clients see the repository as it is now, and want these.
step() {
  local accept=$1 want= pair
  shift
  for pair in "$@"; do
    want="$want${want:+, }\"${pair%%=*}\": \"$(sha256sum "${pair#*=}" | cut -d' ' -f1)\""
  done
  step=$((step + 1))
  mkdir -p "cases/$case/$step"
  cp -a "$repo/metadata" "$repo/targets" "cases/$case/$step/"
  list="$list${list:+, }{\"repo\": \"$step\", \"accept\": $accept, \"want\": {$want}}"
  echo "{\"trusted\": \"root.json\", \"steps\": [$list]}" >"cases/$case/case.json"
}
# new_key NAME [TYPE]
new_key() { floe-policy key "$1" --key-type "${2:-ed25519}" --keys "$keys" --passphrase-file "$WORK/pass" >/dev/null; }

sed 's/"group": *"office"/"group": "office"/' "$SOURCE/docs/examples/office.json" >office.json
sed -e 's/"memory_mib": *1024/"memory_mib": 2048/' office.json >office2.json
cmp -s office.json office2.json && die 'the second policy is the first'

for type in ed25519 ecdsa; do
  begin plain-$type --key-type $type
  step true
  policy publish-policy office.json
  step true policy/office.json=office.json
  policy publish-policy office2.json
  step true policy/office.json=office2.json
  step false policy/office.json=office.json
  policy refresh
  step true policy/office.json=office2.json
  policy withdraw-policy office
  step false policy/office.json=office2.json
done

begin rotations
policy publish-policy office.json
step true policy/office.json=office.json
for round in 1 2; do
  for role in root timestamp snapshot targets policy; do
    new_key "$role-$round" "$([ $((round % 2)) = 0 ] && echo ecdsa || echo ed25519)"
    old=$role-$((round - 1))
    [ $round -gt 1 ] || case $role in timestamp|snapshot) old=online ;; *) old=$role ;; esac
    policy rotate $role "$old" "$keys/$role-$round.pub"
    [ $round -gt 1 ] || step true policy/office.json=office.json
  done
done
step true policy/office.json=office.json
policy publish-policy office2.json
step true policy/office.json=office2.json

begin thresholds --role root=2:alice,bob,carol --role targets=2:alice,bob,carol --role policy=2:alice,bob,carol
policy publish-policy office.json
step true policy/office.json=office.json
mkdir one && mv "$keys"/{bob,carol}.key one/
policy publish-policy office2.json
step true policy/office.json=office.json
step false policy/office.json=office2.json
mv one/bob.key "$keys/"
policy sign policy
step true policy/office.json=office2.json

begin raised
new_key second && policy add-key policy "$keys/second.pub" && policy threshold policy 2 && policy publish-policy office.json
step true policy/office.json=office.json
new_key third ecdsa && policy add-key root "$keys/third.pub" && policy threshold root 2
step true policy/office.json=office.json
(policy remove-key policy policy) 2>/dev/null >&2 && die 'a role kept a threshold above its keys'

begin rollback
policy publish-policy office.json && cp -a "$repo" older
policy publish-policy office2.json
step true policy/office.json=office2.json
mv "$repo" newer && mv older "$repo"
step false

begin expiring --expires timestamp=1 --expires snapshot=1
policy publish-policy office.json
faketime '3 days ago' floe-policy refresh --repo "$repo" --keys "$keys" --passphrase-file pass >policy.log 2>&1 || { cat policy.log; die 'refresh'; }
step false
policy refresh
step true policy/office.json=office.json

say "$(ls cases | wc -l) cases that floe-policy signed"
made=$(reference make /mnt/cases)
say "$made cases that python-tuf signed"
[ "$made" -gt 100 ] || die 'python-tuf made too few cases'
reference client /mnt/cases /mnt/theirs
python3 "$SOURCE/tests/lib/trust-compare.py" cases theirs mine >compared || { cat compared; die 'comparing'; }
sed '$d' compared
read -r steps failures <<<"$(tail -n 1 compared)"
figure trust_interop_cases "$steps"
figure trust_interop_failures "$failures"
[ "$failures" = 0 ] || die "$failures steps on which the clients differ"
