"""Ports of the guest, published on the host with -p."""

import os
import socket
import struct
import subprocess
import time

from harness import (ANY, LOOPBACK, PYTHON, check, check_equal, each_family, echo, elapsed, finish,
                     read_line, socket_in, v4_only)

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


def connect(t, port, address=None, name=None, timeout=10):
    address = address or {4: "10.0.1.1", 6: "fd01::1"}[t.family]
    return t.connect_from(name or t.net.cli, address, port, timeout)


@each_family
def test_published_tcp_port(t):
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


@each_family
def test_published_port_without_listener_is_reset(t):
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


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def comes_true(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


@each_family
def test_a_client_that_resets_before_the_guest_answers_is_let_go(t):
    """A guest whose queue is full answers no SYN; only who has reset its connection does not wait."""
    code = """
listener = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
listener.bind((args[0], 80))
listener.listen(0)
print("up", flush=True)
time.sleep(6.5)
while True:
    connection = listener.accept()[0]
    try:
        connection.sendall(b"%d" % len(read_all(connection)))
    except OSError:
        pass
    connection.close()
"""
    child = t.start_python(code, ANY[t.family], options=["-p", "8080:80"])
    check_equal(read_line(child), "up", "guest")
    pid = t.engine_pid(child)
    queued = [connect(t, 8080) for _ in range(3)]
    time.sleep(0.3)
    before = descriptors_of(pid)
    clients = [connect(t, 8080) for _ in range(20)]
    polite = connect(t, 8080, timeout=40)
    polite.sendall(b"x" * 100)
    polite.shutdown(socket.SHUT_WR)
    check(comes_true(lambda: descriptors_of(pid) >= before + 21, 3), "not all were accepted")
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    check(comes_true(lambda: descriptors_of(pid) <= before + 1, 4),
          f"{descriptors_of(pid) - before} are kept")
    for client in queued:
        client.close()
    check_equal(polite.recv(100), b"100", "what the client got that has only finished")


@each_family
def test_published_tcp_on_one_address(t):
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


@each_family
def test_published_udp_port(t):
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


@each_family
def test_published_port_in_use_is_said(t):
    holder = socket_in(t.net.hst, t.family, socket.SOCK_STREAM, ANY[t.family], 8080)
    done = t.guest(["true"], ["-p", "8080:80"])
    holder.close()
    check(done.returncode != 0, "a port that is taken was not refused")
    check("8080" in done.stderr and len(done.stderr.strip().splitlines()) == 1,
          f"one line that names the port: {done.stderr!r}")


UPPER = """
s = udp(args[0]); s.bind((args[0], 53)); s.settimeout(60)
print("up")
while True:
    data, peer = s.recvfrom(65536); s.sendto(data.upper(), peer)
"""


@each_family
def test_published_udp_answers_the_hosts_loopback(t):
    child = t.start_python(UPPER, ANY[t.family], options=["-p", "5353:53/udp"])
    check_equal(read_line(child), "up", "guest")
    client = t.udp(0, t.net.hst)
    client.settimeout(5)
    client.connect((LOOPBACK[t.family], 5353))
    for word in (b"one", b"two"):
        client.send(word)
        check_equal(client.recv(100), word.upper(), "answer")


@each_family
def test_published_udp_answers_from_the_address_that_was_asked(t):
    child = t.start_python(UPPER, ANY[t.family], options=["-p", "5353:53/udp"])
    check_equal(read_line(child), "up", "guest")
    first, second = {4: ("10.0.0.1", "10.0.1.1"), 6: ("fd02::1", "fd01::1")}[t.family]
    client = t.udp(6000, t.net.cli)
    client.settimeout(5)
    for address in (first, second, first):
        client.sendto(b"hello", (address, 5353))
        data, peer = client.recvfrom(100)
        check_equal((data, peer[0]), (b"HELLO", address), "answer")


@each_family
def test_localhost_reaches_a_server_of_the_other_family(t):
    other = 6 if t.family == 4 else 4
    child = t.start_python(SERVE, ANY[other], 80, options=["-p", "8080:80"])
    check_equal(read_line(child), "up", "guest")
    client = connect(t, 8080, LOOPBACK[t.family], t.net.hst)
    client.sendall(b"hello")
    check_equal(client.recv(100), b"hello", "echo")


FLOOD = """
import random, socket, struct, sys, time
target, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
destination = socket.inet_aton(target)
sent, started = 0, time.monotonic()
while (now := time.monotonic() - started) < seconds:
    while sent < now * rate:
        source = struct.pack("!I", 0xC6120000 + random.randrange(1 << 17))
        udp = struct.pack("!HHHH", random.randrange(1024, 65536), 5353, 12, 0) + b"spam"
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 0, 0, 64, 17, 0, source, destination)
        s.sendto(ip + udp, (target, 0))
        sent += 1
    time.sleep(0.001)
print(sent)
"""

# The guest's server, and its own connections: how many failed, and the slowest of a hundred.
BUSY = """
import ctypes
s = udp("0.0.0.0"); s.bind(("0.0.0.0", 53)); s.settimeout(None)
if os.fork() == 0:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    while True:
        data, peer = s.recvfrom(65536); s.sendto(data.upper(), peer)
print("up")
def rounds(seconds):
    took, failed, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            c = connect(args[0], 7000, 5); c.sendall(b"x"); assert c.recv(1) == b"x"; c.close()
            took.append(time.monotonic() - begun)
        except OSError: failed += 1
        time.sleep(0.005)
    return failed, len(took), sorted(took)[len(took) * 99 // 100] * 1000 if took else -1
while line := sys.stdin.readline():
    print(*rounds(float(line)))
"""


def flood(t, options, rate, seconds):
    """What the guest's own connections saw before and during a flood, and a client's answers."""
    t.listen(7000, echo)
    child = t.start_python(BUSY, t.srv, options=["-p", "5353:53/udp", *options],
                           stdin=subprocess.PIPE)
    check_equal(read_line(child), "up", "guest")

    def rounds():
        child.stdin.write(b"%f\n" % seconds)
        child.stdin.flush()

    rounds()
    quiet = read_line(child, seconds + 30).split()
    sender = t.net.popen(t.net.srv, [PYTHON, "-c", FLOOD, t.hst, str(rate), str(seconds + 1)],
                         stdout=subprocess.PIPE)
    time.sleep(1)
    rounds()
    client = t.udp(6000, t.net.cli)
    client.settimeout(1)
    asked = answered = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked += 1
        client.sendto(b"honest%d" % asked, ("10.0.1.1", 5353))
        try:
            while client.recv(100) != b"HONEST%d" % asked:
                pass
            answered += 1
        except TimeoutError:
            pass
        time.sleep(0.05)
    loud = read_line(child, seconds + 60).split()
    sent = int(sender.communicate(timeout=30)[0])
    return quiet, loud, asked, answered, sent


@v4_only
def test_forged_datagrams_do_not_cut_the_guest_off(t):
    seconds = 3 if t.fast else 10
    quiet, loud, asked, answered, sent = flood(t, ["--max-flows", "2000"], 4_000, seconds)
    said = f"quiet {quiet}, loud {loud}, {answered} of {asked} answered, {sent} forged"
    print(f"     {said}")
    check(sent > 5_000, f"the flood was none: {said}")
    check_equal(quiet[0], "0", f"connects that failed without a flood ({said})")
    check_equal(loud[0], "0", f"connects that failed during the flood ({said})")
    check(int(loud[1]) > 0, f"no connect succeeded: {said}")
    check(answered >= asked * 0.5, f"the honest client was not answered: {said}")
