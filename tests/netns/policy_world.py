"""A world for policies by name: addresses of the public kind, a resolver, and servers that remember
what reached them.

    shared   198.51.100.10  2001:db8:1::10   ok.test, evil.test and everything below wild.test
    plain    198.51.100.20  2001:db8:1::20   plain.test
    ssh      198.51.100.30  2001:db8:1::30   ssh.test: speaks first, on port 22
    evil     198.51.100.66  2001:db8:1::66   alone.evil.test

On each address: TLS on 443 and HTTP on 80, which answer "hello from NAME". The same certificate is
for all names; clients that take the environment of World.environment() trust it.
"""

import atexit
import base64
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import harness
from zone_resolver import A, AAAA, ZoneResolver, address, record

HOSTS = {"shared": 10, "plain": 20, "ssh": 30, "evil": 66}
NAMES = {"ok.test": "shared", "evil.test": "shared", "plain.test": "plain", "ssh.test": "ssh",
         "alone.evil.test": "evil"}
BANNER = b"SSH-2.0-tests\r\n"
# What CONTROL calls the usual policy of its attacks.
POLICY = ["--allow", "ok.test:443", "--allow", "*.wild.test:443", "--allow", "plain.test:80",
          "--allow", "ssh.test:22"]

_lock = threading.Lock()
_folder = None


def place(host, family):
    """The address of one of HOSTS."""
    number = HOSTS[host]
    return f"198.51.100.{number}" if family == 4 else f"2001:db8:1::{number}"


def certificate():
    """(key, certificate) as paths, made once a run."""
    global _folder
    with _lock:
        if _folder is None:
            _folder = tempfile.mkdtemp(prefix="sluice-test-tls-")
            atexit.register(shutil.rmtree, _folder, ignore_errors=True)
            os.chmod(_folder, 0o755)
            names = ",".join(f"DNS:{name}" for name in (*NAMES, "wild.test", "*.wild.test"))
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                            "/CN=sluice tests", "-addext", f"subjectAltName={names}", "-keyout",
                            f"{_folder}/key.pem", "-out", f"{_folder}/cert.pem"],
                           check=True, capture_output=True)
            os.chmod(f"{_folder}/cert.pem", 0o644)
    return f"{_folder}/key.pem", f"{_folder}/cert.pem"


class World:
    """All of it in srv, for the family of the test's context `t`. Without `banner` nobody listens on
    port 22."""

    def __init__(self, t, zone=None, banner=True):
        self.t = t
        self.zone = zone or {}  # name → {type: [records of zone_resolver.record()]}, before ours.
        self.first_bytes = []   # (host, port, what came first; empty: nothing did), TLS and SSH.
        self.requests = []      # (host, "Host" header, path) of HTTP.
        self.root = None        # A folder whose files are served, where there are any.
        for host in HOSTS:
            for family in (4, 6):
                t.net.ip(t.net.srv, f"addr add {place(host, family)}/{32 if family == 4 else 128}"
                                    " dev lo" + ("" if family == 4 else " nodad"))
        self.resolver = ZoneResolver(t, self._records)
        t.net.resolver(t.net.hst, f"nameserver {t.srv}\n")
        for host in HOSTS:
            where = place(host, t.family)
            t.listen(443, self._tls(host), address=where)
            t.listen(80, self._http(host), address=where)
        if banner:
            t.listen(22, self._banner, address=place("ssh", t.family))

    def place(self, host):
        return place(host, self.t.family)

    @staticmethod
    def environment():
        """For clients: OpenSSL, curl, git, Python, Node."""
        _, path = certificate()
        return {**harness.ENVIRONMENT, "CURL_CA_BUNDLE": path, "SSL_CERT_FILE": path,
                "GIT_SSL_CAINFO": path, "NODE_EXTRA_CA_CERTS": path, "REQUESTS_CA_BUNDLE": path}

    def curl(self, url, *words, options=POLICY):
        """A CompletedProcess of curl as guest, under the usual policy if nothing else is said."""
        return self.t.guest(["curl", f"-{self.t.family}", "-sS", "-m", "20", *words, url], options,
                            env=self.environment())

    # The zone.

    def _records(self, name, kind):
        if name in self.zone:
            return self.zone[name].get(kind, [])
        host = NAMES.get(name) or ("shared" if name.endswith(".wild.test") else None)
        if host is None:
            return None
        family = {A: 4, AAAA: 6}.get(kind)
        return [record(name, *address(place(host, family)))] if family else []

    # The servers.

    def _tls(self, host):
        key, chain = certificate()

        def serve(connection):
            first = connection.recv(5, socket.MSG_PEEK)
            self.first_bytes.append((host, 443, first))
            if not first:
                return
            names = []
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
            context.sni_callback = lambda _socket, name, _context: names.append(name)
            with context.wrap_socket(connection, server_side=True) as secure:
                self._answer(secure, f"{host} as {names[0] if names else None}")

        return serve

    def _http(self, host):
        return lambda connection: self._answer(connection, host)

    def _answer(self, connection, who):
        """HTTP/1.1, kept alive."""
        reader = connection.makefile("rb")
        while line := reader.readline(65536):
            words = line.decode(errors="replace").split()
            headers = {}
            while (line := reader.readline(65536)) not in (b"\r\n", b"\n", b""):
                name, _, value = line.decode(errors="replace").partition(":")
                headers[name.lower()] = value.strip()
            reader.read(int(headers.get("content-length", 0)))
            path = words[1] if len(words) > 1 else ""
            self.requests.append((who, headers.get("host"), path))
            if headers.get("upgrade") == "websocket":
                self._web_socket(connection, reader, headers["sec-websocket-key"])
                return
            body = self._body(path, who)
            status = b"200 OK" if body is not None else b"404 Not Found"
            body = body or b""
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" %
                               (status, self._type(path), len(body)) + body)

    def _body(self, path, who):
        if self.root is None or path == "/":
            return f"hello from {who}\n".encode()
        try:
            with open(self.root + path.split("?")[0], "rb") as file:
                return file.read()
        except OSError:
            return None

    @staticmethod
    def _type(path):
        return b"text/html" if path.endswith((".html", "/")) else b"application/octet-stream"

    @staticmethod
    def _web_socket(connection, reader, key):
        """RFC 6455: takes the upgrade, and sends one short masked message back unmasked."""
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                           b"Upgrade\r\nSec-WebSocket-Accept: " + base64.b64encode(digest) +
                           b"\r\n\r\n")
        head = reader.read(6)
        text = bytes(byte ^ head[2 + i % 4] for i, byte in enumerate(reader.read(head[1] & 0x7f)))
        connection.sendall(bytes([0x81, len(text)]) + text)

    def _banner(self, connection):
        connection.sendall(BANNER)
        self.first_bytes.append(("ssh", 22, connection.recv(4096)))
