#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Enrolment's protocol written a second time, from docs/server.md alone, for attacks on floe-server.
#   enrol-client.py honest HOST PORT CODE [KEYSEED]   a whole enrolment; prints the answer, and checks the server's proof
#   enrol-client.py attacks HOST PORT CODE            whatever must be refused; prints how many were tried
#   enrol-client.py guess HOST PORT CODE COUNT        wrong proofs for CODE's public part; prints the answers that there were
#   enrol-client.py middle HOST PORT LISTEN CERT MODE FILE   stands in the middle with another certificate: relay, forge, or replay FILE
import functools, hashlib, hmac, json, os, socket, ssl, sys, threading
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives import serialization
from cryptography import x509

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def clean(code):
    return "".join(c for c in code.upper() if c in ALPHABET)


@functools.lru_cache
def code_key(code):
    code = clean(code)
    return hashlib.pbkdf2_hmac("sha256", code[5:].encode(), b"floe enrol 1 " + code[:5].encode(), 100000)


def connect(host, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, port), timeout=20))


@functools.lru_cache
def spki(host, port):
    with connect(host, port) as tls:
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
    der = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def exchange(tls, raw):
    tls.sendall(raw)
    data = b""
    while True:
        try:
            got = tls.recv(65536)
        except (ssl.SSLError, ConnectionResetError):
            break
        if not got:
            break
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1]) if lines[0] else 0
    return status, {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}, body


