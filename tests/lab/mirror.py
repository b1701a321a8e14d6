#!/usr/bin/env python3
"""Serves the files of a directory over HTTP, ranges too: mirror.py IP:PORT DIRECTORY [--lies].

With --lies the first byte of each 64 KiB of a blob is another one; its outboard is as it should be. At SIGTERM it says
how many bytes of blobs and outboards the other side's machine has acknowledged.
"""

import argparse
import http.server
import json
import os
import pathlib
import signal
import socket
import struct
import sys
import threading

PIECE = 64 << 10
# What a connection may hold that is not acknowledged.
WAITING = 1 << 20
# Where Linux's `tcp_info` has `tcpi_bytes_acked`.
ACKNOWLEDGED = 120


class Mirror(http.server.ThreadingHTTPServer):
    """Its connections, and what the closed ones brought."""

    daemon_threads = True

    def __init__(self, address, directory, lies):
        self.directory, self.lies = directory, lies
        self.lock, self.open, self.closed = threading.Lock(), {}, 0
        super().__init__(address, Answer)

    def brought(self):
        """Bytes of bodies that the other sides have acknowledged, heads of answers left out."""
        with self.lock:
            return self.closed + sum(acknowledged(*connection) for connection in self.open.values())


def acknowledged(connection, heads):
    """What a connection's other side has acknowledged, without so many bytes of heads."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKNOWLEDGED + 8)
    return max(0, struct.unpack_from("=Q", facts, ACKNOWLEDGED)[0] - heads)


class Answer(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WAITING)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.server.lock:
            self.server.open[self] = (self.request, 0)
        super().setup()

    def finish(self):
        with self.server.lock:
            self.server.closed += acknowledged(*self.server.open.pop(self))
        super().finish()

    def log_message(self, *_):
        pass

    def do_GET(self):
        """A file, or the part of it that is asked for."""
        try:
            file = open(self.server.directory / self.path.lstrip("/"), "rb")
        except OSError:
            self.send_error(404)
            return
        with file:
            total = os.fstat(file.fileno()).st_size
            begin, end, asked = 0, total, self.headers.get("range")
            if asked:
                first, last = asked.removeprefix("bytes=").split("-")
                begin, end = int(first), min(total, int(last) + 1 if last else total)
            head = f"HTTP/1.1 {'206 Partial Content' if asked else '200 OK'}\r\ncontent-length: {end - begin}\r\n"
            if asked:
                head += f"content-range: bytes {begin}-{end - 1}/{total}\r\n"
            head = (head + "\r\n").encode()
            with self.server.lock:
                self.server.open[self] = (self.request, self.server.open[self][1] + len(head))
            try:
                self.request.sendall(head)
                self.send(file, begin, end)
            except OSError:
                self.close_connection = True

    def send(self, file, begin, end):
        """Sends bytes of a file, or others."""
        lies = self.server.lies and not self.path.endswith(".outboard")
        while begin < end:
            most = min(PIECE if lies else WAITING, end - begin)
            if lies:
                piece = bytearray(os.pread(file.fileno(), most, begin))
                piece[0] ^= 1
                self.request.sendall(piece)
                begin += most
            else:
                begin += os.sendfile(self.request.fileno(), file.fileno(), begin, most)


def main():
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", metavar="IP:PORT")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--lies", action="store_true")
    args = parser.parse_args()
    address, port = args.address.split(":")
    server = Mirror((address, int(port)), args.directory, args.lies)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    try:
        server.serve_forever()
    finally:
        print(json.dumps({"brought": server.brought()}), flush=True)


if __name__ == "__main__":
    main()
