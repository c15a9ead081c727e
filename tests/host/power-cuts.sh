#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The power goes while an appliance's disk is updated, and while chunks stream onto it: QEMU is killed at random times, its disk in writeback and directsync, with a
# real partition table, a real FAT, ext4 and Debian 13's kernel. After each cut floe-slot, from outside, finds a complete version that
# starts; the next start finds every chunk that the agent had acknowledged, by its own word, and whole. 100 cuts with --long, on two machines at a time, a
# disk in writeback and one in directsync; FLOE_POWER_CUTS is another number.
before_sandbox() {
  . "$SOURCE/tests/lib/vm.sh"
  vm_prepare
  # The test machine's tree has no libfdisk; the one that compiles has.
  FDISK=$(debian13_tree)/usr/lib/x86_64-linux-gnu/libfdisk.so.1
  export FDISK
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/tests/lib/vm.sh"
. "$SOURCE/tests/lib/slots.sh"
need veritysetup; need sfdisk; need mcopy; need mkfs.vfat; need mkfs.ext4; need jq

cuts=${FLOE_POWER_CUTS:-${FLOE_LONG:+100}}
cuts=${cuts:-4}

# -- A lane: one machine that is cut again and again, in a directory of its own ---------------------------------------------------------

publish_desktop() { head -c 12582912 /dev/urandom >desktop.raw; floe-image publish "${repository[@]}" --name desktop --channel stable desktop.raw >>publish.log; }
# publish N: version N, every eighth chunk of which is another than in version N - 1.
publish() {
  cp base "base.$1"
  for ((i = 0; i < 96; i += 8)); do change "base.$1" $((i * 131072 + 77)) "version $1"; done
  make_version "v$1" "$1" "base.$1"
  floe-image publish-appliance "${repository[@]}" --version "$1" --root "v$1/root" --verity "v$1/verity" --uki "v$1/uki" --root-hash "$(cat "v$1/roothash")" >>publish.log
  echo "quiet roothash=$(cat "v$1/roothash")" >"vm/line.$1"
  printf 'ID=floe\nIMAGE_VERSION="%s"\n' "$1" >"vm/release.$1"
  rm -rf "base.$1" "v$(($1 - 2))"
}

# make_lane: a server's data with a desktop and version 1 of the appliance, and the disk that has it, as the appliance does: real file systems in real
# partitions.
make_lane() {
  local uuids at part state_mib
  mkdir -p vm/data/repo
  chmod 755 "$WORK" vm
  echo secret >passphrase
  floe-policy init "${repository[@]}" >publish.log
  floe-policy publish-policy "${repository[@]}" "$SOURCE/docs/examples/office.json" >>publish.log
  make_root base 12
  publish_desktop
  publish 1
  # Every third cut brings a desktop of 12 MiB, and nothing is taken away.
  state_mib=$((256 + cuts * 5))
  truncate -s $((esp_mib + 36 + state_mib + 3))M disk
  mapfile -t uuids < <(slot_uuids "$(cat v1/roothash)")
  sfdisk -q disk >/dev/null <<EOF
label: gpt
size=${esp_mib}M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=FLOE-BOOT
size=16M, type=$slot_root_type, name=floe_1, uuid=${uuids[0]}
size=2M, type=$slot_verity_type, name=floe_1_verity, uuid=${uuids[1]}
size=16M, type=$slot_root_type, name=_empty
size=2M, type=$slot_verity_type, name=_empty
size=${state_mib}M, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=floe-state
EOF
  truncate -s ${esp_mib}M esp
  mkfs.vfat -F 32 -s 1 esp >/dev/null
  mmd -i esp ::/EFI ::/EFI/Linux
  mcopy -i esp v1/uki ::/EFI/Linux/floe_1.efi
  mkdir -p state/slot state/agent state/spool state/chunks
  chown 64901:64901 state/agent state/spool state/chunks
  truncate -s ${state_mib}M ext4
  mkfs.ext4 -q -d state ext4
  at=1
  for part in esp v1/root v1/verity - - ext4; do
    [ $part = - ] || dd if=$part of=disk bs=1M seek=$at conv=notrunc status=none
    case $part in esp) at=$((at + esp_mib)) ;; v1/root) at=$((at + 16)) ;; v1/verity) at=$((at + 2 + 18)) ;; esac
  done
  rm -rf esp ext4 state
  mkdir vm/lib
  cp "$FDISK" vm/lib/
  cp vm/data/repo/metadata/1.root.json vm/root.json
  cat >vm/floe.conf <<TXT
[server]
url=https://127.0.0.1:8443
pin=$(floe-server --data vm/data --print-pin)
[endpoint]
group=office
[paths]
state=/state
run=/run/floe
root=/exchange/root.json
[host]
uid_base=630000
usb=observe
[appliance]
channel=stable
TXT
  chown -R 65534 vm/data
}

# The version that would start from the disk as it is now.
starts() {
  rm -rf bootdir esp
  dd if=disk of=esp bs=1M skip=1 count=$esp_mib status=none
  mkdir bootdir
  mcopy -s -Q -i esp ::/EFI bootdir/ && floe-slot check --disk disk --boot bootdir
}

