#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Publishing: stock casync restores what we publish bit for bit and we read what it makes; publishing twice adds nothing, a changed image
# adds what changed; a damaged server store is repaired by publishing again; a full disk is said and leaves nothing half made.
. "$(dirname "$0")/../lib/host.sh"
need casync

chunk=131072
chunks() { find "$1" -name '*.cacnk' | wc -l; }
publish() {
  floe-image publish --repo repo --keys keys --passphrase-file passphrase --name desktop --channel stable "$@" >out 2>err ||
    { cat out err >&2; return 1; }
}
added() { sed -n 's/^added: \([0-9]*\) chunks.*/\1/p' out; }
version() { sed -n 's/.* version \([0-9a-f]*\):.*/\1/p' out; }

say 'an image with holes, zeros, repeated chunks and a short last chunk'
head -c $((200 * chunk)) /dev/urandom >image.raw
head -c $((20 * chunk)) image.raw >>image.raw              # repeated
head -c $((30 * chunk)) /dev/zero >>image.raw              # zeros that are written
truncate -s $((300 * chunk)) image.raw                     # a hole
head -c $((20 * chunk)) "$(command -v qemu-system-x86_64)" >>image.raw
truncate -s $((330 * chunk + 512)) image.raw
echo passphrase >passphrase
floe-policy init --repo repo --keys keys --passphrase-file passphrase >/dev/null 2>err || die "init: $(cat err)"

publish image.raw
v1=$(version)
[ "$(added)" = "$(chunks repo/chunks)" ] || die "$(added) chunks said to be added, $(chunks repo/chunks) there"
index=$(ls repo/targets/images/desktop/*."$v1".caibx)
table=$(ls repo/targets/images/desktop/*."$v1".table)
[ "$(sha256sum <"$index" | cut -c1-16)" = "$v1" ] || die 'VERSION is not the beginning of the index digest'

say 'casync restores it'
casync extract --store=repo/chunks "$index" restored.raw >/dev/null
cmp image.raw restored.raw
say 'casync makes the same index, byte for byte'
casync make --digest=sha256 --chunk-size=$chunk:$chunk:$chunk --what=blob-index --store=casync.castr made.caibx image.raw >/dev/null
cmp made.caibx "$index"
floe-image verify --index made.caibx --table "$table" --store repo/chunks >/dev/null

say 'twice adds nothing'
before=$(find repo -type f | sort | xargs sha256sum)
publish image.raw
[ "$(added)" = 0 ] || die "the second time added $(added) chunks"
[ "$before" = "$(find repo -type f | sort | xargs sha256sum)" ] || die 'the second time changed the repository'
again=$(added)

say 'a changed image adds what changed'
cp --sparse=always image.raw changed.raw
for at in 3 77 150; do head -c 100 /dev/urandom | dd of=changed.raw bs=1 seek=$((at * chunk + 5000)) conv=notrunc status=none; done
before=$(chunks repo/chunks)
publish changed.raw
[ "$(added)" = 3 ] || die "3 chunks changed, $(added) added"
[ $(($(chunks repo/chunks) - before)) = 3 ] || die 'the store grew by another number'
changed=$(added)
v2=$(version)
[ "$v1" != "$v2" ] || die 'a changed image has the same version'
casync extract --store=repo/chunks "$(ls repo/targets/images/desktop/*."$v2".caibx)" restored2.raw >/dev/null
cmp changed.raw restored2.raw

say 'what an earlier version names keeps its compressed form, whatever zstd makes of it now'
sums=$(find repo/chunks -type f | sort | xargs sha256sum)
publish --level 12 image.raw
[ "$sums" = "$(find repo/chunks -type f | sort | xargs sha256sum)" ] || die 'another level rewrote published chunks'

say 'an altered chunk on the server is put right by publishing again'
victim=$(find repo/chunks -name '*.cacnk' -size +50k -print -quit)
cp "$victim" good.cacnk
printf 'X' | dd of="$victim" bs=1 seek=1000 conv=notrunc status=none
if floe-image verify --index "$index" --table "$table" --store repo/chunks 2>err; then die 'an altered chunk passed verify'; fi
grep -q "$(basename "$victim" .cacnk)" err || die 'verify does not name the altered chunk'
publish image.raw
cmp "$victim" good.cacnk

say 'bad images and bad options'
head -c 1000 /dev/urandom >odd.raw
: >empty.raw
for bad in odd.raw empty.raw . /dev/null missing.raw; do
  if floe-image cut --out bad --name x "$bad" 2>err; then die "$bad was accepted"; fi
  [ "$(wc -l <err)" = 1 ] || die "$bad: not one clear line: $(cat err)"
done
if floe-image cut --out bad --name ../x image.raw 2>err; then die 'a path was accepted as a name'; fi

say 'a full disk'
mkdir small
mount -t tmpfs -o size=8m tmpfs small
if floe-image cut --out small --name x image.raw 2>err; then die 'more than the disk holds was written'; fi
grep -q 'No space left' err || die "a full disk is not named: $(cat err)"
[ ! -e small/x.caibx ] || die 'an index was left without its chunks'
[ -z "$(ls -A small/chunks/.writing)" ] || die 'temporary files were left'
umount small

figure published_twice_added_chunks "$again"
figure changed_image_added_chunks "$changed"
