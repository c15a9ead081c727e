#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""efi-lists.py VARIABLE OWNER TIME KEY CERTIFICATE FILE...: on standard output one of Secure Boot's lists as SetVariable() takes it (UEFI 2.10, 8.2.2
and 32.4.1): an EFI_VARIABLE_AUTHENTICATION_2 with the time TIME (seconds since 1970), signed with KEY, and what the list has. OWNER, a UUID, is written beside
each entry. VARIABLE is

  PK, KEK, db   who may change the others, who may change db and dbx, and whose programs are started: the certificates (PEM or DER) in these files, in their order
  dbx           an append to what is forbidden: the SHA-256 of each of these kernel images, as firmware computes it of what it starts ("Windows Authenticode
                Portable Executable Signature Format"). Their order and how often one is named make no difference

sbvarsign (0.9.4) signs something that OVMF does not take, so openssl signs here what the specification says."""
import hashlib
import struct
import subprocess
import sys
import time
import uuid

SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328")
PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
VENDORS = {"PK": GLOBAL, "KEK": GLOBAL, "db": DATABASE, "dbx": DATABASE}
# Non-volatile, for boot services and at run time, authenticated with a time.
ATTRIBUTES = 0x27
APPEND = 0x40


class Refused(Exception):
    pass


def digest(data):
    """Of header and sections, without the checksum, the signature and the entry that says where it is. What lies between sections firmware passes over: an
    image that has such a place is refused, since others would compute another digest of it."""
    coff, = struct.unpack_from("<I", data, 60)
    optional = coff + 24
    if data[:2] != b"MZ" or data[coff:coff + 4] != b"PE\0\0" or struct.unpack_from("<H", data, optional) != (0x20b,):
        raise Refused("no kernel image for x86-64")
    count, size = struct.unpack_from("<H12xH", data, coff + 6)
    end, = struct.unpack_from("<I", data, optional + 60)
    signature, signature_size = struct.unpack_from("<II", data, optional + 144)
    if signature_size == 0 or signature + signature_size != len(data):
        raise Refused("it has no signature at its end: firmware does not start it anyway")
    places = sorted(struct.unpack_from("<II", data, optional + size + 40 * i + 16)[::-1] for i in range(count))
    for start, length in places:
        if length != 0 and start != end:
            raise Refused(f"there is something at byte {end} that is in no section")
        end += length
    if end > signature:
        raise Refused("its sections go beyond its signature")
    found = hashlib.sha256(data[:optional + 64])
    found.update(data[optional + 68:optional + 144])
    found.update(data[optional + 152:signature])
    return found.digest()


def content(der):
    """Where the content of the DER element at the beginning of DER is, and where it ends."""
    if der[1] < 0x80:
        return 2, 2 + der[1]
    count = der[1] & 0x7f
    return 2 + count, 2 + count + int.from_bytes(der[2:2 + count], "big")


def sign(message, key, certificate):
    """SignedData of PKCS #7, without attributes and without the ContentInfo around it: the specification wants it bare."""
    der = subprocess.run(["openssl", "smime", "-sign", "-binary", "-noattr", "-md", "sha256", "-outform", "DER", "-signer", certificate, "-inkey", key],
                         input=message, stdout=subprocess.PIPE, check=True).stdout
    inside = der[content(der)[0]:]
    explicit = inside[content(inside)[1]:]
    start, end = content(explicit)
    return explicit[start:end]


def signature_list(kind, owner, entries):
    """EFI_SIGNATURE_LIST of ENTRIES, all of one length."""
    body = b"".join(owner.bytes_le + one for one in entries)
    return kind.bytes_le + struct.pack("<III", 28 + len(body), 0, len(body) // len(entries)) + body


def forbidden(owner, paths):
    digests = set()
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        try:
            digests.add(digest(data))
        except (Refused, struct.error) as error:
            sys.exit(f"efi-lists.py: {path}: {error}")
    return signature_list(SHA256, owner, sorted(digests))


def certificates(owner, paths):
    """Each in a list of its own: their lengths differ."""
    return b"".join(signature_list(X509, owner, [subprocess.run(["openssl", "x509", "-in", path, "-outform", "DER"], stdout=subprocess.PIPE, check=True).stdout])
                    for path in paths)


def main():
    name, owner, when, key, certificate = sys.argv[1], uuid.UUID(sys.argv[2]), time.gmtime(int(sys.argv[3])), sys.argv[4], sys.argv[5]
    append = name == "dbx"
    lists = (forbidden if append else certificates)(owner, sys.argv[6:])
    stamp = struct.pack("<HBBBBBBIhBB", when.tm_year, when.tm_mon, when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec, 0, 0, 0, 0, 0)
    attributes = ATTRIBUTES | (APPEND if append else 0)
    message = name.encode("utf-16-le") + VENDORS[name].bytes_le + struct.pack("<I", attributes) + stamp + lists
    signature = sign(message, key, certificate)
    sys.stdout.buffer.write(stamp + struct.pack("<IHH", 24 + len(signature), 0x0200, 0x0ef1) + PKCS7.bytes_le + signature + lists)


main()
