"""Several workers serve one guest: whatever works with one must work with two, whoever of them has
a flow. --workers N gives every other test of this folder N workers, too."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

import test_datagrams
import test_dns
import test_ends
import test_fast_path
import test_publish
import test_tcp
from harness import (ANY, PYTHON, check, check_equal, each_family, echo, finish, processes,
                     read_line, shorten, v4_only)

PATHS = ("off", "auto", "require")
MIB = 1 << 20


@pytest.fixture
def two(t):
    t.workers = 2
    return t


def run_as_with_one(test):
    return pytest.param(test, id=test.__name__.removeprefix("test_"))


@each_family
@pytest.mark.parametrize("test", map(run_as_with_one, (
    test_datagrams.test_udp_largest_datagram_both_ways,  # In fragments.
    test_datagrams.test_udp_sizes_around_the_mtu,
    test_datagrams.test_udp_one_socket_to_many_peers_keeps_its_port,
    test_datagrams.test_udp_closed_port_is_refused,
    test_datagrams.test_udp_sent_last_still_goes_out,
    test_datagrams.test_ping_server,
    test_datagrams.test_ping_gateway,
    test_datagrams.test_ping_with_large_payload,
    test_dns.test_dig_over_udp,
    test_dns.test_dig_over_tcp,
    test_dns.test_many_questions_at_once,
    test_tcp.test_half_close_by_server,
    test_tcp.test_refused_at_once,
    test_tcp.test_reset_by_server,
    test_tcp.test_reset_by_guest,
    test_tcp.test_server_closes_with_data_in_flight,
    test_publish.test_published_tcp_port,
    test_publish.test_published_udp_port,
    test_publish.test_published_port_without_listener_is_reset,
    test_ends.test_slow_server_gets_all_after_the_command_ended,
    test_ends.test_a_signal_gives_up_what_no_server_takes,
    test_fast_path.test_fast_path_carries_bytes_out,
    test_fast_path.test_fast_path_carries_bytes_in,
    test_fast_path.test_fast_path_rules_are_there_while_they_are_needed)))
def test_what_one_worker_does_two_do(two, test):
    test(two)


ECHO_ON_MANY = """
import threading
count, size = int(args[2]), int(args[3])
wrong = []

def talk(number):
    s = connect(*args[:2], timeout=60)
    sent, came = hashlib.sha256(), hashlib.sha256()
    def send():
        for at in range(0, size, 65536):
            part = os.urandom(min(65536, size - at))
            sent.update(part); s.sendall(part)
        s.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send); sender.start()
    while part := s.recv(1 << 18): came.update(part)
    sender.join()
    if sent.digest() != came.digest(): wrong.append(number)

threads = [threading.Thread(target=talk, args=(i,)) for i in range(count)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(f"{count - len(wrong)} of {count}")
"""


@each_family
@pytest.mark.parametrize("path", PATHS)
def test_forty_connections_at_once(two, path):
    """Both ways at once, each byte of them."""
    two.listen(7000, echo)
    size = MIB if two.fast else 8 * MIB
    said = two.python(ECHO_ON_MANY, two.srv, 7000, 40, size, timeout=240,
                      options=[f"--fast-path={path}"])
    check_equal(said.strip(), "40 of 40", "connections whose bytes came back")


@each_family
@pytest.mark.parametrize("path", PATHS)
def test_forty_clients_of_a_published_port(two, path):
    child = two.start_python("""
import threading
listener = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
listener.bind((args[0], 80)); listener.listen(100); print("up")
def serve(s):
    while part := s.recv(1 << 18): s.sendall(part)
    s.close()
threads = [threading.Thread(target=serve, args=(listener.accept()[0],)) for _ in range(40)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""", ANY[two.family], options=["-p", "8080:80", f"--fast-path={path}"])
    check_equal(read_line(child), "up", "guest")
    came = []

    def talk(number):
        block = bytes([number]) * MIB
        connection = test_publish.connect(two, 8080, timeout=60)
        sender = threading.Thread(target=lambda: connection.sendall(block))
        sender.start()
        got = b""
        while len(got) < MIB and (part := connection.recv(1 << 18)):
            got += part
        sender.join()
        came.append(got == block)
        connection.close()

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status, _, errors = finish(child, 60)
    check_equal((status, came.count(True)), (0, 40), f"echoes to clients ({shorten(errors)})")


@each_family
def test_forty_sockets_of_datagrams(two):
    """Each flow's answers find its socket, whichever worker has it."""
    test_datagrams.serve_echo(two.udp(7000), 40 * 50)
    said = two.python("""
sockets = [udp(args[0]) for _ in range(40)]
for round in range(50):
    for i, s in enumerate(sockets): s.sendto(b"%d.%d" % (i, round), (args[0], 7000))
    for i, s in enumerate(sockets): assert s.recv(100) == b"%d.%d" % (i, round)
print("all")
""", two.srv)
    check_equal(said.strip(), "all", "echoes")


@each_family
def test_a_signal_tells_of_all_workers(two):
    """SIGUSR1 prints one summary, of all flows."""
    two.listen(7000, echo)
    errors = two.file("stderr")
    with open(errors, "wb") as file:
        child = two.start_python("""
held = [connect(*args) for _ in range(40)]
for s in held: s.sendall(b"x"); s.recv(1)
print("up"); sys.stdin.readline()
""", two.srv, 7000, stdin=subprocess.PIPE, stderr=file)
    check_equal(read_line(child), "up", "guest")

    def said():
        with open(errors, encoding="utf-8") as file:
            return file.read()

    os.kill(two.engine_pid(child), signal.SIGUSR1)
    processes.wait_until(lambda: "dropped or refused" in said(), 20, "no summary is printed")
    time.sleep(0.2)
    check_equal(said().count("dropped or refused"), 1, "summaries")
    check(re.search(r"\b40\b", said()), f"no word of 40 connections: {said()}")
    child.stdin.write(b"go\n")
    child.stdin.flush()
    check_equal(finish(child)[0], 0, "exit status")


@v4_only
def test_changed_resolvers_are_heard_of(two):
    """Also where all questions come by the queue of a worker that asks nobody."""
    test_dns.test_another_resolver_forgets_what_the_first_said(two)


# What the kernel of the guest says of queues that are opened beside those of the engine.
ATTACH = """
import errno, fcntl, os, struct
TUNSETIFF, TAP, NO_PI, VNET_HDR, MULTI_QUEUE = 0x400454ca, 2, 0x1000, 0x4000, 0x100
fd = os.open("/dev/net/tun", os.O_RDWR)
try:
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"tap0", TAP | NO_PI | VNET_HDR | MULTI_QUEUE))
    print("attached")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_the_command_adds_no_queue_to_its_tap(two):
    """It can send no raw frame, and read none, as with one worker."""
    check_equal(two.guest_ok([PYTHON, "-c", ATTACH]).stdout.strip(), "EPERM", "one more queue")
    # Who may change the interface may do this as well.
    said = two.guest_ok([PYTHON, "-c", ATTACH], ["--as-root"]).stdout.strip()
    check_equal(said, "attached", "one more queue for root of the namespace")


def test_more_workers_than_a_tap_has_queues_are_refused(t):
    done = t.guest(["true"], ["--workers=100000"])
    check(done.returncode != 0, "it ran")
    check("workers" in done.stderr, f"the message: {done.stderr}")
