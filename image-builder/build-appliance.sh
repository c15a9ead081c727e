#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# floe-image build-appliance: a disk image that a PC, or QEMU, boots straight into Floe, and into nothing else (docs/appliance.md).
#
# Theory of operation. Two Debian 13 trees are made by mmdebstrap and kept: one with the tools (mkfs.erofs, ukify, sbsign and the like, so that the
# host's release does not matter), one with the packages that the root is taken from. Into a copy of the second go floe-endpoint's .deb
# and the files of appliance/root; appliance/select.py lists what of it appliance/contents names, and that alone becomes an erofs file system with a
# dm-verity tree. The kernel image (UKI) carries the root hash in its command line and an initrd with one program, floe-start, and the drivers of
# disks. Everything has fixed times, UUIDs and order, so that the same inputs give the same bits; mkosi would do these steps too, with a
# package manager's working directories and an initrd of 130 MB of its own to be kept out.
set -euo pipefail
# What is made in the image has the modes that are said, or these.
umask 022

program='floe-image build-appliance'
fail() { echo "$program: $*" >&2; exit 1; }
say() { printf '%s: %s\n' "$program" "$*" >&2; }
. "$(dirname "$0")/archives.sh"

usage() {
  cat <<TXT
usage: $program [OPTION...] --output FILE

  --output FILE       the disk image; beside it FILE.d/ has its parts: root, root.verity, floe.efi, manifest
  --version N         a number that only grows; it is the image's IMAGE_VERSION (the time of the sources, YYYYMMDDHHMM)
  --root FILE         trusted root metadata of the management server (root.json): what the appliance verifies everything else from
  --sign-key KEY      key (PEM) that signs boot loader and kernel image for Secure Boot, and the TPM's policy; with
  --sign-cert CERT    its certificate (PEM). Without them a key is made in FILE.keys/ and used again
  --revoke FILE       the kernel image of an older version (or the directory with its parts, FILE.d) that firmware with Secure Boot is to start no more, once
                      this version was found good on a machine; may be given several times. Named are all that are to stay away, in each version: with
  --kek-key KEY       key (PEM) that may change firmware's lists (a KEK of the machines), and
  --kek-cert CERT     its certificate (PEM)
  --enroll-keys       a PC whose firmware is in setup mode (all keys deleted) takes these keys at the first start from the image's boot partition, without
                      asking, and has Secure Boot on from then: the certificates of --kek-key (made in FILE.keys/ if there is none) and --sign-key, and
  --pk-key KEY        the platform key (PEM), which may change all others, and
  --pk-cert CERT      its certificate (PEM). Without them the KEK is the platform key, too
  --also-trust CERT   a certificate (PEM or DER) whose programs firmware starts as well, such as that of a graphics card's firmware; again for each
  --debs DIR          directory with floe-endpoint_*.deb for Debian 13; without it, they are made from
  --source DIR        a checkout of Floe (the working directory)
  --firmware          firmware, microcode and graphics drivers for real PCs (not for QEMU)
  --no-firmware       without (the default is --firmware)
  --debug             a root shell on the first serial line, and it says so on the screen. Never signed with a key for release: the certificate
                      must have OU=floe-debug in its subject, as one that is made here has; so must that of --kek-key
  --slot-size SIZE    of each of the two root partitions (1536M with firmware, 512M without)
  --mirror URL        Debian's archive (the one that this host's apt uses)
TXT
}

output= version= root= key= certificate= kek_key= kek_certificate= revoked=() enroll= pk_key= pk_certificate= trusted=() debs= source=$PWD firmware=1 debug= slot= mirror=
while [ $# -gt 0 ]; do
  case $1 in
    --output | --version | --root | --sign-key | --sign-cert | --revoke | --kek-key | --kek-cert | --pk-key | --pk-cert | --also-trust | --debs | --source | --slot-size | --mirror)
      [ $# -ge 2 ] || fail "$1 wants a value" ;;&
    --output) output=$2; shift 2 ;;
    --version) version=$2; shift 2 ;;
    --root) root=$2; shift 2 ;;
    --sign-key) key=$2; shift 2 ;;
    --sign-cert) certificate=$2; shift 2 ;;
    --revoke) revoked+=("$2"); shift 2 ;;
    --kek-key) kek_key=$2; shift 2 ;;
    --kek-cert) kek_certificate=$2; shift 2 ;;
    --enroll-keys) enroll=1; shift ;;
    --pk-key) pk_key=$2; shift 2 ;;
    --pk-cert) pk_certificate=$2; shift 2 ;;
    --also-trust) trusted+=("$2"); shift 2 ;;
    --debs) debs=$2; shift 2 ;;
    --source) source=$2; shift 2 ;;
    --slot-size) slot=$2; shift 2 ;;
    --mirror) mirror=$2; shift 2 ;;
    --firmware) firmware=1; shift ;;
    --no-firmware) firmware=; shift ;;
    --debug) debug=1; shift ;;
    -h | --help) usage; exit 0 ;;
    *) fail "no option $1; --help lists them" ;;
  esac
