#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-image build-desktop: a Debian desktop as a raw disk image that boots by UEFI from its own disk.
#
# Theory of operation. mmdebstrap makes the tree; mke2fs -d and mtools turn it into file systems without a loop device or a
# mount, so the same script works in a container; sfdisk writes the GPT. Partitions begin at multiples of 1 MiB and file systems use 4 KiB
# blocks, so that 128 KiB chunks hold whole blocks and an update in place changes few of them. Firmware reads kernel and initrd
# before anything can be cached, so the initrd holds only what finds the root file system on virtio.
# The result is cached under $FLOE_CACHE by what it was made of: this script, its options, the added files, and the archive's
# state of the day when --fresh asks for that.
set -euo pipefail

program='floe-image build-desktop'
fail() { echo "$program: $*" >&2; exit 1; }
say() { printf '%s: %s\n' "$program" "$*" >&2; }
. "$(dirname "$0")/archives.sh"

usage() {
  cat <<TXT
usage: $program [OPTION...] OUTPUT.raw

  --suite NAME        Debian release (trixie)
  --mirror URL        archive (the one that this host's apt uses)
  --packages A,B,C    more packages than the desktop's own
  --add DIR           files copied over the tree, owned by root (may repeat)
  --size SIZE         virtual size of the disk (6G)
  --user NAME         the person's account, logged in by itself (user)
  --locale NAME       en_GB.UTF-8
  --keyboard LAYOUT   gb
  --fresh             build again even if the cache has it
TXT
}

suite=trixie mirror= extra= size=6G user=user locale=en_GB.UTF-8 keyboard=gb fresh=
adds=()
while [ $# -gt 0 ]; do
  case $1 in
    --suite | --mirror | --packages | --add | --size | --user | --locale | --keyboard)
      [ $# -ge 2 ] || fail "$1 wants a value" ;;&
    --suite) suite=$2; shift 2 ;;
    --mirror) mirror=$2; shift 2 ;;
    --packages) extra=$2; shift 2 ;;
    --add) adds+=("$2"); shift 2 ;;
    --size) size=$2; shift 2 ;;
    --user) user=$2; shift 2 ;;
    --locale) locale=$2; shift 2 ;;
    --keyboard) keyboard=$2; shift 2 ;;
    --fresh) fresh=1; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) fail "no option $1; --help lists them" ;;
    *) break ;;
  esac
