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

# rules MORE: MORE comes after what people work with and before what is refused by name.
rules() {
  cat <<JSON
  { "id": "hubs", "interfaces_all": ["09:*:*"], "verdict": "host" },
  { "id": "keyboard", "interfaces_all": ["03:01:01"], "count": 1, "verdict": "host" },
  { "id": "mice", "interfaces_all": ["03:01:02"], "verdict": "host" },
  $1
  { "id": "no-audio", "interface_any": ["01:*:*"], "verdict": "block" },
  { "id": "no-storage", "interface_any": ["08:*:*"], "verdict": "block" },
  { "id": "no-net-dongles", "interface_any": ["02:*:*", "0a:*:*", "e0:*:*"], "verdict": "block" },
  { "id": "gadget-serial", "vendor": "f10e", "product": "0c01", "serial": "GOOD-1", "interfaces_all": ["fe:01:01"], "verdict": "host" },
  { "id": "not-by-serial", "vendor": "f10e", "product": "0c01", "verdict": "block" },
  { "id": "gadget-once", "vendor": "f10e", "interfaces_all": ["fd:*:*"], "count": 1, "verdict": "host" },
  { "id": "gadget-vendor", "vendor": "f10e", "interfaces_all": ["fe:*:*"], "verdict": "host" }
JSON
}
# usb_one_rule: repository and policy for tests whose devices are all on the virtual controller: one of them is the host's.
usb_one_rule() {
  truncate -s 1M disk.raw
  usb_repository disk.raw
  usb_policy 1 '{ "id": "hubs", "interfaces_all": ["09:*:*"], "verdict": "host" },
  { "id": "good", "vendor": "f10e", "interfaces_all": ["fe:01:01"], "verdict": "host" }'
  VM_CMDLINE=usbcore.authorized_default=0
}
# usb_everything DISK: repository, policies, sticks and the machine's devices for tests/lib/usb-vm-inside.sh; DISK is the guests'.
usb_everything() {
  local cards disk name
  usb_repository "$1"
  cards='{ "id": "cards", "vendor": "08e6", "product": "4433", "interfaces_all": ["0b:*:*"], "verdict": { "machine": "one" } },'
  disk='"vendor": "46f4", "product": "0001", "interfaces_all": ["08:06:50"]'
  usb_policy 1 "$(rules "{ \"id\": \"stick\", \"serial\": \"RW-1\", $disk, \"verdict\": { \"machine\": \"one\" } },
  { \"id\": \"other-stick\", \"serial\": \"TWO-1\", $disk, \"verdict\": { \"machine\": \"two\" } },
  { \"id\": \"read-only-stick\", \"serial\": \"RO-1\", $disk, \"verdict\": { \"machine\": \"one\", \"read_only\": true } },
  { \"id\": \"question\", \"serial\": \"ASK-1\", $disk,
    \"verdict\": { \"ask\": [ { \"machine\": \"one\" }, { \"machine\": \"one\", \"read_only\": true } ], \"remember\": \"device\" } },
  { \"id\": \"turning\", \"vendor\": \"f10e\", \"product\": \"0a20\", \"interfaces_all\": [\"08:06:50\"], \"verdict\": { \"machine\": \"one\" } },
  { \"id\": \"part\", \"vendor\": \"f10e\", \"product\": \"0a30\", \"interface_any\": [\"fe:*:*\"],
    \"verdict\": { \"machine\": \"one\", \"interfaces\": [\"fe:*:*\"] } },
  { \"id\": \"whole\", \"vendor\": \"f10e\", \"product\": \"0a32\", \"interfaces_all\": [\"fe:*:*\", \"03:*:*\"], \"verdict\": { \"machine\": \"one\" } },
  { \"id\": \"part-here\", \"vendor\": \"f10e\", \"product\": \"0a31\", \"interface_any\": [\"08:*:*\"],
    \"verdict\": { \"host\": true, \"interfaces\": [\"08:06:50\"] } }, $cards")"
  # The sticks are withdrawn; then they are the other machine's.
  usb_policy 2 "$(rules "$cards")"
  usb_policy 3 "$(rules "{ \"id\": \"stick-of-two\", \"serial\": \"RW-1\", $disk, \"verdict\": { \"machine\": \"two\" } }, $cards")"
  for name in rw ro blocked other before; do stick $name; done

  VM_MEMORY=1400
  VM_CMDLINE=usbcore.authorized_default=0
  VM_ARGS=(-chardev null,id=null -audiodev none,id=sound -device "qemu-xhci,id=xhci,p2=8,p3=8" -device "pcie-root-port,id=hot,chassis=9,slot=9"
  -device usb-kbd,bus=xhci.0,port=1,id=keyboard -device usb-storage,bus=xhci.0,port=2,drive=before,serial=BEFORE)
  # Not -drive: what that makes goes with the first device that has it.
  for name in rw ro blocked other before; do
    VM_ARGS+=(-blockdev "driver=raw,node-name=$name,file.driver=file,file.filename=$WORK/vm/$name.img")
  done
}
