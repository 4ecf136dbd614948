#!/usr/bin/env python3
"""A web server of level 1's (box_place.py), by both families.

GET /N  N bytes, of which byte i is i % 251; PUT: the answer is the SHA-256 of what came, in hex.
"""

import hashlib
import http.server
import socket

PATTERN = bytes(range(251)) * 1044


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):  # pylint: disable=invalid-name
        size = int(self.path.strip("/") or 0)
        self._begin(size)
        while size:
            piece = PATTERN[:size]
            self.wfile.write(piece)
            size -= len(piece)

    def do_PUT(self):  # pylint: disable=invalid-name
        left = int(self.headers["Content-Length"])
        seen = hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 1 << 18))
            if not piece:
                return
            left -= len(piece)
            seen.update(piece)
        said = seen.hexdigest().encode()
        self._begin(len(said))
        self.wfile.write(said)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Nothing."""

    def _begin(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


if __name__ == "__main__":
    Server(("::", 80), Handler).serve_forever()