done
[ $# -eq 1 ] || { usage >&2; exit 2; }
output=$1
[[ $user =~ ^[a-z][a-z0-9-]{0,30}$ ]] || fail "--user '$user': a lower-case account name wanted"
[[ $suite =~ ^[a-z]+$ ]] || fail "--suite '$suite': a Debian release's name wanted"
[[ $locale =~ ^[A-Za-z_]+\.UTF-8$ ]] || fail "--locale '$locale': a UTF-8 locale such as fr_FR.UTF-8 wanted"
[[ $keyboard =~ ^[a-z]{2,8}$ ]] || fail "--keyboard '$keyboard': an XKB layout such as fr wanted"
[[ $size =~ ^[0-9]+[GM]$ ]] || fail "--size '$size': a size such as 6G wanted"
[ "$(id -u)" = 0 ] || fail 'root is needed: mmdebstrap keeps owners and device rules as the guest will see them'
for tool in mmdebstrap mke2fs sfdisk mformat mcopy; do
  command -v $tool >/dev/null || fail "$tool is not installed; packaging/packages, section [image], lists what is needed"
done
for directory in "${adds[@]}"; do
  [ -d "$directory" ] || fail "--add $directory: not a directory"
done

cache=${FLOE_CACHE:-/var/cache/floe}
mkdir -p "$cache"
key=$({
  cat "$0" "$(dirname "$0")/archives.sh"
  printf '%s\n' "$suite" "$mirror" "$extra" "$size" "$user" "$locale" "$keyboard"
  for directory in "${adds[@]}"; do
    (cd "$directory" && find . -type f -printf '%m %p\n' -exec sha256sum {} + -o -type l -printf '%p %l\n' | LC_ALL=C sort)
  done
} | sha256sum | cut -c1-16)
cached=$cache/desktop-$suite-$key.raw

publish_result() {
  mkdir -p "$(dirname "$output")"
  # A hole stays a hole, and where the file system can share blocks nothing is copied.
  cp --sparse=always --reflink=auto "$cached" "$output.part"
  mv "$output.part" "$output"
  say "$output: $(stat -c %s "$output") bytes virtual, $(($(stat -c %b "$output") / 2048)) MiB on disk"
}

# Two builders of one key: the second waits and takes what the first made.
exec 8>"$cached.lock"
flock 8
if [ -e "$cached" ] && [ -z "$fresh" ]; then
  say "taken from the cache: $cached"
  publish_result
  exit 0
fi

work=$(mktemp -d "$cache/desktop-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tree=$work/tree
need_kib=$((9 * 1024 * 1024))
free_kib=$(df -Pk "$cache" | awk 'NR == 2 { print $4 }')
[ "$free_kib" -gt $need_kib ] || fail "$cache: $((free_kib / 1024)) MiB free, $((need_kib / 1024)) MiB needed to build a desktop"

packages=systemd-sysv,systemd-resolved,dbus,udev,kmod,initramfs-tools,zstd,linux-image-amd64,systemd-boot-efi
packages+=,locales,sudo,iproute2,iputils-ping,curl,ca-certificates,less,nano
packages+=,xserver-xorg-core,xserver-xorg-input-libinput,xserver-xorg-video-qxl,x11-xserver-utils,xauth
packages+=,lightdm,lightdm-gtk-greeter,xfce4,xfce4-terminal,mousepad,ristretto,thunar-archive-plugin,dbus-x11,at-spi2-core
packages+=,libpam-systemd,polkitd,pulseaudio,fonts-dejavu-core,fonts-liberation,adwaita-icon-theme,gnome-themes-extra
packages+=,spice-vdagent,qemu-guest-agent,firefox-esr,libreoffice-writer,libreoffice-calc,libreoffice-gtk3,gimp,evince
# From Debian 13 on, what lets people ping is a package of its own.
[ "$suite" = bookworm ] || packages+=,linux-sysctl-defaults
packages+=${extra:+,$extra}

# mmdebstrap's own lines say what it does; between them a line every 20 seconds says that it is still at it.
progress() {
  local line status
  while :; do
    status=0
    IFS= read -r -t 20 line || status=$?
    if [ $status -gt 128 ]; then
      say "  still at it, $SECONDS s"
      continue
    fi
    [ $status = 0 ] || break
    case $line in
      I:*hook*) ;;
      I:*) say "  ${line#I: }" ;;
      E:* | *rror:*) say "  $line" ;;
    esac
    printf '%s\n' "$line" >>"$work/log"
  done
}

say "tree of Debian $suite with a desktop (several minutes the first time)"
debian_sources "$suite" "$mirror" main
mmdebstrap --variant=minbase --architectures=amd64 --include="$packages" \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"; printf "MODULES=list\nCOMPRESS=zstd\n" >"$1/etc/initramfs-tools/conf.d/floe"
    printf "virtio_pci\nvirtio_blk\next4\n" >>"$1/etc/initramfs-tools/modules"' \
  "$suite" "$tree" "${sources[@]}" 2>&1 | progress || { tail -n 15 "$work/log" >&2; fail "mmdebstrap failed; its last lines are above"; }

