#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""trust-http-server.py PORT [CERTIFICATE KEY]: a server of bytes that misbehaves on purpose, by the name asked for below /metadata/ and /targets/."""
import http.server
import ssl
import sys
import time

PORT = int(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Transfer-Encoding" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunks(self, pieces):
        self.reply(200, [("Transfer-Encoding", "chunked")])
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def endless(self):
        while True:
            yield b"x" * 4096

    def drip(self):
        for _ in range(60):
            yield b"x"
            time.sleep(0.5)

    def do_GET(self):
        name = self.path.split("/", 2)[-1]
        try:
            if name.isdigit():
                self.reply(int(name), body=b"not what was asked for")
            elif name == "small":
                self.reply(200, body=b"x" * 100)
            elif name == "header":
                self.reply(200, body=(self.headers["X-Floe-Test"] or "").encode())
            elif name == "chunked":
                self.chunks([b"x" * 10] * 10)
            elif name == "endless":
                self.chunks(self.endless())
            elif name == "drip":
                self.chunks(self.drip())
            elif name == "stall":
                time.sleep(30)
            elif name == "cut":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"x" * 10)
                self.close_connection = True
            elif name == "near":
                self.reply(302, [("Location", "/metadata/small")])
            elif name == "loop":
                self.reply(302, [("Location", "/metadata/loop")])
            elif name == "file":
                self.reply(302, [("Location", "file:///etc/hostname")])
            elif name == "ftp":
                self.reply(302, [("Location", "ftp://127.0.0.1/x")])
            elif name == "other":
                other = "http" if len(sys.argv) > 2 else "https"
                self.reply(302, [("Location", f"{other}://127.0.0.1:{PORT}/metadata/small")])
            else:
                self.reply(404)
        except (BrokenPipeError, ConnectionResetError):
            pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    if len(sys.argv) > 4:
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[4])
        context.set_ciphers("ALL:@SECLEVEL=0")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
