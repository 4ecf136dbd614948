"""The PROXY protocol, towards targets and from clients, and connections' own addresses."""

import json
import os
import socket
import struct
import time

import pytest

from forwarding import Failure, check, echo, how_it_ends, read_all, read_exactly, wait_until
from harness import check_equal

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def first_bytes(t, host="127.0.0.1"):
    """A server that tells what it got, up to the client's end."""
    return t.serve(read_all, host=host)


def v2_header(source, source_port, target, target_port, family=socket.AF_INET, command=1):
    body = (socket.inet_pton(family, source) + socket.inet_pton(family, target) +
            struct.pack("!HH", source_port, target_port))
    kind = 0x11 if family == socket.AF_INET else 0x21
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, kind, len(body)) + body


def test_proxy_v1_out(t):
    server = first_bytes(t)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--proxy-out=v1")
    with t.connect(port, source="127.0.0.5") as client:
        number = client.getsockname()[1]
        client.sendall(b"GET /")
    check_equal(server.result(), b"PROXY TCP4 127.0.0.5 127.0.0.1 %d %d\r\nGET /" % (number, port),
                "what the target got")


def test_proxy_v2_out(t):
    server = first_bytes(t)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--proxy-out=v2")
    with t.connect(port, source="127.0.0.5") as client:
        number = client.getsockname()[1]
        client.sendall(b"GET /")
    check_equal(server.result(), v2_header("127.0.0.5", number, "127.0.0.1", port) + b"GET /",
                "what the target got")


def test_proxy_out_of_ipv6(t):
    server = first_bytes(t)
    one, two = t.port(), t.port()
    for port, version in ((one, "v1"), (two, "v2")):
        t.forward(f"[::1]:{port}", f"127.0.0.1:{server.port}", f"--proxy-out={version}")
        with t.connect(port, "::1") as client:
            number = client.getsockname()[1]
        wanted = (b"PROXY TCP6 ::1 ::1 %d %d\r\n" % (number, port) if version == "v1" else
                  v2_header("::1", number, "::1", port, socket.AF_INET6))
        check_equal(server.result(), wanted, version)
        server.results.clear()


def test_proxy_out_comes_before_the_client_says_anything(t):
    """A server that speaks first waits for the header only."""

    def handler(connection):
        line = connection.recv(200)
        connection.sendall(b"220 welcome")
        return line

    server = t.serve(handler)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--proxy-out=v1")
    check_equal(t.connect(port).recv(100), b"220 welcome", "the greeting")


def proxied(t, server, *options):
    port = t.port()
    log = t.path("sessions.log")
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--proxy-in",
                          f"--log-file={log}", "--log-format=json", *options)
    return port, log, forwarder


def log_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_proxy_in_v1_and_v2_tell_the_true_client(t):
    port, log, _ = proxied(t, t.serve())
    headers = {
        "203.0.113.7:51000": b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n",
        "203.0.113.8:51001": v2_header("203.0.113.8", 51001, "192.0.2.1", 443),
        "[2001:db8::7]:51002": b"PROXY TCP6 2001:db8::7 2001:db8::1 51002 443\r\n",
        "[2001:db8::8]:51003": v2_header("2001:db8::8", 51003, "2001:db8::1", 443,
                                         socket.AF_INET6),
    }
    for header in headers.values():
        check_equal(t.ask(port, header + b"after"), b"after", "the echo has no header")
    wait_until(lambda: len(log_lines(log)) >= 8, "log lines are missing")
    check_equal({line["client"] for line in log_lines(log)}, set(headers), "clients in the log")


def test_proxy_in_header_in_pieces(t):
    port, _, _ = proxied(t, t.serve())
    for header in (b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n",
                   v2_header("203.0.113.8", 51001, "192.0.2.1", 443)):
        client = t.connect(port)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(header)):
            client.sendall(header[at:at + 1])
            time.sleep(0.002)
        client.sendall(b"body")
        check_equal(read_exactly(client, 4), b"body", "behind the header")


def test_proxy_in_decides_access_by_the_true_client(t):
    port, _, _ = proxied(t, t.serve(), "--deny=203.0.113.66")
    check_equal(t.ask(port, v2_header("203.0.113.1", 1, "192.0.2.1", 2) + b"x"), b"x", "allowed")
    client = t.connect(port)
    client.sendall(v2_header("203.0.113.66", 1, "192.0.2.1", 2) + b"x")
    verdict, data = how_it_ends(client)
    check(verdict != "open" and data == b"", f"a denied client saw {verdict} {data!r}")


def test_proxy_in_local_command_is_the_connection_itself(t):
    port, log, _ = proxied(t, t.serve())
    local = SIGNATURE + b"\x20\x00\x00\x00"
    check_equal(t.ask(port, local + b"x"), b"x", "LOCAL")
    check_equal(t.ask(port, b"PROXY UNKNOWN\r\nx"), b"x", "UNKNOWN")
    wait_until(lambda: len(log_lines(log)) >= 4, "log lines are missing")
    check_equal({line["client"].rpartition(":")[0] for line in log_lines(log)}, {"127.0.0.1"},
                "clients in the log")