say 'settings'
# In a mount namespace of its own: /proc is there for the tools that want it, and gone with them.
inside() {
  unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"' "$tree" "$@"
}
echo "floe-desktop" >"$tree/etc/hostname"
printf '127.0.0.1 localhost floe-desktop\n::1 localhost\n' >"$tree/etc/hosts"
printf 'LABEL=floe-root / ext4 errors=remount-ro,noatime 0 1\n' >"$tree/etc/fstab"
sed -i "s/^# *\($locale\)/\1/" "$tree/etc/locale.gen"
inside locale-gen >/dev/null 2>&1 || fail "locale $locale cannot be made"
echo "LANG=$locale" >"$tree/etc/default/locale"
printf 'XKBMODEL="pc105"\nXKBLAYOUT="%s"\n' "$keyboard" >"$tree/etc/default/keyboard"
: >"$tree/etc/machine-id"
inside useradd --create-home --shell /bin/bash --groups sudo,audio,video "$user"
# No password opens this account over anything: the screen is the host's to guard, and it is logged in by lightdm.
inside passwd --quiet --lock "$user"
mkdir -p "$tree/etc/lightdm/lightdm.conf.d" "$tree/etc/systemd/network"
printf '[Seat:*]\nautologin-user=%s\nautologin-user-timeout=0\nautologin-session=xfce\n' "$user" \
  >"$tree/etc/lightdm/lightdm.conf.d/50-floe.conf"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' >"$tree/etc/systemd/network/50-floe.network"
inside systemctl --quiet enable systemd-networkd lightdm qemu-guest-agent
inside systemctl --quiet set-default graphical.target
# A snap-back desktop has no use for upkeep that the next start throws away; the image is kept up by its builder.
inside systemctl --quiet mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer man-db.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer
for directory in "${adds[@]}"; do
  cp -a --no-preserve=ownership "$directory/." "$tree/"
done
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/var/lib/dbus/machine-id" "$tree/var/lib/systemd/random-seed"
rm -rf "$tree"/var/cache/apt/*.bin "$tree"/var/lib/apt/lists/* "$tree"/tmp/* "$tree"/run/*

kernel=$(basename "$(ls -d "$tree"/lib/modules/* | sort -V | tail -n 1)")
[ -e "$tree/boot/vmlinuz-$kernel" ] || fail "the tree has no kernel"
[ -e "$tree/boot/initrd.img-$kernel" ] || inside update-initramfs -c -k "$kernel" >>"$work/log" 2>&1 || fail 'no initrd could be made'
say "kernel $kernel $(($(stat -c %s "$tree/boot/vmlinuz-$kernel") / 1048576)) MiB," \
  "initrd $(($(stat -c %s "$tree/boot/initrd.img-$kernel") / 1048576)) MiB, files $(du -sm --apparent-size "$tree" | cut -f1) MiB"

say 'boot partition'
esp=$work/esp.img
esp_mib=256
truncate -s ${esp_mib}M "$esp"
mkfs.vfat -F 32 -s 4 -S 512 -n FLOE-EFI "$esp" >/dev/null
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries ::/floe
mcopy -i "$esp" "$tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$tree/boot/vmlinuz-$kernel" ::/floe/vmlinuz
mcopy -i "$esp" "$tree/boot/initrd.img-$kernel" ::/floe/initrd.img
printf 'default floe.conf\ntimeout 0\nconsole-mode keep\n' >"$work/loader.conf"
printf 'title Debian\nlinux /floe/vmlinuz\ninitrd /floe/initrd.img\noptions root=LABEL=floe-root rootfstype=ext4 ro quiet loglevel=3\n' \
  >"$work/floe.conf"
mcopy -i "$esp" "$work/loader.conf" ::/loader/loader.conf
mcopy -i "$esp" "$work/floe.conf" ::/loader/entries/floe.conf

say 'root file system'
disk=$work/disk.raw
truncate -s "$size" "$disk"
bytes=$(stat -c %s "$disk")
root_start=$((1 + esp_mib))
root_mib=$((bytes / 1048576 - root_start - 1))
sfdisk --quiet "$disk" <<TXT
label: gpt
first-lba: 2048
start=1MiB, size=${esp_mib}MiB, type=uefi, name=floe-efi
start=${root_start}MiB, size=${root_mib}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=floe-root
TXT
dd if="$esp" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
root=$work/root.img
truncate -s ${root_mib}M "$root"
mke2fs -q -t ext4 -L floe-root -b 4096 -m 0 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard -d "$tree" "$root" \
  || fail "the tree does not fit into --size $size"
rm -rf "$tree"
dd if="$root" of="$disk" bs=1M seek=$root_start conv=notrunc,sparse status=none
rm -f "$root"

mv "$disk" "$cached"
publish_result