# The disk is kept for whoever looks into it.
problem() {
  failures=$((failures + 1))
  say "cut $done ($kind, $cache): $*"
  mkdir -p "$SOURCE/build/power"
  cp --sparse=always disk "$SOURCE/build/power/disk.$lane.$done"
}

# looked_at: what the start that was just made found of the cut before.
looked_at() {
  local lost altered told
  read -r lost altered told <vm/verified
  [ "$lost $altered" = '0 0' ] || problem "by the cut before, $lost chunks lost that were acknowledged, $altered of the appliance altered"
  acknowledged=$((acknowledged + told))
}

# cut_power LANE CUTS: LANE is how QEMU keeps the disk, or both, by turns. Leaves its counts in the file `counts`.
cut_power() {
  local lane=$1 cuts=$2 running=1 published=1 done=0 failures=0 cut_before=0 cut_after=0 reach=9000 acknowledged=0
  local kind cache moment version i
  [ "$(starts)" = 1 ] || die 'version 1 does not start from a fresh disk'
  while [ $done -lt "$cuts" ]; do
    case $lane in both) cache=writeback; [ $((done % 4)) -lt 2 ] || cache=directsync ;; *) cache=$lane ;; esac
    kind=update; [ $((done % 3)) != 2 ] || kind=stream
    if [ $kind = stream ]; then publish_desktop; elif [ $published = $running ]; then published=$((running + 1)); publish $published; fi
    chown -R 65534 vm/data
    rm -f vm/{begun,installed,verified,corrupt}
    VM_ARGS=(-drive "if=none,id=disk,format=raw,file=$WORK/disk,cache=$cache" -device virtio-blk-pci,drive=disk)
    vm_start tests/lib/power-inside.sh $kind $running
    wait_for 900 "cut $done: the machine to be at work ($(tail -n 3 "$VM_LOG" 2>/dev/null | tr '\n' ' '))" test -e vm/begun
    # Every other cut comes when something was acknowledged, as long as there is something left to be: a chunk is only some seconds after it came.
    for ((i = 0; done % 2 == 0 && i < 600; i++)); do
      if [ -e vm/installed ] || grep -q 'chunk is here for good' vm/agent.log 2>/dev/null; then break; fi
      sleep 0.2
    done
    moment=$((RANDOM * 32768 + RANDOM))
    moment=$((moment % reach))
    sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))"
    kill -KILL $VM_PID
    { wait $VM_PID; } 2>/dev/null || true
    kill $VM_CAT 2>/dev/null || true
    done=$((done + 1))
    if [ $kind = update ]; then
      # Cuts should fall before and after the installation's end, however fast this machine is today.
      if [ -e vm/installed ]; then
        cut_after=$((cut_after + 1)) reach=$(($(cat vm/installed) * 6 / 5 + 300))
      else
        cut_before=$((cut_before + 1)) reach=$((reach < 60000 ? reach * 5 / 4 : reach))
      fi
    fi
    looked_at
    [ ! -e vm/corrupt ] || problem "altered chunks stayed: $(cat vm/corrupt)"
    version=$(starts) || version=none
    if [ "$version" != $running ] && [ "$version" != $published ]; then
      problem "version $version starts, $running or $published may: $(ls bootdir/EFI/Linux)"
      break
    fi
    [ ! -e vm/installed ] || [ "$version" = $published ] || problem "version $published was said to be installed, and $version starts"
    running=$version
    # What a long run that is ended early has shown.
    [ $((done % 10)) != 0 ] || say "$done cuts, $failures failures, $acknowledged chunks acknowledged ($SECONDS s)"
  done
  # What the last cut left, and of all that was ever acknowledged.
  rm -f vm/verified
  VM_ARGS=(-drive "if=none,id=disk,format=raw,file=$WORK/disk" -device virtio-blk-pci,drive=disk)
  kind=look
  vm_run 900 tests/lib/power-inside.sh look $running >look.log 2>&1 || problem "nobody could look at the disk after the last cut: $(tail -n 3 look.log)"
  looked_at
  say "$cut_before cuts before an update was done, $cut_after after, the rest while chunks streamed; version $running at the end"
  echo "$done $failures $acknowledged" >counts
}

lanes=(both)
[ $cuts -lt 20 ] || lanes=(writeback directsync)
repository=(--repo vm/data/repo --keys keys --passphrase-file passphrase)
esp_mib=40
for lane in "${lanes[@]}"; do
  mkdir $lane
  (
    NAME=power-cuts/$lane WORK=$WORK/$lane
    cd $lane
    make_lane
    cut_power $lane $(((cuts + ${#lanes[@]} - 1) / ${#lanes[@]}))
  ) &
done
wait || true
done=0 failures=0 acknowledged=0
for lane in "${lanes[@]}"; do
  [ -s $lane/counts ] || die "$lane: did not come to its end"
  read -r one two three <$lane/counts
  done=$((done + one)) failures=$((failures + two)) acknowledged=$((acknowledged + three))
done
figure power_cuts $done
figure power_cut_failures $failures
figure power_cut_acknowledged_chunks $acknowledged
[ $acknowledged -gt 0 ] || die 'the agent has acknowledged nothing before any cut'
[ $failures = 0 ] || die 'a power cut left what must not be'
