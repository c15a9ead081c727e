#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What floe-image build-appliance makes: the same bits from the same inputs, no shell, login, getty, ssh, package manager or emergency shell in an
# image for release, no debug image under a key for release, and reasons for what it refuses. With --long also an image for real PCs, with their firmware.
MADE=$(cd "$(dirname "$0")/../.." && pwd)/build/appliance-build
first=$MADE/first.raw said=$MADE/said
build() { floe-image build-appliance --debs "$MADE/debs" --no-firmware "$@" 2>"$said"; }
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  appliance_packages
  # The same packages for all images, whoever makes new ones meanwhile; and no image that is kept.
  rm -rf "$MADE"
  mkdir -p "$MADE"
  cp -r "$SOURCE/build/debs" "$MADE/debs"
  build --output "$first" || { cat "$said"; die 'an image for release'; }
  export APPLIANCE_PC=
  [ -z "${FLOE_LONG:-}" ] || APPLIANCE_PC=$(appliance_image pc --firmware) || die 'an image for real PCs'
}
. "$(dirname "$0")/../lib/host.sh"

# refuses WORDS OPTION...: it ends at once, with the reason in WORDS.
refuses() {
  local words=$1; shift
  if build "$@"; then die "taken: $*"; fi
  grep -qF -- "$words" "$said" || { cat "$said"; die "not the reason for: $*"; }
  ! [ -e "$WORK/refused.raw" ] || die "an image was left by: $*"
}
keys=$first.keys
refuses 'no option --nothing' --output refused.raw --nothing
refuses 'a decimal number wanted' --output refused.raw --version 1.2
refuses 'wants --sign-cert with it' --output refused.raw --sign-key "$keys/sign.key"
refuses 'cannot be read' --output refused.raw --root nowhere.json
openssl req -new -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -subj /CN=other -days 2 2>/dev/null
refuses 'is not the certificate of' --output refused.raw --sign-key other.key --sign-cert "$keys/sign.crt"
refuses 'no certificate in PEM form' --output refused.raw --sign-key other.key --sign-cert other.key
# A debug image wants a certificate that says it is for debugging: one for release never does.
refuses 'has no OU=floe-debug' --output refused.raw --debug --sign-key "$keys/sign.key" --sign-cert "$keys/sign.crt"
refuses 'has no OU=floe-debug' --output refused.raw --debug --sign-key other.key --sign-cert other.crt
# What firmware is to start no more: older versions alone, and by a key of its own that is no release's in a debug image.
old=$first.d version=$(sed -n 's/^version=//p' "$first.d/manifest")
kek=(--kek-key "$keys/sign.key" --kek-cert "$keys/sign.crt")
refuses 'wants --kek-key and --kek-cert' --output refused.raw --revoke "$old"
refuses 'are for --revoke' --output refused.raw "${kek[@]}"
refuses 'a version revokes older ones alone, never itself' --output refused.raw --version "$version" "${kek[@]}" --revoke "$old"
refuses 'a version revokes older ones alone, never itself' --output refused.raw --version $((version - 1)) "${kek[@]}" --revoke "$old/floe.efi"
refuses 'no kernel image of an appliance' --output refused.raw "${kek[@]}" --revoke "$old/root.verity"
refuses 'no such file' --output refused.raw "${kek[@]}" --revoke nowhere.efi
# The keys that firmware in setup mode is to take.
other=(--pk-key other.key --pk-cert other.crt)
refuses 'are for --enroll-keys' --output refused.raw "${other[@]}"
refuses 'is for --enroll-keys' --output refused.raw --also-trust other.crt
refuses 'wants --pk-cert with it' --output refused.raw --enroll-keys --pk-key other.key
refuses 'wants --kek-key with it' --output refused.raw --enroll-keys --kek-cert other.crt
refuses 'is not the certificate of' --output refused.raw --enroll-keys --pk-key other.key --pk-cert "$keys/sign.crt"
refuses 'other.key: no certificate' --output refused.raw --enroll-keys --also-trust other.key
refuses 'has no OU=floe-debug' --output refused.raw --debug --enroll-keys "${other[@]}"
refuses 'is not the certificate of' --output refused.raw --version $((version + 1)) --kek-key other.key --kek-cert "$keys/sign.crt" --revoke "$old"
openssl req -new -x509 -newkey rsa:2048 -nodes -keyout debug.key -out debug.crt -subj /OU=floe-debug -days 2 2>/dev/null
refuses 'has no OU=floe-debug' --output refused.raw --version $((version + 1)) --debug --sign-key debug.key --sign-cert debug.crt "${kek[@]}" --revoke "$old"
mkdir empty
if floe-image build-appliance --no-firmware --debs empty --output refused.raw 2>"$said"; then die 'made of no package'; fi
grep -qF 'has no floe-endpoint_' "$said" || { cat "$said"; die 'no reason for want of a package'; }

