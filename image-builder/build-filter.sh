#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-image build-filter: a small Linux that stands between machines and a network (docs/network.md, mode filter), as a raw disk image that boots by
# BIOS in 128 MiB of memory.
#
# Theory of operation. mmdebstrap makes a tree with Debian's cloud kernel, busybox and nft; of it a few files become an initrd that is the
# whole system: no disk is mounted, nothing is kept, each start is the first. syslinux in a small FAT file system starts it, installed by the
# tree's own tools, so the host needs no more than for a desktop. It forwards only after its rules have been loaded whole.
# The tree is cached under $FLOE_CACHE by this script and the release; the rest takes seconds.
set -euo pipefail

program='floe-image build-filter'
fail() { echo "$program: $*" >&2; exit 1; }
say() { printf '%s: %s\n' "$program" "$*" >&2; }
. "$(dirname "$0")/archives.sh"

usage() {
  cat <<TXT
usage: $program [OPTION...] OUTPUT.raw

  --rules FILE        nft commands that fill chain "own" of table "inet filter": what may go from inside to the uplink, and what comes
                      to meet it. Without it all of that may: add rule inet filter own accept
  --suite NAME        Debian release (trixie)
  --mirror URL        archive (the one that this host's apt uses)
  --fresh             make the tree again even if the cache has it

Publish it with: floe-image publish --name NAME --os linux --firmware bios --memory 128 OUTPUT.raw
The machine's first network is its uplink, its second the one of mode filter that leads through it.
TXT
}

suite=trixie mirror= rules= fresh=
while [ $# -gt 0 ]; do
  case $1 in
    --suite | --mirror | --rules)
      [ $# -ge 2 ] || fail "$1 wants a value" ;;&
    --suite) suite=$2; shift 2 ;;
    --mirror) mirror=$2; shift 2 ;;
    --rules) rules=$2; shift 2 ;;
    --fresh) fresh=1; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) fail "no option $1; --help lists them" ;;
    *) break ;;
  esac
done
[ $# -eq 1 ] || { usage >&2; exit 2; }
output=$(realpath -m "$1")
[[ $suite =~ ^[a-z]+$ ]] || fail "--suite '$suite': a Debian release's name wanted"
[ -z "$rules" ] || [ -r "$rules" ] || fail "--rules $rules: cannot be read"
[ "$(id -u)" = 0 ] || fail 'root is needed: the tree is made with its own owners, and its tools run in it'
command -v mmdebstrap >/dev/null || fail 'mmdebstrap is not installed; packaging/packages, section [image], lists what is needed'

cache=${FLOE_CACHE:-/var/cache/floe}
mkdir -p "$cache"
# What the tree is made of stands in this one line; the rest of the script may change without it.
packages=linux-image-cloud-amd64,busybox-static,nftables,kmod,cpio,gzip,xz-utils,zstd,syslinux,mtools,dosfstools
key=$(printf '%s\n' "$packages" "$suite" "$mirror" | sha256sum | cut -c1-16)
cached=$cache/filter-$suite-$key.tar
exec 8>"$cached.lock"
flock 8
work=$(mktemp -d "$cache/filter-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$cached" ] || [ -n "$fresh" ]; then
  say "tree of Debian $suite (a minute the first time)"
  debian_sources "$suite" "$mirror" main
  mmdebstrap --quiet --variant=minbase --architectures=amd64 --include="$packages" --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Retries "3"' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$work/tree.tar" "${sources[@]}" >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; fail 'mmdebstrap failed; its last lines are above'; }
  mv "$work/tree.tar" "$cached"
fi
tree=$work/tree
mkdir "$tree"
tar -C "$tree" --exclude='./dev/*' -xf "$cached"
mkdir -p "$tree/floe"

cat >"$tree/floe/base.nft" <<'NFT'
table inet filter {
  chain own {
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iifname "eth1" oifname "eth0" ct state new jump own
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    udp sport 67 udp dport 68 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
  }
  chain nat {
    type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
  }
}
NFT
if [ -n "$rules" ]; then cp "$rules" "$tree/floe/rules.nft"; else echo 'add rule inet filter own accept' >"$tree/floe/rules.nft"; fi

cat >"$tree/floe/init" <<'SH'
#!/bin/busybox sh
/bin/busybox mkdir -p /bin /sbin
/bin/busybox --install -s /bin
PATH=/bin:/usr/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*; do insmod $module; done
say() { echo "floe-filter: $*" >/dev/console; }
ip link set lo up
until [ -e /sys/class/net/eth0 ] && [ -e /sys/class/net/eth1 ]; do sleep 0.05; done
# Nothing is forwarded unless all of the rules are there.
nft -f /floe/base.nft && nft -f /floe/rules.nft || { say 'the rules do not load: nothing is forwarded'; nft flush ruleset; exec sleep 2147483647; }
cat >/lease <<'LEASE'
#!/bin/busybox sh
PATH=/bin
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr replace "$ip/${mask:-24}" dev "$interface"
for router in $router; do ip route replace default via "$router" dev "$interface"; done
set -- $staticroutes
while [ $# -ge 2 ]; do ip route replace "$1" via "$2" dev "$interface"; shift 2; done
LEASE
chmod 755 /lease
# On a link of Floe's the IPv6 addresses follow from the card's number, which its MAC address ends in.
six() {
  local interface=$1 mac number
  mac=$(cat /sys/class/net/$interface/address)
  case $mac in 02:f1:0e:00:*) ;; *) return ;; esac
  [ -d /proc/sys/net/ipv6 ] || return
  number=$(printf %x 0x$(echo "${mac#02:f1:0e:00:}" | tr -d :))
  echo 0 >/proc/sys/net/ipv6/conf/$interface/autoconf
  ip -6 addr add fdf1:e77:0:$number::2/64 dev $interface
  if [ $interface = eth0 ]; then ip -6 route add default via fdf1:e77:0:$number::1; else ip -6 route add fdf1:e77::/48 via fdf1:e77:0:$number::1; fi
}
for interface in eth0 eth1; do
  ip link set $interface up
  six $interface 2>/dev/null
  udhcpc -i $interface -s /lease -O staticroutes -t 5 -T 1 -A 2 -b -S >/dev/null 2>&1 &
