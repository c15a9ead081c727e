#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostile-http.py ADDRESS PORT PER_ADDRESS SECONDS: attacks floe-server as a client that keeps to no rule. Exit status 0 when every attack
ended as it should: refused, or cut off within a few times SECONDS (the server's --request-seconds)."""
import socket
import ssl
import sys
import time

ADDRESS, PORT, PER_ADDRESS, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
GOOD = b"GET /metadata/1.root.json HTTP/1.1\r\nHost: x\r\n"


def connect(tls=True):
    plain = socket.create_connection((ADDRESS, PORT), timeout=30)
    if not tls:
        return plain
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def answer(connection):
    """Everything up to the end of the connection, or nothing when it is reset."""
    data = b""
    try:
        while True:
            got = connection.recv(65536)
            if not got:
                return data
            data += got
    except (ConnectionError, ssl.SSLError):
        return data


def exchange(request):
    connection = connect()
    try:
        connection.sendall(request)
    except (ConnectionError, ssl.SSLError):
        pass
    return answer(connection)


def refused(name, request, statuses):
    reply = exchange(request)
    status = reply[9:12].decode("ascii", "replace")
    if reply and status not in statuses:
        sys.exit(f"{name}: answered {reply[:60]!r}, wanted one of {statuses} or nothing")


def malformed():
    refused("huge header", GOOD + b"X: " + b"a" * 1000000 + b"\r\n\r\n", ["400", "413", "431"])
    refused("many headers", GOOD + b"".join(b"X%d: y\r\n" % i for i in range(20000)) + b"\r\n", ["400", "413", "431"])
    refused("huge request line", b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n\r\n", ["400", "414", "431"])
    refused("no host", b"GET /metadata/1.root.json HTTP/1.1\r\nConnection: close\r\n\r\n", ["400"])
    refused("absolute form", b"GET https://x/metadata/1.root.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ["400", "404"])
    refused("NUL in the path", b"GET /metadata/1.root\0.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ["400", "404"])
    refused("space in the path", b"GET /metadata/1.root .json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ["400", "404"])
    refused("chunked body", GOOD + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", ["400", "413"])
    refused("both lengths", GOOD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", ["400", "413"])
    refused("negative length", GOOD + b"Content-Length: -1\r\n\r\n", ["400", "413"])
    refused("enormous length", GOOD + b"Content-Length: 99999999999999999999999\r\n\r\n", ["400", "413"])
    refused("garbage", b"\x16\x03\x01" * 1000 + b"\r\n\r\n", ["400", "405", "414", "431", "505"])


def smuggling():
    """A body that looks like a second request must not be answered as one."""
    reply = exchange(b"GET /metadata/1.root.json HTTP/1.1\r\nHost: x\r\nContent-Length: 71\r\n\r\n"
                     b"GET /metadata/1.root.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    if reply.count(b"HTTP/1.1") > 1:
        sys.exit(f"smuggling: two answers to one request: {reply!r}")


def pipelining():
    reply = exchange(GOOD + b"\r\n" + GOOD + b"Connection: close\r\n\r\n")
    if reply.count(b"HTTP/1.1 200") != 2:
        sys.exit(f"pipelining: two requests, answered {reply[:200]!r}")


def still_open(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def too_many():
    """More connections than one address may have: the surplus is closed, the others stay (for as long as their deadline lets them: on a
    machine too busy to look before it, only the upper bound can be seen)."""
    started = time.monotonic()
    connections = [connect(tls=False) for _ in range(PER_ADDRESS + 40)]
    time.sleep(SECONDS / 4)
    held = sum(still_open(connection) for connection in connections)
    if held > PER_ADDRESS or (held < PER_ADDRESS - 8 and time.monotonic() - started < SECONDS * 0.8):
        sys.exit(f"too many: {held} connections held, {PER_ADDRESS} allowed")
    for connection in connections:
        connection.close()
    time.sleep(1.5)


def cut_off(name, connection, dribble):
    """Sends a byte now and then, never idle, and is cut off."""
    started = time.monotonic()
    connection.settimeout(0.3)
    while time.monotonic() - started < 10 * SECONDS + 10:
        try:
            connection.sendall(dribble)
            if connection.recv(4096) == b"":
                return
        except (TimeoutError, socket.timeout):
            continue
        except (ConnectionError, ssl.SSLError, OSError):
            return
    sys.exit(f"{name}: still connected after {time.monotonic() - started:.0f} s")


def slow():
    header = connect()
    header.sendall(GOOD)
    cut_off("slow header", header, b"X: y\r\n")
    line = connect()
    cut_off("slow request line", line, b"G")
    handshake = connect(tls=False)
    handshake.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    cut_off("slow handshake", handshake, b"\0")


def main():
    for attack in malformed, smuggling, pipelining, too_many, slow:
        attack()
    for _ in range(50):
        connect(tls=False).close()


main()
