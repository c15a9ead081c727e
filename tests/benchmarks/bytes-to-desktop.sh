#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bytes that a streamed desktop fetches until it is up, over the compressed bytes of the 64 KiB blocks that a boot of the same image touches
# (distinct, not all zero), read by the same machine from nbdkit's file plugin. Goal: under 1.3. The image alone counts: metadata travel too,
# and are in the figure.
NAME=bytes-to-desktop
before_sandbox() {
  . "$SOURCE/packaging/lib/endpoint.sh"
  published_desktop
  floe-image build-desktop --add "$SOURCE/image-builder/demo" "$FLOE_CACHE/bench-desktop.raw"
}
. "$(dirname "$0")/../lib/host.sh"
. "$SOURCE/packaging/lib/endpoint.sh"
LOGS=$WORK/logs
mkdir -p "$LOGS"
image=$FLOE_CACHE/bench-desktop.raw

say 'a boot from a plain file, its reads logged'
nbdkit --exit-with-parent --foreground --unix "$WORK/file.sock" --filter=log file "$image" logfile="$WORK/reads.log" &
wait_for 10 nbdkit test -S "$WORK/file.sock"
seconds=$(python3 "$SOURCE/tests/lib/boot-desktop.py" "$WORK/file.sock" 400) || die 'the desktop did not come up by hand'
kill %1
read -r blocks raw touched < <(sed -nE 's/.* Read id=[0-9]+ offset=(0x[0-9a-f]+) count=(0x[0-9a-f]+) .*/\1 \2/p' "$WORK/reads.log" \
  | "$BUILD/tests/touched-bytes" "$image" 65536)
say "touched: $blocks blocks of 64 KiB, $((raw / 1048576)) MiB, $((touched / 1048576)) MiB compressed; desktop after $seconds s"
rm -f "$image"

say 'the same desktop streamed'
endpoint_users
endpoint_world
server_data "$SOURCE/docs/examples/office.json"
endpoint_up office
[ "$(machine_get office State)" != stopped ] || floe-vm --config $CONFIG start office
wait_for 600 'the desktop' machine_is office running
fetched=$(machine_get office ImageFetchedBytes)
say "fetched $((fetched / 1048576)) MiB; desktop after $(machine_get office DesktopSeconds) s"
figure bytes_touched_64k "$touched" bytes
figure bytes_to_desktop "$fetched" bytes
figure bytes_to_desktop_ratio "$(awk -v f="$fetched" -v t="$touched" 'BEGIN { printf "%.2f", f / t }')"
