#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""guest-control.py DIRECTORY: the world that a real guest talks to, in the namespace it runs in.

198.51.100.9:9000 is how a test drives guests: a guest asks /next/ID for a command, which is the content of DIRECTORY/ID.command (taken away
when it is given out), and posts what came of it to /done/ID/STATUS, which becomes DIRECTORY/ID.output and then ID.status. Every question
makes ID.seen.
198.51.100.20 and .21 port 80, and the same in 2001:db8:51::/64, serve the files below DIRECTORY/files.
198.51.100.30 port 80 is a download without end, 64 KiB every tenth of a second; DIRECTORY/sent has the bytes sent so far and DIRECTORY/sending is
there while somebody is connected."""
import functools
import http.server
import os
import pathlib
import socket
import sys
import threading
import time

ROOT = pathlib.Path(sys.argv[1])


def replace(name, data):
    (ROOT / (name + '.part')).write_bytes(data)
    os.rename(ROOT / (name + '.part'), ROOT / name)


class Control(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who = pathlib.PurePosixPath(self.path).name
        replace(who + '.seen', b'')
        command = ROOT / (who + '.command')
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                text = command.read_bytes()
                command.unlink()
            except FileNotFoundError:
                time.sleep(0.1)
                continue
            self.answer(200, text)
            return
        self.answer(404, b'')

    def do_POST(self):
        _, _, who, status = self.path.split('/')
        output = self.rfile.read(int(self.headers['Content-Length']))
        replace(who + '.output', output)
        replace(who + '.status', status.encode() + b'\n')
        self.answer(200, b'')

    def answer(self, status, body):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Endless(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sent = 0
        self.connection.settimeout(5)
        self.send_response(200)
        self.end_headers()
        (ROOT / 'sending').touch()
        try:
            while True:
                self.wfile.write(b'x' * 65536)
                sent += 65536
                replace('sent', str(sent).encode() + b'\n')
                time.sleep(0.1)
        except OSError as error:
            replace('ended', str(error).encode() + b'\n')
        (ROOT / 'sending').unlink()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, port, handler):
        self.address_family = socket.AF_INET6 if ':' in address else socket.AF_INET
        super().__init__((address, port), handler)


def main():
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(ROOT / 'files'))
    servers = [Server('198.51.100.9', 9000, Control), Server('198.51.100.30', 80, Endless)]
    servers += [Server(address, 80, files) for address in ('198.51.100.20', '198.51.100.21', '2001:db8:51::20', '2001:db8:51::21')]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    print('serving', flush=True)
    for thread in threads:
        thread.join()


if __name__ == '__main__':
    main()
