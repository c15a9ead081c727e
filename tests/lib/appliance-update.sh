# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced after tests/lib/appliance.sh: newer versions of the appliance's image, published on the test's server, and waits for what a running one does.
#
# All versions are made of the same packages and signed with the same key, so that what differs is what a version must differ in, and the TPM's policy
# holds for all of them.

# update_image NAME VERSION [DEB-CHANGE]: prints the path of the parts (FILE.d) of an image of VERSION signed with APPLIANCE_DEBUG's key.
# DEB-CHANGE is a script that changes the unpacked package in its working directory: the version is broken on purpose.
update_image() {
  local name=$1 version=$2 change=${3:-} image keys=$APPLIANCE_DEBUG.keys debs=$SOURCE/build/debs key
  key=$( (echo "$APPLIANCE_DEBUG $version"; [ -z "$change" ] || cat "$change") | sha256sum | cut -c1-16)
  image=$FLOE_CACHE/appliance-test-$name-$key.raw
  exec 8>"$FLOE_CACHE/appliance-test.lock"
  flock 8
  if [ ! -d "$image.d" ]; then
    rm -rf "$FLOE_CACHE/appliance-test-$name"-*.raw "$FLOE_CACHE/appliance-test-$name"-*.raw.d
    if [ -n "$change" ]; then
      debs=$(mktemp -d)
      dpkg-deb -R "$(ls "$SOURCE"/build/debs/floe-endpoint_*.deb | tail -n 1)" "$debs/tree" && (cd "$debs/tree" && bash -eu "$change") &&
        dpkg-deb --root-owner-group -b "$debs/tree" "$debs/floe-endpoint_0_amd64.deb" >&2 || die "the broken package of $name"
    fi
    "$BUILD/bin/floe-image" build-appliance --output "$image" --debs "$debs" --no-firmware --debug --version "$version" --sign-key "$keys/sign.key" \
      --sign-cert "$keys/sign.crt" --root "$APPLIANCE_SERVER/data/repo/metadata/1.root.json" >&2 || die "the image $name"
    # Only its parts are published.
    rm -f "$image"
    [ -z "$change" ] || rm -rf "$debs"
  fi
  exec 8>&-
  echo "$image.d"
}
part_of() { sed -n "s/^$2=//p" "$1/manifest"; }
# update_publish PARTS: as the version that the stable channel is at.
update_publish() {
  floe-image publish-appliance --repo "$DATA/repo" --keys "$KEYS" --passphrase-file "$PASSPHRASE" --channel stable "$1"
}

# boots: how many times a kernel has started on this machine.
boots() { grep -ac 'Linux version [0-9]' "$WORK/$APPLIANCE.serial" || true; }
# until_boot COUNT WHAT: that many kernels have started.
until_boot() {
  local end=$((SECONDS + APPLIANCE_PATIENCE))
  until [ "$(boots)" -ge "$1" ]; do
    [ $SECONDS -lt $end ] && kill -0 $APPLIANCE_PID || { tail -n 40 "$WORK/$APPLIANCE.serial" >&2; die "gave up waiting for $2"; }
    sleep 0.5
  done
  say "$2 ($SECONDS s)"
}
# until_shell COUNT: the debug image's shell of the COUNTth start has come.
until_shell() {
  local end=$((SECONDS + APPLIANCE_PATIENCE))
  until [ "$(grep -acE '^(.*[^#])?# ' "$WORK/$APPLIANCE.serial" || true)" -ge 1 ] && appliance_shell 'cat /proc/sys/kernel/random/boot_id' 20 >"$WORK/boot-id.new" &&
    [ -s "$WORK/boot-id.new" ] && ! cmp -s "$WORK/boot-id.new" "$WORK/boot-id.$(($1 - 1))"; do
    [ $SECONDS -lt $end ] && kill -0 $APPLIANCE_PID || { tail -n 40 "$WORK/$APPLIANCE.serial" >&2; die "no shell of start $1"; }
    sleep 1
  done
  mv "$WORK/boot-id.new" "$WORK/boot-id.$1"
}
# until_server WHAT EXPRESSION: the server's only endpoint is such that jq's EXPRESSION is true.
until_server() {
  local end=$((SECONDS + APPLIANCE_PATIENCE))
  until floe-server endpoints --data "$DATA" --json 2>/dev/null | jq -e ".[0] | $2" >/dev/null; do
    [ $SECONDS -lt $end ] && kill -0 $APPLIANCE_PID || { floe-server endpoints --data "$DATA" >&2; die "gave up waiting for $1"; }
    sleep 1
  done
  say "$1 ($SECONDS s)"
}
