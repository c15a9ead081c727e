#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tpm-forge.py KERNEL LOG off|on SIGNATURE: what somebody extends a TPM's registers by who wants it to believe that the signed image KERNEL (a UKI) has started: a
line "REGISTER:sha256=DIGEST" for each, as tpm2_pcrextend takes them. Into SIGNATURE goes the signature of the policy, which everybody can read in the image.

PCR 7 is that of the firmware's event log LOG with "on"; with "off" as it is when Secure Boot was switched off, all else being equal. PCR 11 is what systemd-stub
measures (its sections by name and content, in its order) and the one phase that the policy is signed for."""
import hashlib
import struct
import sys

SECTIONS = [".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey"]
NO_ACTION, VARIABLE = 3, 0x80000001


def sections(data):
    coff, = struct.unpack_from("<I", data, 60)
    count, size = struct.unpack_from("<H12xH", data, coff + 6)
    for i in range(count):
        name, length, _, raw, at = struct.unpack_from("<8sIIII", data, coff + 24 + size + 40 * i)
        yield name.rstrip(b"\0").decode(), data[at:at + min(length, raw)].ljust(length, b"\0")


def events(log):
    size, = struct.unpack_from("<I", log, 28)
    head, at = log[32:32 + size], 32 + size
    count, = struct.unpack_from("<I", head, 24)
    sizes = dict(struct.unpack_from("<HH", head, 28 + 4 * i) for i in range(count))
    while at < len(log):
        register, kind, count = struct.unpack_from("<III", log, at)
        at += 12
        digests = {}
        for _ in range(count):
            algorithm, = struct.unpack_from("<H", log, at)
            digests[algorithm] = log[at + 2:at + 2 + sizes[algorithm]]
            at += 2 + sizes[algorithm]
        size, = struct.unpack_from("<I", log, at)
        yield register, kind, digests[0x0b], log[at + 4:at + 4 + size]
        at += 4 + size


def main():
    kernel, log = (open(path, "rb").read() for path in sys.argv[1:3])
    off, found = sys.argv[3] == "off", dict(sections(kernel))
    for register, kind, digest, data in events(log):
        if register != 7 or kind == NO_ACTION:
            continue
        name_size, = struct.unpack_from("<Q", data.ljust(24, b"\0"), 16)
        if off and kind == VARIABLE and name_size == 10 and data[32:52] == "SecureBoot".encode("utf-16-le"):
            assert data[52:] == b"\1"
            digest = hashlib.sha256(data[:52] + b"\0").digest()
        print(f"7:sha256={digest.hex()}")
    for name in SECTIONS:
        if name in found:
            for measured in (name.encode() + b"\0", found[name]):
                print(f"11:sha256={hashlib.sha256(measured).hexdigest()}")
    print(f"11:sha256={hashlib.sha256(b'enter-initrd').hexdigest()}")
    open(sys.argv[4], "wb").write(found[".pcrsig"].rstrip(b"\0"))


main()
