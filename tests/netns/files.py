"""A big file and a server for it, for tests that compare what came with what was sent."""

import atexit
import hashlib
import http.server
import os
import socket
import socketserver
import tempfile
import threading

from harness import ANY, socket_in

_lock = threading.Lock()
_made = {}


def big_file(t):
    """(path, size, SHA-256) of t.big_mib MiB of random bytes, made once a run."""
    size = t.big_mib << 20
    with _lock:
        if size not in _made:
            file = tempfile.NamedTemporaryFile(prefix="sluice-test-data-")
            digest = hashlib.sha256()
            for _ in range(size >> 20):
                block = os.urandom(1 << 20)
                digest.update(block)
                file.write(block)
            file.flush()
            os.chmod(file.name, 0o644)
            atexit.register(file.close)
            _made[size] = file, digest.hexdigest()
        file, digest = _made[size]
        return file.name, size, digest


class Files(http.server.BaseHTTPRequestHandler):
    """GET sends the big file; PUT answers the SHA-256 of what came."""

    protocol_version = "HTTP/1.1"
    path_served = ""

    def do_GET(self):
        with open(self.path_served, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(file)

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left:
            data = self.rfile.read1(min(left, 1 << 20))
            if not data:
                return
            digest.update(data)
            left -= len(data)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class FileServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # A client that went away; the test sees it at its own end.


def serve_files(t):
    path, _, _ = big_file(t)
    handler = type("BigFile", (Files,), {"path_served": path})
    server = FileServer(("", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket_in(t.net.srv, t.family, socket.SOCK_STREAM, ANY[t.family], 8000)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05},
                     daemon=True).start()
    return server
