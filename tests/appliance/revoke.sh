#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# revoke.sh: an old kernel image is started by firmware for as long as firmware was not told otherwise, and no longer. A newer version of the appliance, made
# with `--revoke OLD`, starts under Secure Boot, is found good, and has firmware take the old one into its list of what is forbidden (dbx). Then the old version
# is put back on the disk, whole: beside firmware's variables as they were before, firmware starts it (and floe-state closes the state to it); beside
# firmware as it is now, firmware refuses it. The newer one starts as before.
#
# In QEMU under TCG with OVMF, Secure Boot and swtpm. Run by hand; tests/run does not run it, and docs/appliance.md says how far it has been seen through. Pictures of the screen are in build/appliance/revoke-*.png.
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  . "$SOURCE/tests/lib/appliance.sh"
  appliance_prepare
  local keys=$APPLIANCE_DEBUG.keys
  APPLIANCE_OLD=$(appliance_image old --version 1 --sign-key "$keys/sign.key" --sign-cert "$keys/sign.crt") || die 'an image for release of an older version'
  # One key is all of the machine's keys in these tests: also the one that may change firmware's lists.
  APPLIANCE_NEW=$(appliance_image revoker --debug --version 2 --sign-key "$keys/sign.key" --sign-cert "$keys/sign.crt" \
    --kek-key "$keys/sign.key" --kek-cert "$keys/sign.crt" --revoke "$APPLIANCE_OLD.d") || die 'an image that revokes the older one'
  export APPLIANCE_OLD APPLIANCE_NEW
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
. "$SOURCE/tests/lib/appliance.sh"
. "$SOURCE/tests/lib/appliance-tamper.sh"

APPLIANCE_NETWORK=none APPLIANCE_MEMORY=1024
APPLIANCE_FIRMWARE=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd
PATIENCE=$APPLIANCE_PATIENCE
denied='Access [Dd]enied|Security [Vv]iolation|Security Policy Violation'
mkdir -p "$APPLIANCE_PICTURES"
need sfdisk
need jq
need mcopy
[ -e $TAMPER_FONT ] || die "$TAMPER_FONT is missing: Debian's console-setup-linux has it"

as_uuid() { sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' <<<"$1"; }
# put_old NAME: the older version into the other slot of the disk, its kernel image as the only entry.
put_old() {
  local hash disk=$1.disk
  hash=$(sed -n 's/^roothash=//p' "$APPLIANCE_OLD.d/manifest")
  dd if="$APPLIANCE_OLD.d/root" of="$disk" bs=1M oflag=seek_bytes seek="$(sfdisk -J "$disk" | jq '.partitiontable.partitions[3].start * 512')" conv=notrunc,sparse status=none
  dd if="$APPLIANCE_OLD.d/root.verity" of="$disk" bs=1M oflag=seek_bytes seek="$(sfdisk -J "$disk" | jq '.partitiontable.partitions[4].start * 512')" conv=notrunc status=none
  sfdisk -q --part-uuid "$disk" 4 "$(as_uuid "$hash")"
  sfdisk -q --part-uuid "$disk" 5 "$(as_uuid "${hash:32}")"
  mdel -i "$disk@@1M" '::/EFI/Linux/*'
  appliance_boot_file "$1" "$APPLIANCE_OLD.d/floe.efi" /EFI/Linux/floe_1.efi
}
# forbids NAME: whether the old kernel image is in the list of this machine's firmware, as another reader of such variables sees it.
forbids() {
  cp "$1.vars" vars.fd
  appliance_tools virt-fw-vars --input /exchange/vars.fd --print --verbose >variables 2>&1 || { cat variables; die 'virt-fw-vars'; }
  quietly grep -i "$old" variables
}

owner=7b2c1f0e-3a55-4f0c-9d6b-0f5a4d1e2c3b
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$APPLIANCE_DEBUG.keys/sign.crt" .
appliance_tools virt-fw-vars --input /exchange/OVMF_VARS_4M.fd --output /exchange/enrolled.fd --set-pk "$owner" /exchange/sign.crt \
  --add-kek "$owner" /exchange/sign.crt --add-db "$owner" /exchange/sign.crt --sb >keys.log 2>&1 || { cat keys.log; die 'no keys could be enrolled'; }
cp "$APPLIANCE_OLD.d/floe.efi" old.efi
old=$(appliance_tools python3 -c 'import pefile; from virt.peutils import pesign; print(pesign.pe_authenticode_hash(pefile.PE("/exchange/old.efi")).hex())')
[[ $old =~ ^[0-9a-f]{64}$ ]] || die "no digest of the old kernel image: $old"

say 'the newer version starts, and firmware has nothing in its list'
appliance_disk new "$APPLIANCE_NEW" 3G
cp enrolled.fd new.vars
appliance_start new
appliance_wait $PATIENCE 'the shell of the debug image' '^(.*[^#])?# '
appliance_has 'a version on trial revokes nothing' 'mkdir -p /var/lib/floe/chunks; floe-slot revoke' 'was not found good'
appliance_shell 'floe-slot good' $PATIENCE >good || { cat good; die 'floe-slot good'; }
appliance_shell 'systemctl start floe-slot-revoke; journalctl -o cat -u floe-slot-revoke' $PATIENCE >revoked || true
cat revoked
quietly grep 'firmware has taken 1 into its list' revoked || die 'firmware was not told'
appliance_shell 'systemctl start floe-slot-revoke; journalctl -o cat -u floe-slot-revoke | grep older; floe-slot status; sync' $PATIENCE >again || true
cat again
quietly grep 'firmware has all 1 in its list already' again || die 'firmware was told twice'
appliance_picture revoke-new
appliance_stop
forbids new || { cat variables; die 'the old kernel image is not in the list of firmware'; }
say "firmware has $old in its list ($SECONDS s)"

say 'the old version put back, beside firmware as it was before'
cp --sparse=always new.disk old.disk
put_old old
cp -r new.tpm old.tpm
cp enrolled.fd old.vars
! forbids old || die 'firmware had it in its list all the time: nothing is shown'
tamper_note old
appliance_start old
found=$(tamper_until old $PATIENCE 'Version 1 is older than 2, which ran here' "$denied")
appliance_picture revoke-before || true
appliance_stop
[ "$found" = screen ] || die "not started, and closed out by the state, but: $found"
say "it started, and the state stayed closed ($SECONDS s)"

say 'and beside firmware as it is now'
cp new.vars old.vars
appliance_start old
found=$(tamper_until old $PATIENCE 'Floe does not start|Kernel panic' "$denied")
sleep 1
appliance_picture revoke-after || true
appliance_stop
[ "$found" = serial ] || die "firmware does not refuse it: $found"
! tamper_ran old || die 'it ran'
say "refused: $(tr -d '\r' <old.serial | grep -aoE "$denied" | head -n 1) ($SECONDS s)"

say 'the newer one starts as before'
tamper_note new
appliance_start new
found=$(tamper_until new $PATIENCE 'Floe does not start' "$denied")
appliance_stop
[ "$found" = ran ] || die "the newer version does not start any more: $found"
