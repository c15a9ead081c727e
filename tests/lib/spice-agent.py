#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's SPICE agent for tests of the clipboard (vd_agent.h), at the far end of a serial line.

spice-agent.py SOCKET TEXT: asks for whatever the client offers, and offers TEXT after each line "grab" on standard input.
Prints "got TYPE TEXT" for contents received, "offer" for an offer, "asked" when the client asks for ours."""
import socket
import struct
import sys
import threading

CLIENT_PORT, PROTOCOL = 1, 1
CLIPBOARD, ANNOUNCE, GRAB, REQUEST, RELEASE = 4, 6, 7, 8, 9
BY_DEMAND, SELECTION = 1 << 5, 1 << 6
UTF8 = 1

link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
text = sys.argv[2].encode()


def say(line):
    print(line, flush=True)


def send(kind, data):
    message = struct.pack("<IIQI", PROTOCOL, kind, 0, len(data)) + data
    link.sendall(struct.pack("<II", CLIENT_PORT, len(message)) + message)


def read(size):
    data = b""
    while len(data) < size:
        piece = link.recv(size - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data


def handle(kind, data):
    if kind == ANNOUNCE:
        say("announced")
        if struct.unpack_from("<I", data)[0]:
            send(ANNOUNCE, struct.pack("<II", 0, BY_DEMAND | SELECTION))
    elif kind == GRAB:
        say("offer")
        send(REQUEST, struct.pack("<B3xI", 0, UTF8))
    elif kind == REQUEST:
        say("asked")
        send(CLIPBOARD, struct.pack("<B3xI", 0, UTF8) + text)
    elif kind == CLIPBOARD:
        say("got %d %s" % (struct.unpack_from("<I", data, 4)[0], data[8:].decode()))


def commands():
    for line in sys.stdin:
        if line.strip() == "grab":
            send(GRAB, struct.pack("<B3xI", 0, UTF8))
        elif line.strip() == "peek":
            # Asking for what was never offered.
            send(REQUEST, struct.pack("<B3xI", 0, UTF8))
        elif line.strip() == "push":
            # Contents that nobody asked for.
            send(CLIPBOARD, struct.pack("<B3xI", 0, UTF8) + text)


threading.Thread(target=commands, daemon=True).start()
send(ANNOUNCE, struct.pack("<II", 1, BY_DEMAND | SELECTION))
pending = b""
while True:
    port, size = struct.unpack("<II", read(8))
    pending += read(size)
    while len(pending) >= 20:
        _, kind, _, length = struct.unpack_from("<IIQI", pending)
        if len(pending) < 20 + length:
            break
        handle(kind, pending[20:20 + length])
        pending = pending[20 + length:]