done
[ -n "$output" ] || { usage >&2; exit 2; }
output=$(realpath -m "$output")
slot=${slot:-$([ -n "$firmware" ] && echo 1536M || echo 512M)}
[[ $slot =~ ^[1-9][0-9]{1,4}M$ ]] || fail "--slot-size '$slot': a size such as 512M wanted"
[ -z "$version" ] || [[ $version =~ ^[1-9][0-9]{0,17}$ ]] || fail "--version '$version': a decimal number wanted"
[ -z "$root" ] || [ -r "$root" ] || fail "--root $root: cannot be read"
# both OPTION KEY CERTIFICATE: a key and its certificate, or neither.
both() {
  [ -z "$2" ] || [ -n "$3" ] || fail "--$1-key wants --$1-cert with it"
  [ -n "$2" ] || [ -z "$3" ] || fail "--$1-cert wants --$1-key with it"
}
both sign "$key" "$certificate"
both kek "$kek_key" "$kek_certificate"
both pk "$pk_key" "$pk_certificate"
[ ${#revoked[@]} = 0 ] || [ -n "$kek_key" ] || fail '--revoke wants --kek-key and --kek-cert with it: firmware changes its lists for nobody else'
[ ${#revoked[@]} -gt 0 ] || [ -n "$enroll" ] || [ -z "$kek_key" ] || fail '--kek-key and --kek-cert are for --revoke or --enroll-keys, of which neither is there'
[ -n "$enroll" ] || [ -z "$pk_key" ] || fail '--pk-key and --pk-cert are for --enroll-keys, which is not there'
[ -n "$enroll" ] || [ ${#trusted[@]} = 0 ] || fail '--also-trust is for --enroll-keys, which is not there'
[ "$(id -u)" = 0 ] || fail 'root is needed: trees are made with their own owners, and their tools run in them'
for tool in mmdebstrap openssl unshare flock; do
  command -v $tool >/dev/null || fail "$tool is not installed; packaging/packages, section [image], lists what is needed"
done
if [ -n "$debs" ]; then
  compgen -G "$debs/floe-endpoint_*.deb" >/dev/null || fail "$debs has no floe-endpoint_*.deb"
elif [ ! -x "$source/packaging/deb/build" ]; then
  fail "$source is no checkout of Floe; --debs DIR or --source DIR wanted"
fi
here=$(dirname "$(realpath "$0")")
parts=$here/appliance
[ -d "$parts" ] || parts=$here/../../share/floe/appliance-builder
[ -e "$parts/contents" ] || fail "$parts is not there: the installation of floe-image is not complete"
parts=$(realpath "$parts")

# check_pair KEY CERTIFICATE: they belong together, and a debug image has nothing of a release's.
check_pair() {
  openssl x509 -in "$2" -noout 2>/dev/null || fail "$2: no certificate in PEM form"
  [ "$(openssl x509 -in "$2" -noout -pubkey 2>/dev/null)" = "$(openssl pkey -in "$1" -pubout 2>/dev/null)" ] || fail "$2 is not the certificate of $1"
  if [ -n "$debug" ] && ! is_debug "$2"; then
    fail "a debug image has a root shell on its serial line: nothing of it is signed with $2, whose subject has no OU=floe-debug"
  fi
}
is_debug() { openssl x509 -in "$1" -noout -subject -nameopt sep_multiline,utf8 | grep -qx ' *OU=floe-debug'; }
# What can be wrong with what was given is found before anything is made.
[ -z "$key" ] || check_pair "$key" "$certificate"
[ -z "$kek_key" ] || check_pair "$kek_key" "$kek_certificate"
[ -z "$pk_key" ] || check_pair "$pk_key" "$pk_certificate"
for one in ${trusted[@]+"${trusted[@]}"}; do
  openssl x509 -in "$one" -noout 2>/dev/null || fail "--also-trust $one: no certificate"
done
[ ${#revoked[@]} -le 100 ] || fail "--revoke: ${#revoked[@]} kernel images; firmware has room for few, 100 are the most"
revoked_versions=()
for i in ${revoked[@]+"${!revoked[@]}"}; do
  [ ! -d "${revoked[i]}" ] || revoked[i]=${revoked[i]}/floe.efi
  [ -f "${revoked[i]}" ] || fail "--revoke ${revoked[i]}: no such file"
  mapfile -t found < <(grep -aoE '^IMAGE_VERSION=[1-9][0-9]{0,17}$' "${revoked[i]}" | LC_ALL=C sort -u)
  [ ${#found[@]} = 1 ] || fail "--revoke ${revoked[i]}: no kernel image of an appliance, which says its version once"
  revoked_versions+=("${found[0]#*=}")
done

cache=${FLOE_CACHE:-/var/cache/floe}
mkdir -p "$cache" "$(dirname "$output")"
work=$(mktemp -d "$cache/appliance-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# tree NAME PACKAGE...: prints the path of a Debian 13 tree with these packages, kept in the cache by their names and this month of
# nothing else: `rm -r` it to take up newer packages.
tree() (
  name=$1; shift
  list=$(printf '%s\n' "$@" | LC_ALL=C sort -u | paste -sd,)
  path=$cache/appliance-$name-$(echo "1 $mirror $list" | sha256sum | cut -c1-16)
  if [ ! -d "$path" ]; then
    exec 8>"$path.lock"
    flock 8
    if [ ! -d "$path" ]; then
      say "tree with $# packages for $name (some minutes the first time)"
      components=main
      case $name in *firmware*) components='main non-free-firmware' ;; esac
      debian_sources trixie "$mirror" "$components"
      rm -rf "$path".part.*
      part=$(mktemp -d "$path.part.XXXXXX")
      mmdebstrap --mode=root --variant=apt --format=directory --architectures=amd64 --include="$list" --aptopt='APT::Install-Recommends "false"' \
        --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "5"' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/locale/*/LC_MESSAGES/floe.mo' \
        trixie "$part" "${sources[@]}" >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; rm -rf "$part"; fail 'mmdebstrap failed; its last lines are above'; }
      chmod 755 "$part"
      sync -f "$part"
      mv -T "$part" "$path"
    fi
  fi
  echo "$path"
)

# assemble ROOT-ARGUMENT... : make-root.sh in a copy of the tree $base, then make-disk.sh in one of $tools with the first at /tree. What they write
# lies in memory: the trees stay as they were made, and an overlay wants an upper layer that is no overlay itself. Both have $work at /exchange.
assemble() {
  unshare --mount --pid --fork --kill-child=KILL bash -euc '
    base=$1 tools=$2 work=$3 parts=$4; shift 4
    mount -t tmpfs -o mode=755,size=6g tmpfs /run
    for name in base tools; do
      mkdir -p /run/$name.upper /run/$name.work /run/$name
      mount -t overlay -o "lowerdir=${!name},upperdir=/run/$name.upper,workdir=/run/$name.work" overlay /run/$name
      mkdir -p /run/$name/exchange /run/$name/parts
      mount --bind "$work" /run/$name/exchange
      mount --bind "$parts" /run/$name/parts
      mount -t proc proc /run/$name/proc
      mount --rbind /dev /run/$name/dev
      # faketime has a semaphore named by its pid there, which is small here, and the same in another build.
      mount -t tmpfs tmpfs /run/$name/dev/shm
    done
    run() {
      chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
        bash "/parts/$2" "${@:3}"
    }
    run /run/base make-root.sh "$@"
    umount -l /run/base/exchange /run/base/parts /run/base/proc /run/base/dev
    rmdir /run/base/exchange /run/base/parts
    mkdir -p /run/tools/tree
    mount --bind /run/base /run/tools/tree
    run /run/tools make-disk.sh "$@"
  ' bash "$base" "$tools" "$work" "$parts" "$@"
}

# The packages that the root is taken from; those of [firmware] for real PCs only.
mapfile -t root_packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[root]"; next } on' "$parts/packages")
mapfile -t tool_packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[tools]"; next } on' "$parts/packages")
name=root
if [ -n "$firmware" ]; then
  name=root-firmware
  mapfile -t -O ${#root_packages[@]} root_packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[firmware]"; next } on' "$parts/packages")
fi
tools=$(tree tools "${tool_packages[@]}") || exit 1
base=$(tree $name "${root_packages[@]}") || exit 1

if [ -z "$debs" ]; then
  say "packages from $source"
  mapfile -t build_packages < <(awk '/^#/ || /^$/ { next } /^\[/ { on = $0 == "[build]" || $0 == "[deb]"; next } on && !/\?$/' "$source/packaging/packages")
  compiler=$(tree build "${build_packages[@]}") || exit 1
  debs=$work/debs
  "$source/packaging/deb/build" "$compiler" "$debs" >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; fail 'packaging/deb/build failed; its last lines are above'; }
fi
endpoint=$(ls "$debs"/floe-endpoint_*.deb 2>/dev/null | tail -n 1)
# Times in the image are those that the packages were made from.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-deb --fsys-tarfile "$endpoint" | TZ=UTC0 tar -tv --full-time -f - | awk '{ t = $4 " " $5; if (t > most) most = t } END { print most }' | xargs -I{} date -u -d {} +%s)}
export SOURCE_DATE_EPOCH
version=${version:-$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M)}

# make_key NAME WHAT COMMON-NAME: a key with its certificate in FILE.keys/, if there is none yet.
make_key() {
  local key=$output.keys/$1.key unit=${debug:+debug}
  mkdir -p "$output.keys"
  if [ ! -e "$key" ]; then
    say "a key $2 is made: $key"
    (umask 077; openssl genrsa -out "$key.part" 2048 2>/dev/null && mv "$key.part" "$key")
    openssl req -new -x509 -key "$key" -subj "/OU=floe-${unit:-site}/CN=$3" -days 7300 -sha256 -out "$output.keys/$1.crt" 2>/dev/null
  fi
}
if [ -z "$key" ]; then
  make_key sign 'to sign with' 'Floe appliance'
  key=$output.keys/sign.key certificate=$output.keys/sign.crt
fi
if [ -n "$enroll" ] && [ -z "$kek_key" ]; then
  make_key kek "that may change firmware's lists" 'Floe appliance KEK'
  kek_key=$output.keys/kek.key kek_certificate=$output.keys/kek.crt
fi
if [ -z "$debug" ] && is_debug "$certificate"; then
  say "note: $certificate is one for debug images; machines that trust it start those too"
fi
# A version that had itself in its list, or one that is to come after it, would end at its first restart.
mkdir "$work/in" "$work/out" "$work/in/revoked"
for i in ${revoked[@]+"${!revoked[@]}"}; do
  [ "${revoked_versions[i]}" -lt "$version" ] || fail "--revoke ${revoked[i]}: that is version ${revoked_versions[i]}, and this one is $version:" \
    'a version revokes older ones alone, never itself or what comes after it'
  cp "${revoked[i]}" "$work/in/revoked/$(sha256sum "${revoked[i]}" | cut -c1-64).efi"
done
if [ -n "$kek_key" ]; then
  cp "$kek_key" "$work/kek.key"
  cp "$kek_certificate" "$work/kek.crt"
fi
if [ -n "$enroll" ]; then
  cp "${pk_key:-$kek_key}" "$work/pk.key"
  cp "${pk_certificate:-$kek_certificate}" "$work/pk.crt"
  mkdir "$work/in/trusted"
  for i in ${trusted[@]+"${!trusted[@]}"}; do cp "${trusted[i]}" "$work/in/trusted/$(printf %03d "$i").crt"; done
fi
cp "$key" "$work/sign.key"
cp "$certificate" "$work/sign.crt"

say "root of version $version from $(basename "$endpoint")"
cp "$endpoint" "$work/in/endpoint.deb"
[ -z "$root" ] || cp "$root" "$work/in/root.json"
assemble "$version" "$slot" "$firmware" "$debug" >"$work/log" 2>&1 || { tail -n 25 "$work/log" >&2; fail 'the last lines are above'; }
rm -rf "$output.d"
mkdir "$output.d"
for file in root root.verity floe.efi manifest; do mv "$work/out/$file" "$output.d/$file"; done
cp --sparse=always --reflink=auto "$work/out/disk" "$output.part"
mv "$output.part" "$output"
say "$output: version $version, root file system $(($(stat -c %s "$output.d/root") / 1048576)) MiB," \
  "kernel image $(($(stat -c %s "$output.d/floe.efi") / 1048576)) MiB, root hash $(sed -n 's/^roothash=//p' "$output.d/manifest")"