say 'twice the same, by two people'
mkdir elsewhere
(umask 077; hostname elsewhere; export TZ=Asia/Tokyo LC_ALL=C LANGUAGE=fr HOME=$WORK/elsewhere
  build --sign-key "$keys/sign.key" --sign-cert "$keys/sign.crt" --output elsewhere/again.raw) || { cat "$said"; die 'the second build'; }
# differences ONE OTHER: which files differ, or where in a file system that has the same ones, for somebody who was not there.
differences() {
  diff "$1.d/manifest" "$2.d/manifest" | grep -v '^[<>] cmdline=' | head -n 40 || true
  cmp -l "$1.d/root" "$2.d/root" 2>&1 | awk 'NR == 1 { print "root: the first at " $0 } { blocks[int(($1 - 1) / 4096)] }
    END { for (b in blocks) n++; print "root: " NR " bytes in " n + 0 " blocks" }' || true
}
same=1
for part in .d/root .d/root.verity .d/floe.efi .d/manifest ''; do
  cmp "$first$part" "elsewhere/again.raw$part" || same=0
done
figure reproducible $same
[ $same = 1 ] || { differences "$first" elsewhere/again.raw; die 'the same inputs gave other bits'; }

say 'what is in it'
figure root_image_mib $(($(stat -c %s "$first.d/root") / 1048576)) MiB
sed '1,/^files:/d' "$first.d/manifest" | cut -d' ' -f3- >files
[ "$(wc -l <files)" -gt 1000 ] || die 'the manifest lists too few files'
if sed '1,/^files:/d' "$first.d/manifest" | grep -vE '^[0-9a-f]{64} [0-9]+ '; then die 'no digest and size before what is above'; fi
for there in usr/lib/systemd/systemd usr/bin/floe-console usr/bin/floe-hypervisord usr/bin/floe-agent usr/bin/qemu-system-x86_64 usr/bin/cage; do
  quietly grep -xF "$there" files || die "$there is not in the image"
done
if grep -E '(^|/)(s?bin|libexec|systemd)/(.*/)?(sh|bash|dash|rbash|busybox|ash|zsh|login|sulogin|agetty|getty|sshd|ssh|apt|apt-get|dpkg|perl|python[0-9.]*|su|sudo|passwd|chroot|nsenter|gdb|strace|tcpdump|journalctl|systemctl|systemd-run|bootctl|qemu-system-i386)$|(^|/)[^/]*(getty|sshd|emergency|rescue|debug-shell)[^/]*\.(service|target)$' files; then
  die 'what is named above has no place in it'
fi
words=$(sed -n 's/^cmdline=//p' "$first.d/manifest")
for word in usbcore.authorized_default=0 systemd.import_credentials=no module.sig_enforce=1 systemd.gpt_auto=no; do
  [[ " $words " == *" $word "* ]] || die "the command line has no $word"
done
[[ $words != *ttyS* ]] || die 'the image for release talks on a serial line'

# -- Only with --long: graphics, Wi-Fi, Ethernet and sound by the names that drivers ask for, microcode, and room in the slot for versions to come --------
pc_image() {
  say 'an image for real PCs'
  sed '1,/^files:/d' "$APPLIANCE_PC.d/manifest" | cut -d' ' -f3- >pc-files
  # But for what makes do without a graphics card.
  comm -23 <(LC_ALL=C sort files) <(LC_ALL=C sort pc-files) | grep -vxF usr/lib/systemd/system/floe-console.service.d/pixman.conf >missing || true
  [ ! -s missing ] || { head missing; die 'an image with firmware lacks what one without has'; }
  for there in i915/tgl_guc_ amdgpu/navi10_ radeon/ nvidia/tu102/ iwlwifi-cc-a0- ath10k/ ath11k/ mediatek/WIFI_RAM_CODE_MT7961 rtw88/ rtw89/ brcm/ rtl_nic/rtl8168 \
    intel/sof/ intel/sof-tplg/ intel/sof-ipc4/; do
    quietly grep -E "^usr/lib/firmware/$there" pc-files || die "no firmware $there in an image for real PCs"
  done
  for there in modules/[^/]*/kernel/drivers/net/wireless/intel/iwlwifi/ x86_64-linux-gnu/dri/ x86_64-linux-gnu/libEGL_mesa; do
    quietly grep -E "^usr/lib/$there" pc-files || die "no $there in an image for real PCs"
  done
  for name in GenuineIntel AuthenticAMD; do
    quietly grep -a "kernel/x86/microcode/$name.bin" "$APPLIANCE_PC.d/floe.efi" || die "the kernel image has no microcode $name"
  done
  figure firmware_files "$(grep -c '^usr/lib/firmware/' pc-files)"
  figure firmware_root_image_mib $(($(stat -c %s "$APPLIANCE_PC.d/root") / 1048576)) MiB
  [ "$(stat -c %s "$APPLIANCE_PC.d/root")" -lt $((1536 * 1048576 * 3 / 4)) ] || die 'the root with firmware leaves its slot too little room to grow'
}
[ -z "$APPLIANCE_PC" ] || pc_image
rm -rf "$MADE"
