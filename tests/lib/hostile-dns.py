#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostile-dns.py serve ADDRESS LOG: a DNS server that answers as the first label of the name says, mostly badly. LOG gets a line
`NAME TYPE PORT ID TRANSPORT` for each question. No answer but the right one ever has an address other than EVIL.

hostile-dns.py ask SERVER [tcp] [edns] NAME/TYPE...: a stub resolver; a line `NAME/TYPE rcode R tc T ede E ttl TTL DATA...` for each, DATA sorted.
hostile-dns.py reach SERVER NAME...: asks, and sends a datagram to port 7 of the address at once: `reached N of N`.
hostile-dns.py flood SERVER SECONDS: questions as fast as they go; `sent N`.
hostile-dns.py garbage SERVER N [tcp]: N messages of noise, and of questions with one thing wrong.
hostile-dns.py dhcp INTERFACE MAC KIND...: DHCP frames of these kinds, sent on INTERFACE one after the other.
hostile-dns.py latency SERVER DIRECT N NAME: asks both in turn: `added MS` is the median of one less that of the other."""
import os
import random
import select
import socket
import statistics
import struct
import sys
import threading
import time

A, CNAME, PTR, MX, TXT, AAAA, SRV, OPT, HTTPS = 1, 5, 12, 15, 16, 28, 33, 41, 65
TYPES = {"A": A, "AAAA": AAAA, "TXT": TXT, "MX": MX, "SRV": SRV, "PTR": PTR, "HTTPS": HTTPS, "CNAME": CNAME, "ANY": 255}
EVIL = "198.51.100.66"
EVIL6 = "2001:db8::66"


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def read_name(message, at):
    labels, after = [], None
    while True:
        length = message[at]
        if length >= 192:
            after = after or at + 2
            at = struct.unpack(">H", message[at:at + 2])[0] & 0x3FFF
        elif length == 0:
            return ".".join(labels), after or at + 1
        else:
            labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length


def record(owner, kind, ttl, data):
    return (owner if isinstance(owner, bytes) else name(owner)) + struct.pack(">HHIH", kind, 1, ttl & 0xFFFFFFFF, len(data)) + data


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


class Question:
    def __init__(self, message):
        self.id, self.flags = struct.unpack(">HH", message[:4])
        self.name, at = read_name(message, 12)
        self.kind = struct.unpack(">H", message[at:at + 2])[0]
        self.raw = message[12:at + 4]
        self.edns = struct.unpack(">H", message[10:12])[0] == 1
        self.label = self.name.split(".")[0].lower()

    def answer(self, records=(), rcode=0, ident=None, raw=None, flags=0x8180, extra=(), authority=()):
        head = struct.pack(">HHHHHH", self.id if ident is None else ident, flags | rcode, 1, len(records), len(authority), len(extra))
        return head + (self.raw if raw is None else raw) + b"".join(records) + b"".join(authority) + b"".join(extra)

    def host(self, *texts, ttl=300, owner=b"\xc0\x0c"):
        return [record(owner, AAAA if ":" in text else A, ttl, address(text)) for text in texts if (":" in text) == (self.kind == AAAA)]


def good(question):
    return question.answer(question.host("198.51.100.20", "2001:db8::20"))


def evil(question, **more):
    return question.answer(question.host(EVIL, EVIL6), **more)


def chain(question, n, *last, ttl=300):
    """NAME is hop1, hop1 is hop2, ... and the last has addresses."""
    records, owner = [], b"\xc0\x0c"
    for i in range(n):
        records.append(record(owner, CNAME, 7 if i == 1 else ttl, name(f"hop{i}.example.net")))
        owner = name(f"hop{i}.example.net")
    random.shuffle(records)
    return records + question.host(*last, owner=owner, ttl=ttl)


INSIDE = {
    "private": ["10.1.2.3"], "private172": ["172.16.0.1"], "private192": ["192.168.1.1"], "loopback": ["127.0.0.1", "::1"],
    "metadata": ["169.254.169.254", "fe80::1"], "shared": ["100.64.0.1"], "ula": ["fd00::1"], "mapped": ["::ffff:10.1.2.3", "0.0.0.0"],
    "nat64": ["64:ff9b::a01:203", "224.0.0.1"], "sixtofour": ["2002:a01:203::1", "255.255.255.255"], "pool": ["10.77.0.6", "fdf1:e77:0:1::2"],
    "mixed": ["10.1.2.3", "198.51.100.21", "fd00::1", "2001:db8::21"], "endpoint": ["198.51.100.1", "2001:db8:1::1"],
}


def over_udp(question):
    """What goes back, in this order: bytes, ("port", bytes) from another source port, or a number of seconds to wait."""
    q, label = question, question.label
    if label in INSIDE:
        return [q.answer(q.host(*INSIDE[label]))]
    if label.startswith("seq"):
        n = int(label[3:])
        return [q.answer(q.host(f"203.0.113.{n % 250 + 1}", ttl=30))]
    if label[0] == "q" and label[1:].isdigit():
        return [q.answer(rcode=3)]
    match label:
        case "ttl0":
            return [q.answer(q.host("198.51.100.30", ttl=0))]
        case "ttlhuge":
            return [q.answer(q.host("198.51.100.31", ttl=0x80000001))]
        case "ttllong":
            return [q.answer(q.host("198.51.100.32", ttl=0x7FFFFFFF))]
        case "wrongid":
            return [evil(q, ident=q.id ^ x) for x in (1, 0x8000, 0xFFFF)] + [0.1, good(q)]
        case "wrongname":
            return [evil(q, raw=name("www.example.net") + q.raw[-4:]), evil(q, raw=q.raw[:-4] + struct.pack(">HH", AAAA if q.kind == A else A, 1)),
                    evil(q, raw=q.raw[:-2] + b"\0\3"), 0.1, good(q)]
        case "wrongport":
            return [("port", evil(q)), 0.1, good(q)]
        case "wrongcase":
            return [evil(q, raw=q.raw.swapcase() if q.raw[:-4].lower() != q.raw[:-4].swapcase() else q.raw.lower())]
        case "notanswer":
            return [evil(q, flags=0x0100), 0.1, good(q)]
        case "noquestion":
            return [struct.pack(">HHHHHH", q.id, 0x8180, 0, 1, 0, 0) + record(q.name, A, 300, address(EVIL)), 0.1, good(q)]
        case "loop":
            return [q.answer([record(struct.pack(">H", 0xC000 | 12 + len(q.raw)), A, 300, address(EVIL))])]
        case "forward":
            return [q.answer([record(b"\xc0\xff", A, 300, address(EVIL))])]
        case "cut":
            return [evil(q)[:-3]]
        case "trailing":
            return [evil(q) + b"x"]
        case "counts":
            return [q.answer(q.host(EVIL, EVIL6))[:6] + b"\xff\xff" + q.answer(q.host(EVIL, EVIL6))[8:]]
        case "shortaddress":
            return [q.answer([record(b"\xc0\x0c", q.kind, 300, b"\xc6\x33\x64")])]
        case "oversize":
            return [q.answer(q.host(*[EVIL] * 200)), 0.1, good(q)]
        case "trunc" | "many" | "evilmany" | "tcpcut" | "tcpforeign":
            return [evil(q, flags=0x8380)]
        case "chain":
            return [q.answer(chain(q, 3, "198.51.100.22", "2001:db8::22"))]
        case "chain13":
            return [q.answer(chain(q, 13, EVIL, EVIL6))]
        case "chaininside":
            return [q.answer(chain(q, 2, "192.168.7.7"))]
        case "chainloop":
            return [q.answer([record(b"\xc0\x0c", CNAME, 300, name("a.example.net")), record("a.example.net", CNAME, 300, name(q.name))])]
        case "chaintwice":
            return [q.answer([record(b"\xc0\x0c", CNAME, 300, name("a.example.net")), record(b"\xc0\x0c", CNAME, 300, name("b.example.net")),
                              record("a.example.net", A, 300, address(EVIL))])]
        case "stranger":
            return [q.answer([record("www.example.net", A, 300, address(EVIL))] + q.host("198.51.100.23"),
                             extra=[record(q.name, A, 300, address(EVIL))], authority=[record(q.name, A, 300, address(EVIL))])]
        case "otherclass":
            return [q.answer([b"\xc0\x0c" + struct.pack(">HHIH", A, 3, 300, 4) + address(EVIL)] + q.host("198.51.100.24"))]
        case "nxdomain":
            return [q.answer(rcode=3)]
        case "servfail":
            return [q.answer(rcode=2)]
        case "refused":
            return [q.answer(rcode=5)]
        case "old":
            return [q.answer(rcode=1) if q.edns else good(q)]
        case "noise":
            return [os.urandom(random.randint(1, 500)) for _ in range(5)] + [0.1, good(q)]
        case "silent":
            return []
        case "text":
            return [q.answer([record(b"\xc0\x0c", TXT, 300, b"\5hello")])]
        case "service":
            return [q.answer([record(b"\xc0\x0c", SRV, 300, b"\0\1\0\2\0\x35" + b"\4host\xc0\x0c")], extra=[record("host." + q.name, A, 300, address(EVIL))])]
        case "mail":
            return [q.answer([record(b"\xc0\x0c", MX, 300, b"\0\x0a" + b"\4mail\xc0\x0c")])]
    return [good(q)]


def over_tcp(question):
    q = question
    match q.label:
        case "many":
            return q.answer(q.host(*[f"203.0.113.{i % 250 + 1}" for i in range(3000)]))
        case "evilmany":
            return q.answer(q.host(*[f"10.0.{i // 250}.{i % 250 + 1}" for i in range(3000)]))
        case "tcpcut":
            return b"\0\x40" + good(q)[:20]
        case "tcpforeign":
            return evil(q, ident=q.id ^ 1)
    return good(q)


def log(file, question, port, transport):
    print(question.name, question.kind, port, question.id, transport, file=file, flush=True)


def serve_udp(sock, other, file):
    late = {}
    while True:
        message, sender = sock.recvfrom(4096)
        try:
            question = Question(message)
        except (IndexError, struct.error):
            continue
        log(file, question, sender[1], "udp")

        def send(question=question, sender=sender):
            for step in over_udp(question):
                if isinstance(step, float):
                    time.sleep(step)
                elif isinstance(step, tuple):
                    other.sendto(step[1], sender)
                else:
                    sock.sendto(step, sender)
        if question.label == "late" and late.setdefault(question.name.lower() + str(question.kind), 0) == 0:
            # The first attempt's answer comes when the second attempt is long under way.
            late[question.name.lower() + str(question.kind)] = 1
            threading.Timer(1.7, sock.sendto, (evil(question), sender)).start()
        elif question.label == "late":
            threading.Timer(0.6, sock.sendto, (good(question), sender)).start()
        elif question.label in ("good", "seq1"):
            send()
        else:
            threading.Thread(target=send, daemon=True).start()


def serve_tcp(listener, file):
    def serve(connection, peer):
        with connection:
            data = b""
            while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
                more = connection.recv(4096)
                if not more:
                    return
                data += more
            question = Question(data[2:])
            log(file, question, peer[1], "tcp")
            answer = over_tcp(question)
            connection.sendall(struct.pack(">H", len(answer)) + answer)
            # In two parts for those who read one segment only.
            time.sleep(0.1)
    while True:
        threading.Thread(target=serve, args=listener.accept(), daemon=True).start()


def serve(where, path):
    file = open(path, "a", encoding="ascii")
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    sock, other = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((where, 53))
    other.bind((where, 5353))
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((where, 53))
    listener.listen(64)
    threading.Thread(target=serve_tcp, args=(listener, file), daemon=True).start()
    print("serving", flush=True)
    serve_udp(sock, other, file)


# -- The guest ---------------------------------------------------------------------------------------------------------------


def question(text, kind, ident, edns):
    head = struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, int(edns))
    return head + name(text) + struct.pack(">HH", kind, 1) + (b"\0" + struct.pack(">HHIH", OPT, 1232, 0, 0) if edns else b"")


def decode(message, asked, kind, ident):
    if struct.unpack(">H", message[:2])[0] != ident:
        return "foreign"
    _, flags, qd, an, ns, ar = struct.unpack(">HHHHHH", message[:12])
    at, ttl, data, ede = 12, 0, [], "-"
    if qd:
        got, at = read_name(message, at)
        if got != asked or struct.unpack(">HH", message[at:at + 4]) != (kind, 1):
            return f"other question {got}"
        at += 4
    for i in range(an + ns + ar):
        owner, at = read_name(message, at)
        rtype, _, rttl, size = struct.unpack(">HHIH", message[at:at + 10])
        at += 10
        body = message[at:at + size]
        if rtype == OPT and size >= 6:
            ede = str(struct.unpack(">H", body[4:6])[0])
        elif i < an and rtype in (A, AAAA):
            data.append(socket.inet_ntop(socket.AF_INET if rtype == A else socket.AF_INET6, body))
            ttl = rttl
        elif i < an and rtype in (SRV, MX):
            data.append(read_name(message, at + (6 if rtype == SRV else 2))[0].lower())
        elif i < an:
            data.append(repr(body))
        if i < an and owner != asked:
            return f"owner {owner}"
        at += size
    if at != len(message) or ns:
        return "malformed"
    return " ".join(["rcode", str(flags & 15), "tc", str(flags >> 9 & 1), "ede", ede, "ttl", str(ttl)] + sorted(data))


def family_of(server):
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def ask(server, text, kind, tcp=False, edns=False, wait=9.0):
    ident = random.getrandbits(16)
    message = question(text, kind, ident, edns)
    with socket.socket(family_of(server), socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait)
        try:
            sock.connect((server, 53))
            sock.sendall(struct.pack(">H", len(message)) + message if tcp else message)
            if not tcp:
                return decode(sock.recv(4096), text, kind, ident)
            data = b""
            while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
                more = sock.recv(65536)
                if not more:
                    return "closed"
                data += more
            return decode(data[2:], text, kind, ident)
        except (socket.timeout, TimeoutError):
            return "timeout"
        except OSError as error:
            return f"error {error.errno}"


def ask_all(server, words):
    tcp, edns = "tcp" in words, "edns" in words
    words = [word for word in words if "/" in word]
    results = [None] * len(words)

    def one(i):
        text, kind = words[i].split("/")
        results[i] = f"{words[i]} {ask(server, text, TYPES[kind] if kind in TYPES else int(kind), tcp, edns)}"
    for start in range(0, len(words), 32 if not tcp else 4):
        threads = [threading.Thread(target=one, args=(i,)) for i in range(start, min(start + (32 if not tcp else 4), len(words)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("\n".join(results))


def reach(server, names):
    reached = 0
    for text in names:
        words = ask(server, text, A).split()
        if len(words) < 9:
            print(text, *words, file=sys.stderr)
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.sendto(b"here", (words[8], 7))
            try:
                reached += sock.recv(100) == b"here"
            except (socket.timeout, TimeoutError):
                print(text, words[8], "not reached", file=sys.stderr)
    print("reached", reached, "of", len(names))


def flood(server, seconds):
    sock = socket.socket(family_of(server), socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect((server, 53))
    end, sent, answered = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        for _ in range(100):
            try:
                sock.send(question(f"n{sent}.flood.example.org", A, sent & 0xFFFF, False))
                sent += 1
            except OSError:
                break
        while select.select([sock], [], [], 0)[0]:
            try:
                sock.recv(4096)
                answered += 1
            except OSError:
                break
    print("sent", sent, "answered", answered)


def garbage(server, count, tcp):
    random.seed(1)
    whole = question("good.example.org", A, 1, True)
    sock = socket.socket(family_of(server), socket.SOCK_DGRAM)
    for i in range(count):
        message = bytearray(whole)
        match i % 4:
            case 0:
                message = bytearray(os.urandom(random.randint(0, 1400)))
            case 1:
                message[random.randrange(len(message))] ^= 1 << random.randrange(8)
            case 2:
                message = message[:random.randrange(len(message))]
            case 3:
                message += os.urandom(random.randint(1, 600))
        if not tcp:
            sock.sendto(bytes(message), (server, 53))
            if i % 100 == 99:
                time.sleep(0.25)
            continue
        with socket.socket(family_of(server), socket.SOCK_STREAM) as stream:
            stream.settimeout(2)
            try:
                stream.connect((server, 53))
                stream.sendall((struct.pack(">H", len(message)) if i % 3 else b"") + bytes(message))
            except OSError:
                pass
    print("sent", count)


def hold(server, count):
    """Opens COUNT connections and asks nothing; keeps them until it is told to end."""
    held = []
    for _ in range(count):
        stream = socket.socket(family_of(server), socket.SOCK_STREAM)
        stream.settimeout(2)
        try:
            stream.connect((server, 53))
            held.append(stream)
        except OSError:
            break
    print("held", len(held), flush=True)
    sys.stdin.readline()


def dhcp_frame(mac, kind):
    source, server, kind_byte, chaddr, cookie = "192.0.2.1", "192.0.2.1", 5, mac, b"\x63\x82\x53\x63"
    options = b"\x33\4\0\0\x0e\x10" + b"\1\4\xff\xff\xff\0"
    match kind:
        case "source":
            source = "192.0.2.9"
        case "server":
            server = "192.0.2.9"
        case "offer":
            kind_byte = 2
        case "other":
            chaddr = bytes(5) + b"\1"
        case "cookie":
            cookie = b"cook"
        case "forever":
            options = b"\x33\4\xff\xff\xff\xff"
        case "nolease":
            options = b""
        case "loopback" | "overload" | "twice":
            options += {"loopback": b"", "overload": b"\x34\1\3", "twice": b"\x36\4\xc0\0\2\1"}[kind]
    given = "127.0.0.1" if kind == "loopback" else "192.0.2.50"
    bootp = b"\2\1\6\0" + b"abcd" + bytes(8) + address(given) + bytes(8) + chaddr + bytes(10 + 192) + cookie
    bootp += bytes([53, 1, kind_byte, 54, 4]) + address(server) + options + b"\xff"
    udp = struct.pack(">HHHH", 67, 68, 8 + len(bootp), 0) + bootp
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x2000 if kind == "fragment" else 0, 64, 17, 0, address(source), address(given))
    return mac + b"\2\0\0\0\0\1\x08\0" + head + udp


def dhcp(interface, mac, kinds):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0x0800))
        for kind in kinds:
            sock.send(dhcp_frame(bytes.fromhex(mac.replace(":", "")), kind))
            time.sleep(0.05)


def latency(server, direct, count, text):
    times = {server: [], direct: []}
    sockets = {}
    for where in times:
        sockets[where] = socket.socket(family_of(where), socket.SOCK_DGRAM)
        sockets[where].settimeout(5)
        sockets[where].connect((where, 53))
    for i in range(int(count)):
        for where in ([server, direct] if i % 2 else [direct, server]):
            message = question(text, A, i & 0xFFFF, True)
            begun = time.monotonic()
            sockets[where].send(message)
            got = sockets[where].recv(4096)
            times[where].append((time.monotonic() - begun) * 1000)
            if got[:2] != message[:2] or got[7] == 0:
                raise SystemExit(f"{where}: no answer")
            # Under the rate that a card has.
            time.sleep(0.003)
    medians = [statistics.median(times[where]) for where in (server, direct)]
    print(f"through {medians[0]:.3f} direct {medians[1]:.3f} added {medians[0] - medians[1]:.3f}")


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    match command:
        case "serve":
            serve(*arguments)
        case "ask":
            ask_all(arguments[0], arguments[1:])
        case "reach":
            reach(arguments[0], arguments[1:])
        case "flood":
            flood(*arguments)
        case "garbage":
            garbage(arguments[0], int(arguments[1]), "tcp" in arguments)
        case "dhcp":
            dhcp(arguments[0], arguments[1], arguments[2:])
        case "hold":
            hold(arguments[0], int(arguments[1]))
        case "latency":
            latency(*arguments)
