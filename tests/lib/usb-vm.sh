# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after host.sh and vm.sh by tests of the USB gate in the test machine: what is made outside, at full speed: the signed repository with
# its policies one after the other, and the sticks.

REPO=$WORK/repo
# usb_repository: REPO with the guest's disk as image "guest".
usb_repository() {
  echo correct horse >pass
  floe-policy init --repo "$REPO" --keys keys --passphrase-file pass >repo.log
  floe-image publish --repo "$REPO" --keys keys --passphrase-file pass --name guest --channel stable --os other --firmware bios "$1" >>repo.log
  mkdir -p vm
  cp -r "$REPO/chunks" vm/chunks
  cp "$REPO/metadata/1.root.json" vm/root.json
}
# usb_policy N RULES: publishes a policy with these USB rules; the repository as it then is becomes vm/spool-N.
usb_policy() {
  local machine
  machine() {
    echo "{ \"id\": \"$1\", \"title\": \"$1\", \"image\": { \"name\": \"guest\", \"channel\": \"stable\" }, \"vcpus\": 1, \"memory_mib\": 160,
      \"disk\": \"reset\", \"firmware\": \"bios\", \"emulation\": \"refuse\" }"
  }
  cat >"policy-$1.json" <<JSON
{ "floe": 1, "group": "test",
  "machines": [ $(machine one), $(machine two) ],
  "usb": [ $2 ],
  "assignment": [ { "who": "*", "machines": ["one", "two"] } ] }
JSON
  floe-policy publish-policy --repo "$REPO" --keys keys --passphrase-file pass "policy-$1.json" >>repo.log || die "policy $1"
  mkdir -p "vm/spool-$1"
  cp -r "$REPO/metadata" "$REPO/targets" "vm/spool-$1/"
}
# stick NAME: vm/NAME.img, 2 MiB of FAT with a greeting in it.
stick() {
  mkfs.vfat -C "vm/$1.img" 2048 >/dev/null
  echo "from-$1" >hello.txt
  mcopy -i "vm/$1.img" hello.txt ::hello.txt
}
