#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Check-in's protocol written a second time, from docs/server.md alone, for attacks on floe-server.
#   checkin-client.py HOST PORT KEYFILE OTHERKEYFILE   KEYFILE, OTHERKEYFILE: private keys (32 bytes) of two endpoints that have enrolled
import hashlib, json, os, socket, ssl, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives import serialization
from cryptography import x509

host, port, key_file, other_file = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
REPORT = {"floe-slot": 1, "running": 7, "next": 7, "offered": 8, "failed": [8], "problem": "version 8 was tried and failed"}


def connect():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, port), timeout=20))


with connect() as tls:
    certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
SERVER = hashlib.sha256(certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).digest()


def post(body, headers=(), length=None, method="POST", path="/checkin"):
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    if length != "":
        head += f"Content-Length: {len(body) if length is None else length}\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in headers)
    data = b""
    with connect() as tls:
        tls.sendall(head.encode() + b"\r\n" + body)
        while True:
            try:
                got = tls.recv(65536)
            except (ssl.SSLError, ConnectionResetError):
                break
            if not got:
                break
            data += got
    head, _, answer = data.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, json.loads(answer) if answer.startswith(b"{") else {}


class Endpoint:
    def __init__(self, seed):
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = hashlib.sha256(public).hexdigest()[:16]

    def message(self, sequence, **change):
        fields = {"floe": 1, "endpoint": self.id, "sequence": sequence, "version": "0.1", "appliance": dict(REPORT)}
        fields.update(change)
        return {k: v for k, v in fields.items() if v is not None}

    def send(self, fields, server=SERVER, label=b"floe check-in 1\n", signature=None, body=None):
        body = json.dumps(fields).encode() if body is None else body
        made = self.private.sign(label + server + hashlib.sha256(body).digest()).hex()
        return post(body, [] if signature == "" else [("Floe-Signature", signature or made)])


mine, other, stranger = Endpoint(open(key_file, "rb").read()), Endpoint(open(other_file, "rb").read()), Endpoint(os.urandom(32))
tried = 0


def refused(what, got, status, reason):
    global tried
    tried += 1
    if (got[0], got[1].get("refused")) != (status, reason):
        sys.exit(f"{what}: answered {got}, {status} {reason} wanted")


BASE = 4_000_000_000_000_000  # after every clock of the test
first = mine.message(BASE)
if mine.send(first) != (200, {"floe": 1}):
    sys.exit(f"an honest check-in: {mine.send(first)}")
refused("the same again", mine.send(first), 409, "old")
got = mine.send(mine.message(BASE - 1))
refused("an older one", got, 409, "old")
if got[1].get("sequence") != BASE:
    sys.exit(f"an older one is not told where to go on: {got}")
refused("another endpoint's name, signed by oneself", mine.send(other.message(BASE + 1)), 403, "unknown")
refused("one's own name, signed by another endpoint", other.send(mine.message(BASE + 1)), 403, "unknown")
refused("who has not enrolled", stranger.send(stranger.message(BASE + 1)), 403, "unknown")
refused("no signature", mine.send(mine.message(BASE + 1), signature=""), 403, "unknown")
refused("a signature of zeros", mine.send(mine.message(BASE + 1), signature="0" * 128), 403, "unknown")
refused("a short signature", mine.send(mine.message(BASE + 1), signature="00"), 403, "unknown")
refused("for another server", mine.send(mine.message(BASE + 1), server=bytes(32)), 403, "unknown")
refused("a signature that is one to enrol", mine.send(mine.message(BASE + 1), label=b"floe enrol request 1\n"), 403, "unknown")
# An old message of another endpoint does not even learn how old it is.
refused("another's old message", mine.send(other.message(1)), 403, "unknown")
report = lambda **change: {k: v for k, v in {**REPORT, **change}.items() if v is not None}
for name, fields in {
    "no version of the protocol": mine.message(BASE + 1, floe=None), "another one": mine.message(BASE + 1, floe=2), "an unknown key": mine.message(BASE + 1, admin=True),
    "no sequence": mine.message(None), "a sequence of 0": mine.message(0), "a sequence below": mine.message(-1), "a sequence too large": mine.message(1 << 53),
    "a sequence that is text": mine.message("1"), "half a sequence": mine.message(1.5), "a long id": mine.message(BASE + 1, endpoint=mine.id + "0"),
    "SQL": mine.message(BASE + 1, endpoint="';DROP TABLE--  "), "capitals": mine.message(BASE + 1, endpoint="A" * 16),
    "a version with a space": mine.message(BASE + 1, version="1 2"), "a long version": mine.message(BASE + 1, version="1" * 65),
    "an empty report": mine.message(BASE + 1, appliance={}), "a report that is none": mine.message(BASE + 1, appliance=[1]),
    "an unknown key in the report": mine.message(BASE + 1, appliance=report(root=True)), "nothing that runs": mine.message(BASE + 1, appliance=report(running=None)),
    "a version below 0": mine.message(BASE + 1, appliance=report(next=-1)), "a version that is text": mine.message(BASE + 1, appliance=report(offered="8")),
    "33 that failed": mine.message(BASE + 1, appliance=report(failed=list(range(1, 34)))), "a failed version 0": mine.message(BASE + 1, appliance=report(failed=[0])),
    "a long problem": mine.message(BASE + 1, appliance=report(problem="x" * 501)), "an escape": mine.message(BASE + 1, appliance=report(problem="a\x1b[2J")),
    "a C1 escape": mine.message(BASE + 1, appliance=report(problem="a\x9b2J")), "text turned round": mine.message(BASE + 1, appliance=report(problem="a\u202eb")),
    "a line end": mine.message(BASE + 1, appliance=report(problem="a\nb")),
}.items():
    refused(name, mine.send(fields), 400, "invalid")
for name, body in {"nothing": b"x", "an array": b"[]", "two keys": b'{"floe":1,"floe":1}', "deep": b"[" * 4000, "no UTF-8": b'{"floe":1,"version":"\xff"}'}.items():
    refused(name, mine.send(None, body=body), 400, "invalid")
for name, got, status in [
    ("4,097 bytes", post(b"x" * 4097), 413), ("a gigabyte", post(b"x", length=1 << 30), 413), ("no length", post(b"", length=""), 411),
    ("chunks", post(b"1\r\nx\r\n0\r\n\r\n", [("Transfer-Encoding", "chunked")], length=""), 411), ("GET", post(b"", method="GET", length=""), 405),
    ("PUT", post(b"{}", method="PUT"), 405), ("a query", post(b"{}", path="/checkin?x"), 405), ("a slash", post(b"{}", path="/checkin/"), 405),
]:
    refused(name, got, status, None)
# Nothing of all that was kept, and an honest one is taken after it. One without a report is no appliance.
if mine.send(mine.message(BASE + 1)) != (200, {"floe": 1}) or other.send(other.message(1, appliance=None)) != (200, {"floe": 1}):
    sys.exit("honest check-ins after the attacks are refused")
print(tried)