def post(host, port, body, headers=(), length=None, method="POST", path="/enrol"):
    tls = connect(host, port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    if length != "":
        head += f"Content-Length: {len(body) if length is None else length}\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in headers)
    with tls:
        return exchange(tls, head.encode() + b"\r\n" + body)


class Attempt:
    """What an endpoint sends, each part of which a test may change."""

    def __init__(self, host, port, code, seed=None, server=None):
        self.host, self.port, self.code = host, port, clean(code)
        self.key = code_key(code)
        self.private = Ed25519PrivateKey.from_private_bytes(seed or os.urandom(32))
        public = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.server = server or spki(host, port)
        self.fields = {"floe": 1, "code": self.code[:5], "key": public.hex(), "nonce": os.urandom(32).hex(), "name": "python", "facts": {}}

    def send(self, body=None, proof=None, signature=None, drop=()):
        body = json.dumps(self.fields).encode() if body is None else body
        message = b"floe enrol request 1\n" + self.server + hashlib.sha256(body).digest()
        headers = []
        if "proof" not in drop:
            headers.append(("Floe-Proof", proof or hmac.new(self.key, message, hashlib.sha256).hexdigest()))
        if "signature" not in drop:
            headers.append(("Floe-Signature", signature or self.private.sign(message).hex()))
        status, answered, answer = post(self.host, self.port, body, headers)
        wanted = hmac.new(self.key, b"floe enrol answer 1\n" + self.server + hashlib.sha256(body).digest() + hashlib.sha256(answer).digest(), hashlib.sha256)
        self.proved = answered.get("floe-proof") == wanted.hexdigest()
        return status, json.loads(answer) if answer.startswith(b"{") else {}


def honest(host, port, code, seed=None):
    attempt = Attempt(host, port, code, hashlib.sha256(seed.encode()).digest() if seed else None)
    status, answer = attempt.send()
    print(status, json.dumps(answer, sort_keys=True), "proved" if attempt.proved else "unproved")


def attacks(host, port, code):
    tried = 0

    def refused(what, got, wanted, proved=False, attempt=None):
        nonlocal tried
        tried += 1
        status, answer = got
        if (status, answer.get("refused")) != wanted or (attempt is not None and attempt.proved != proved):
            sys.exit(f"{what}: answered {status} {answer}, {wanted} wanted")

    code_refused, invalid = (403, "code"), (400, "invalid")
    fresh = lambda: Attempt(host, port, code)
    a = fresh(); refused("no proof", a.send(drop=("proof",)), code_refused, False, a)
    a = fresh(); refused("a proof of zeros", a.send(proof="0" * 64), code_refused, False, a)
    a = fresh(); refused("a short proof", a.send(proof="00"), code_refused, False, a)
    a = fresh(); refused("a proof for another server", Attempt(host, port, code, server=bytes(32)).send(), code_refused)
    a = fresh(); a.key = bytes(32); refused("the key of another code", a.send(), code_refused, False, a)
    a = fresh(); a.fields["code"] = "00000"; refused("a code that is not there", a.send(), code_refused, False, a)
    a = fresh(); refused("no signature", a.send(drop=("signature",)), invalid, True, a)
    a = fresh(); refused("another's signature", a.send(signature="0" * 128), invalid, True, a)
    # Somebody else's public key, without its private half.
    a = fresh(); b = fresh(); a.fields["key"] = b.fields["key"]; refused("another's key", a.send(), invalid, True, a)
    # Proof and signature of one body with another one.
    a = fresh()
    body = json.dumps(a.fields).encode()
    message = b"floe enrol request 1\n" + a.server + hashlib.sha256(body).digest()
    proof = hmac.new(a.key, message, hashlib.sha256).hexdigest()
    a.fields["name"] = "other"
    refused("a changed body", a.send(proof=proof), code_refused)
    for name, change in {
        "no version": lambda f: f.pop("floe"), "another version": lambda f: f.update(floe=2), "an unknown key": lambda f: f.update(admin=True),
        "a group of its own choice": lambda f: f.update(group="admin"), "no nonce": lambda f: f.pop("nonce"), "a short key": lambda f: f.update(key="00"),
        "capitals": lambda f: f.update(key=f["key"].upper() if f["key"].upper() != f["key"] else "A" * 64), "a long name": lambda f: f.update(name="x" * 65),
        "an empty name": lambda f: f.update(name=""), "a name with a line end": lambda f: f.update(name="a\nb"), "an escape": lambda f: f.update(name="a\x1b[2J"),
        "a fact that is no text": lambda f: f.update(facts={"a": 1}), "a long fact": lambda f: f.update(facts={"a": "x" * 201}),
        "many facts": lambda f: f.update(facts={str(i): "" for i in range(25)}), "a fact's odd name": lambda f: f.update(facts={"../a": ""}),
        "a recovery key that is no hex": lambda f: f.update(recovery="zz"), "a recovery key that was not sealed": lambda f: f.update(recovery="00" * 60),
        "a large recovery key": lambda f: f.update(recovery="00" * 1025), "the whole code": lambda f: f.update(code=clean(code)),
        "SQL": lambda f: f.update(code="';--'"),
    }.items():
        a = fresh()
        change(a.fields)
        refused(name, a.send(), invalid)
    for name, body in {"nothing": b"x", "an array": b"[]", "two keys": b'{"floe":1,"floe":1}', "deep": b"[" * 16000, "NUL": b'{"floe":1,"code":"\\u0000"}',
                       "no UTF-8": b'{"floe":1,"name":"\xff"}'}.items():
        refused(name, fresh().send(body=body), invalid)
    for name, got, wanted in [
        ("a body of 16,385 bytes", post(host, port, b"x" * 16385), (413,)), ("a length of a gigabyte", post(host, port, b"x", length=1 << 30), (413,)),
        ("no length", post(host, port, b"", length=""), (411,)), ("an empty body", post(host, port, b""), (413, 400)),
        ("a length that is none", post(host, port, b"x", length="1x"), (400, 413)), ("a negative length", post(host, port, b"x", length="-1"), (400, 413)),
        ("chunks", post(host, port, b"1\r\nx\r\n0\r\n\r\n", [("Transfer-Encoding", "chunked")], length=""), (411,)),
        ("PUT", post(host, port, b"{}", method="PUT"), (405,)), ("a query", post(host, port, b"{}", path="/enrol?x"), (405,)),
        ("a slash", post(host, port, b"{}", path="/enrol/"), (405,)), ("a file", post(host, port, b"{}", path="/metadata/timestamp.json"), (405,)),
        ("the database", post(host, port, b"", method="GET", path="/enrol/floe.db", length=""), (404,)),
    ]:
        tried += 1
        if got[0] not in wanted:
            sys.exit(f"{name}: answered {got[0]}, {wanted} wanted")
    print(tried)


def guess(host, port, code, count):
    answers = {}
    for _ in range(count):
        a = Attempt(host, port, code)
        a.key = os.urandom(32)
        got = str(a.send())
        answers[got] = answers.get(got, 0) + 1
    print(answers)


def middle(host, port, listen, certificate, mode, file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = socket.create_server(("0.0.0.0", listen))
    print("ready", flush=True)

    def read(tls):
        data = b""
        while b"\r\n\r\n" not in data:
            got = tls.recv(65536)
            if not got:
                return None
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            body += tls.recv(65536)
        return head, body

    def serve(raw):
        with context.wrap_socket(raw, server_side=True) as tls:
            while (got := read(tls)) is not None:
                head, body = got
                if head.startswith(b"POST") and mode != "relay":
                    with open(file, "ab") as log:
                        log.write(body + b"\n")
                    answer = json.dumps({"floe": 1, "endpoint": "0" * 16, "group": "admin", "time": 1}).encode()
                    proof = "00" * 32 if mode == "forge" else open(file + ".proof").read().strip()
                    tls.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nFloe-Proof: {proof}\r\n\r\n".encode() + answer)
                    continue
                with connect(host, port) as real:
                    status, headers, answer = exchange(real, head.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n") + b"\r\n\r\n" + body)
                proof = f"Floe-Proof: {headers['floe-proof']}\r\n" if "floe-proof" in headers else ""
                tls.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n{proof}\r\n".encode() + answer)

    def guarded(raw):
        try:
            serve(raw)
        except (OSError, ssl.SSLError):
            pass

    while True:
        threading.Thread(target=guarded, args=(server.accept()[0],), daemon=True).start()


command, host, port, *rest = sys.argv[1:]
if command == "honest":
    honest(host, int(port), *rest)
elif command == "attacks":
    attacks(host, int(port), *rest)
elif command == "guess":
    guess(host, int(port), rest[0], int(rest[1]))
elif command == "middle":
    middle(host, int(port), int(rest[0]), *rest[1:])
else:
    sys.exit(f"no command {command}")
