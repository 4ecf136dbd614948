"""Ports of the guest, published on the host with -p."""

import socket

from harness import (ANY, LOOPBACK, check, check_equal, elapsed, finish, read_line, sluice_only,
                     socket_in)

SERVE = """
family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((args[0], int(args[1]))); s.listen(100)
print("up")
c, peer = s.accept()
total = 0
while data := c.recv(65536):
    c.sendall(data); total += len(data)
c.close()
print(total, peer[0])
"""


def connect(t, port, address=None, name=None):
    address = address or {4: "10.0.1.1", 6: "fd01::1"}[t.family]
    return t.connect_from(name or t.net.cli, address, port)


@sluice_only()
def published_tcp_port(t):
    child = t.start_python(SERVE, ANY[t.family], 80, options=["-p", "8080:80"])
    check_equal(read_line(child), "up", "guest")
    client = connect(t, 8080)
    client.sendall(b"x" * 1_000_000)
    client.shutdown(socket.SHUT_WR)
    total = 0
    while data := client.recv(65536):
        total += len(data)
    check_equal(total, 1_000_000, "bytes echoed through the published port")
    check(finish(child)[1].startswith("1000000 "), "what the guest counted")


@sluice_only()
def published_port_without_listener_is_reset(t):
    child = t.start(["sh", "-c", "echo up; sleep 60"], ["--publish", "8080:80"])
    read_line(child)
    try:
        # The reset may come before connect() has looked at its result.
        client = connect(t, 8080)
        data, seconds = elapsed(lambda: client.recv(1))
        check_equal(data, b"", "the connection should end")
        check(seconds < 3, "it took too long to end")
    except ConnectionResetError:
        pass


@sluice_only()
def published_tcp_on_one_address(t):
    address = {4: "10.0.1.1", 6: "[fd01::1]"}[t.family]
    child = t.start_python(SERVE, ANY[t.family], 80, options=["-p", f"{address}:8081:80/tcp"])
    read_line(child)
    try:
        connect(t, 8081, LOOPBACK[t.family], t.net.hst)
        check(False, "the port is open on another address too")
    except ConnectionRefusedError:
        pass
    client = connect(t, 8081)
    client.sendall(b"hello")
    check_equal(client.recv(100), b"hello", "echo")


@sluice_only()
def published_udp_port(t):
    code = """
s = udp(args[0]); s.bind((args[0], 53)); s.settimeout(30)
print("up")
for _ in range(3):
    data, peer = s.recvfrom(65536); s.sendto(data.upper(), peer)
"""
    child = t.start_python(code, ANY[t.family], options=["-p", "5353:53/udp"])
    check_equal(read_line(child), "up", "guest")
    client = socket_in(t.net.cli, t.family, socket.SOCK_DGRAM)
    client.settimeout(10)
    target = ({4: "10.0.1.1", 6: "fd01::1"}[t.family], 5353)
    for word in (b"one", b"two", b"three"):
        client.sendto(word, target)
        reply, source = client.recvfrom(100)
        check_equal(reply, word.upper(), "reply")
        check_equal(source[:2], target, "the reply's source")
    client.close()


@sluice_only()
def published_port_in_use_is_said(t):
    holder = socket_in(t.net.hst, t.family, socket.SOCK_STREAM, ANY[t.family], 8080)
    done = t.guest(["true"], ["-p", "8080:80"])
    holder.close()
    check(done.returncode != 0, "a port that is taken was not refused")
    check("8080" in done.stderr and len(done.stderr.strip().splitlines()) == 1,
          f"one line that names the port: {done.stderr!r}")