done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
until ip route | grep -q 'dev eth1 *$\|via .* dev eth1' && ip route | grep -q '^default'; do sleep 0.2; done
say 'forwarding'
# To the endpoint this says what a desktop says by its agent: it is up.
for port in /sys/class/virtio-ports/*; do
  [ "$(cat $port/name 2>/dev/null)" != com.redhat.spice.0 ] || exec 3<>/dev/${port##*/}
done
while :; do wait; sleep 3600; done
SH
chmod 755 "$tree/floe/init"

cat >"$tree/floe/build" <<'SH'
set -eu
release=$(ls /lib/modules | sort -V | tail -n 1)
initrd=/floe/initrd
mkdir -p $initrd/bin $initrd/modules $initrd/dev $initrd/proc $initrd/sys $initrd/floe $initrd/usr/sbin $initrd/tmp
cp /bin/busybox $initrd/bin/
cp /floe/init $initrd/init
cp /floe/base.nft /floe/rules.nft $initrd/floe/
cp /usr/sbin/nft $initrd/usr/sbin/
ldd /usr/sbin/nft | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$initrd$(dirname "$library")"
  cp -L "$library" "$initrd$library"
done
n=100
for module in virtio_pci virtio_net virtio_console nf_tables nft_ct nft_nat nft_masq nft_chain_nat nft_limit nft_log nft_reject_inet nft_counter; do
  modprobe --set-version "$release" --show-depends $module 2>/dev/null | awk '$1 == "insmod" { print $2 }' || true
done | awk '!seen[$0]++' >/floe/modules
while read -r file; do
  name=$(basename "${file%%.ko*}")
  case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -dcq "$file" ;;
    *) cat "$file" ;;
  esac >"$initrd/modules/$n-$name.ko"
  n=$((n + 1))
done </floe/modules
(cd $initrd && find . | cpio -o -H newc --quiet) | gzip -9 >/floe/initrd.gz
truncate -s 62M /floe/fat.raw
mkfs.vfat -F 16 -n FLOE-FILTER /floe/fat.raw >/dev/null
syslinux --install /floe/fat.raw
printf 'DEFAULT floe\nPROMPT 0\nLABEL floe\n  KERNEL vmlinuz\n  INITRD initrd\n  APPEND quiet loglevel=3 panic=1\n' >/floe/syslinux.cfg
mcopy -i /floe/fat.raw "/boot/vmlinuz-$release" ::vmlinuz
mcopy -i /floe/fat.raw /floe/initrd.gz ::initrd
mcopy -i /floe/fat.raw /floe/syslinux.cfg ::syslinux.cfg
truncate -s 64M /floe/fat.raw
SH
# In namespaces of its own: rules are tried in a network that is nobody's.
inside() {
  unshare --mount --net sh -c 'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev" && mknod -m 666 "$0/dev/null" c 1 3 && exec chroot "$0" /usr/bin/env -i \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"' "$tree" "$@"
}
say 'rules'
inside nft -f /floe/base.nft 2>"$work/log" || { cat "$work/log" >&2; fail 'this kernel cannot try the rules'; }
inside sh -c 'nft -f /floe/base.nft && nft -f /floe/rules.nft && nft list chain inet filter own >/dev/null' 2>"$work/log" ||
  { cat "$work/log" >&2; fail "--rules ${rules:--}: refused by nft, see above; commands such as 'add rule inet filter own ip daddr 192.0.2.0/24 accept' wanted"; }
say 'disk'
inside sh /floe/build >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; fail 'no disk could be made; the last lines are above'; }
mkdir -p "$(dirname "$output")"
cp --sparse=always "$tree/floe/fat.raw" "$output.part"
mv "$output.part" "$output"
say "$output: $(stat -c %s "$output") bytes, $(($(stat -c %b "$output") / 2048)) MiB on disk; publish it with --os linux --firmware bios"
