"""UDP, ping and traceroute."""

import shutil
import subprocess
import threading

import pytest

from harness import GATEWAY, any_engine, check, check_equal, each_family


def serve_echo(udp, count=1000):
    """Echoes datagrams in a thread; returns the list of (size, from) it fills."""
    seen = []

    def loop():
        try:
            for _ in range(count):
                data, source = udp.recvfrom(70000)
                seen.append((len(data), source))
                udp.sendto(data, source)
        except OSError:
            return

    threading.Thread(target=loop, daemon=True).start()
    return seen


@any_engine
@each_family
def test_udp_largest_datagram_both_ways(t):
    seen = serve_echo(t.udp(7000))
    code = """
s = udp(args[0])
data = os.urandom(65507)
s.sendto(data, (args[0], 7000))
print(s.recv(70000) == data)
"""
    check_equal(t.python(code, t.srv).strip(), "True", "the echo of 65,507 bytes")
    check_equal(seen[0][0], 65507, "what the server got")


@any_engine
@each_family
def test_udp_sizes_around_the_mtu(t):
    serve_echo(t.udp(7000))
    code = """
s = udp(args[0])
for size in (0, 1, 100, 1400, 1450, 1451, 1452, 1453, 1472, 1473, 1500, 2960, 9000, 32768, 65000):
    data = os.urandom(size)
    s.sendto(data, (args[0], 7000))
    assert s.recv(70000) == data, size
print("all")
"""
    check_equal(t.python(code, t.srv).strip(), "all", "echoes")


@any_engine
@each_family
def test_udp_one_socket_to_many_peers_keeps_its_port(t):
    """RFC 4787, 4.1: the mapping does not depend on the destination."""
    first, second = t.udp(7001), t.udp(7002)
    seen = [serve_echo(first), serve_echo(second)]
    code = """
s = udp(args[0])
for port in (7001, 7002):
    s.sendto(b"x", (args[0], port)); assert s.recvfrom(10)[1][1] == port
"""
    t.python(code, t.srv)
    check_equal(seen[0][0][1][1], seen[1][0][1][1], "source ports seen by two servers")


@each_family
def test_udp_closed_port_is_refused(t):
    code = """
s = udp(args[0])
s.connect((args[0], 9))
s.send(b"x")
try: s.recv(1)
except OSError as error: print(errno.errorcode.get(error.errno, "timeout"))
"""
    check_equal(t.python(code, t.srv).strip(), "ECONNREFUSED", "a datagram to a closed port")


@any_engine
@each_family
def test_udp_echo_of_many_sockets(t):
    t.lab_server("--udp-echo", 7000)
    done = t.guest_ok([t.client("udp-rr-client"), t.srv, "7000", "20", "--concurrency", "200",
                       "--json"])
    check('"lost":0' in done.stdout, done.stdout)


@any_engine
@each_family
def test_udp_sent_last_still_goes_out(t):
    """One by one for some time, then many at once, and the command is gone."""
    sink = t.net.popen(t.net.srv, ["/usr/bin/python3", "-c", """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000)); s.settimeout(20); print("ready", flush=True)
seen = set()
try:
    while len(seen) < 50:
        data, peer = s.recvfrom(100)
        if data == b"ask": s.sendto(b"answer", peer)
        else: seen.add(data); s.settimeout(3)
except TimeoutError: pass
print(len(seen), flush=True)
""", t.srv], stdout=subprocess.PIPE, text=True)
    check_equal(sink.stdout.readline(), "ready\n", "the server")
    t.guest_ok(["/usr/bin/python3", "-c", """
import os, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7000)); s.settimeout(10)
for _ in range(20): s.send(b"ask"); assert s.recv(100) == b"answer"
for i in range(50): s.send(str(i).encode())
os._exit(0)
""", t.srv])
    check_equal(sink.stdout.readline(), "50\n", "datagrams of the end")


@any_engine
@each_family
def test_ping_server(t):
    done = t.guest_ok(["ping", "-n", "-c", "3", "-i", "0.2", "-W", "3", t.srv])
    check("3 received" in done.stdout, done.stdout)


@each_family
def test_ping_gateway(t):
    done = t.guest_ok(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", GATEWAY[t.family]])
    check("2 received" in done.stdout, done.stdout)


@each_family
def test_ping_with_large_payload(t):
    done = t.guest_ok(["ping", "-n", "-c", "1", "-W", "2", "-s", "4000", t.srv])
    check("1 received" in done.stdout, done.stdout)


@pytest.mark.engines("direct")
@each_family
def test_traceroute_over_udp(t):
    if not shutil.which("traceroute"):
        pytest.skip("traceroute is not installed")
    done = t.guest_ok(["traceroute", "-n", "-q", "1", "-w", "2", "-m", "6", t.srv])
    hops = [line.split()[1] for line in done.stdout.splitlines()[1:]]
    check(hops and hops[-1] == t.srv, f"the last hop should be {t.srv}: {done.stdout}")
    if t.engine == "sluice":
        check_equal(hops[0], GATEWAY[t.family], "the first hop")
