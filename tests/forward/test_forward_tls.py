"""TLS passes through untouched: neither end notices the forwarder."""

import os
import socket
import ssl
import subprocess
import time

import pytest

from forwarding import check, read_exactly, reset
from harness import check_equal
from streams import check_pattern, send_pattern


class Tls:
    """A certificate of the test's own, a server, and connections through a rule."""

    def __init__(self, t, handler, delay=0.0):
        self.t = t
        key, self.certificate = t.path("key.pem"), t.path("certificate.pem")
        if not os.path.exists("/usr/bin/openssl"):
            pytest.skip("openssl makes the certificate and is not installed")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                        self.certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.context = ssl.create_default_context(cafile=self.certificate)

        def serve(connection):
            time.sleep(delay)
            with context.wrap_socket(connection, server_side=True) as secure:
                return handler(secure)

        self.server = t.serve(serve)
        self.port = t.port()
        t.forward(f"127.0.0.1:{self.port}", f"127.0.0.1:{self.server.port}")

    def connect(self):
        return self.context.wrap_socket(self.t.connect(self.port), server_hostname="localhost")


def echo(secure):
    while data := secure.recv(65536):
        secure.sendall(data)


@pytest.mark.engines("direct", "socat")
def test_tls_handshake(t):
    tls = Tls(t, echo)
    with tls.connect() as client:
        check_equal(client.version(), "TLSv1.3", "protocol")
        with open(tls.certificate, encoding="ascii") as file:
            own = ssl.PEM_cert_to_DER_cert(file.read())
        check(client.getpeercert(binary_form=True) == own, "another certificate")


@pytest.mark.engines("direct", "socat")
def test_tls_5_messages(t):
    with Tls(t, echo).connect() as client:
        for number in range(5):
            message = b"message %d of five" % number
            client.sendall(message)
            check_equal(read_exactly(client, len(message)), message, "echo")


def bulk(t, size):
    tls = Tls(t, lambda secure: send_pattern(secure, size, 1))
    with tls.connect() as client:
        check_pattern(client, size, 1)


@pytest.mark.engines("direct", "socat")
def test_tls_1_mib(t):
    bulk(t, 1 << 20)


@pytest.mark.engines("direct", "socat")
def test_tls_512_kib(t):
    bulk(t, 1 << 19)


@pytest.mark.engines("direct", "socat")
def test_tls_drop_in_mid_handshake(t):
    """A client that leaves in the middle: the server sees it, the next client is served."""
    tls = Tls(t, echo)
    for how in (socket.socket.close, reset):
        half = t.connect(tls.port)
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # Part of a ClientHello.
        time.sleep(0.1)
        how(half)
        seen = tls.server.result(5)
        check(isinstance(seen, OSError), f"the server saw {seen!r}")
        tls.server.results.clear()
    with tls.connect() as client:
        client.sendall(b"next")
        check_equal(read_exactly(client, 4), b"next", "the next client's echo")


@pytest.mark.engines("direct", "socat")
def test_tls_1_s_handshake_stall(t):
    tls = Tls(t, echo, delay=1)
    started = time.monotonic()
    with tls.connect() as client:
        check(time.monotonic() - started >= 1, "the stall is missing")
        client.sendall(b"late")
        check_equal(read_exactly(client, 4), b"late", "after the stall")