def test_proxy_in_bad_header_is_refused(t):
    seen = []
    server = t.serve(lambda c: seen.append(c.recv(10)) or echo(c))
    port, log, _ = proxied(t, server)
    bad = (b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3.4 nonsense 1 2\r\n",
           b"PROXY " + b"x" * 200, SIGNATURE + b"\x35\x11\0\0", b"\0" * 16)
    for header in bad:
        client = t.connect(port, timeout=3)
        client.sendall(header)
        verdict, data = how_it_ends(client)
        check(verdict != "open" and data == b"", f"{header[:20]!r}: {verdict} {data!r}")
    wait_until(lambda: len(log_lines(log)) >= len(bad), "log lines are missing")
    check_equal({line["result"] for line in log_lines(log)}, {"bad-proxy-header"}, "the log")
    check_equal(seen, [], "what the target saw")


def test_proxy_in_missing_header_times_out(t):
    server = t.serve()
    port = t.port()
    t.forward_file(f'''
    [[forwarding_rules]]
    listen = "127.0.0.1:{port}"
    targets = ["127.0.0.1:{server.port}"]
    proxy_protocol_in = true
    timeouts = {{ proxy_header = "500ms" }}
    ''', ready=[port])
    started = time.monotonic()
    verdict, _ = how_it_ends(t.connect(port, timeout=4))
    check(verdict != "open" and time.monotonic() - started < 2, f"{verdict}: it does not end")


@pytest.mark.within(90)
def test_proxy_headers_that_never_end_hold_no_memory(t):
    """4,000 connections that each send what may become a header of 64 KiB, and stop before its end."""
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", "127.0.0.1:9", "--proxy-in")
    before = forwarder.anon_kib()
    start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
    worst = 0
    kept = []
    for number in range(4000):
        client = t.connect(port)
        # Half of them state a length that is taken, so that all of it is held.
        length = 65535 if number % 2 else 4000
        try:
            client.sendall(start + length.to_bytes(2, "big") + bytes(length - 20))
        except OSError:
            pass
        kept.append(client)
        if number % 500 == 499:
            worst = max(worst, forwarder.anon_kib() - before)
    check(worst < 40 * 1024, f"{worst} KiB for 4,000 clients without a header")
    if os.environ.get("SHOW_FIGURES"):
        raise Failure(f"{worst} KiB")


def test_proxy_header_of_a_stranger_is_not_read(t):
    server = first_bytes(t)
    port, log = t.port(), t.path("log")
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--proxy-in",
              "--proxy-from=127.0.0.8/29", "--log-format=json", f"--log-file={log}")
    header = b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\ndata"
    verdict, data = t.ending(port, source="127.0.0.5")  # Before it has sent a byte.
    check_equal((verdict, data), ("rst", b""), "what a stranger saw")
    wait_until(lambda: len(log_lines(log)) == 1, "it is not logged")
    check_equal(log_lines(log)[0]["result"], "not-allowed", "the log")
    with t.connect(port, source="127.0.0.9") as client:
        client.sendall(header)
        client.shutdown(socket.SHUT_WR)
        read_all(client)
    check_equal(server.result(), b"data", "what the target got of a proxy's client")


def test_proxy_through_two_forwarders(t):
    """v2 out of one, into the other, v1 out again: the first client arrives."""
    server = first_bytes(t)
    outer, inner = t.port(), t.port()
    t.forward(f"127.0.0.1:{inner}", f"127.0.0.1:{server.port}", "--proxy-in", "--proxy-out=v1")
    t.forward(f"127.0.0.1:{outer}", f"127.0.0.1:{inner}", "--proxy-out=v2")
    with t.connect(outer, source="127.0.0.5") as client:
        number = client.getsockname()[1]
        client.sendall(b"data")
    check(server.result().startswith(b"PROXY TCP4 127.0.0.5 127.0.0.1 %d " % number),
          f"the target got {server.results}")


def test_source_address_is_used(t):
    peers = []

    def handler(connection):
        peers.append(connection.getpeername()[0])
        read_all(connection)

    server = t.serve(handler)
    one, two = t.port(), t.port()
    t.forward(f"127.0.0.1:{one}", f"127.0.0.1:{server.port}", "--connect-from=127.0.0.44")
    t.forward_file(f"127.0.0.1 {two} 127.0.0.1 {server.port} [src=127.0.0.45]\n", ready=[two],
                   name="rinetd.conf")
    t.ask(one)
    t.ask(two)
    check_equal(peers, ["127.0.0.44", "127.0.0.45"], "addresses that the target saw")


def checks_heard(t, version):
    """What the first health check of a rule says to its target."""
    heard = []

    def handler(connection):
        data = b""
        try:
            data = connection.recv(100)
        except ConnectionResetError:
            pass
        heard.append(data)

    server = t.serve(handler)
    port = t.port()
    t.forward_file(f"""
[[forwarding_rules]]
listen = "127.0.0.1:{port}"
targets = ["127.0.0.1:{server.port}"]
proxy_protocol_out = "{version}"
health = {{ interval = "100ms" }}
""", ready=[port])
    wait_until(lambda: len(heard) >= 3, "no health checks come")
    return set(heard)


def test_proxy_out_of_health_checks_v1(t):
    check_equal(checks_heard(t, "v1"), {b"PROXY UNKNOWN\r\n"}, "what checks say")


def test_proxy_out_of_health_checks_v2(t):
    check_equal(checks_heard(t, "v2"), {SIGNATURE + b"\x20\0\0\0"}, "what checks say")
