"""Slow ends: who cannot take bytes holds the sender back, and nobody else."""

import socket
import threading
import time

import pytest

from forwarding import check, echo, read_exactly
from harness import check_equal
from streams import Pattern, check_pattern, send_pattern

MIB = 1 << 20


def rule(t, handler, *options):
    server = t.serve(handler)
    port = t.port()
    return server, port, t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", *options)


@pytest.mark.engines("direct", "socat")
def test_slow_reader_2_mib(t):
    """The client takes 64 KiB each 20 ms."""
    _, port, _ = rule(t, lambda c: send_pattern(c, 2 * MIB, 1))
    with t.connect(port, receive_buffer=65536) as client:
        check_pattern(client, 2 * MIB, 1, pause=0.02, chunk=65536)


@pytest.mark.engines("direct", "socat")
def test_slow_writer_1_mib(t):
    """The client writes 16 KiB each 10 ms."""
    server, port, _ = rule(t, lambda c: check_pattern(c, MIB, 2))
    with t.connect(port) as client:
        send_pattern(client, MIB, 2, pause=0.01, chunk=16384)
    check_equal(server.result(), MIB, "what the server read")


@pytest.mark.engines("direct", "socat")
def test_slow_server_answers_after_a_second(t):
    def handler(connection):
        data = connection.recv(100)
        time.sleep(1)
        connection.sendall(data)

    _, port, _ = rule(t, handler)
    started = time.monotonic()
    client = t.connect(port)
    client.sendall(b"patience")
    check_equal(client.recv(100), b"patience", "the late answer")
    check(time.monotonic() - started >= 1, "it came too early")


@pytest.mark.engines("direct", "socat")
def test_slow_server_reads_a_trickle(t):
    server, port, _ = rule(t, lambda c: check_pattern(c, MIB, 3, pause=0.02, chunk=32768))
    with t.connect(port) as client:
        send_pattern(client, MIB, 3)
    check_equal(server.result(), MIB, "what the server read")


def send_until_blocked(connection, patience=0.5):
    """How many bytes are taken before nothing more is for `patience` seconds."""
    connection.settimeout(patience)
    sent = 0
    try:
        while sent < 512 * MIB:
            sent += connection.send(bytes(MIB))
    except TimeoutError:
        pass
    return sent


def test_back_pressure_holds_a_client_back(t):
    """A server that reads nothing: the client blocks, and we keep no heap of its bytes."""
    release = threading.Event()
    got = []

    def handler(connection):
        release.wait(20)
        while data := connection.recv(MIB):
            got.append(len(data))

    server, port, forwarder = rule(t, handler)
    before = forwarder.anon_kib()
    client = t.connect(port)
    sent = send_until_blocked(client)
    check(sent < 64 * MIB, f"{sent / MIB:.0f} MiB were taken though nobody reads")
    grown = forwarder.anon_kib() - before
    check(grown < 4096, f"the forwarder grew by {grown} KiB")
    release.set()
    client.close()
    server.result()
    check_equal(sum(got), sent, "what the server got in the end")


def test_back_pressure_holds_a_server_back(t):
    sent = []

    def handler(connection):
        sent.append(send_until_blocked(connection))
        connection.settimeout(20)

    _, port, forwarder = rule(t, handler)
    before = forwarder.anon_kib()
    client = t.connect(port, receive_buffer=65536)
    time.sleep(1.2)
    grown = forwarder.anon_kib() - before
    check(grown < 4096, f"the forwarder grew by {grown} KiB")
    got = 0
    while data := client.recv(MIB):
        got += len(data)
    check(got == sent[0] < 64 * MIB, f"{got} of {sent} bytes")


def test_one_blocked_connection_does_not_slow_another(t):
    _, blocked_port, _ = rule(t, lambda c: time.sleep(20))
    server = t.serve()
    port = t.port()
    t.sluice("--workers=1", f"127.0.0.1:{port}", f"127.0.0.1:{server.port}",
             f"127.0.0.1:{blocked_port + 500}", f"127.0.0.1:{blocked_port}",
             ready=[f"tcp:{port}", f"tcp:{blocked_port + 500}"])
    blocked = t.connect(blocked_port + 500)
    send_until_blocked(blocked, 0.3)
    started = time.monotonic()
    for _ in range(100):
        check_equal(t.ask(port), b"ping", "beside a blocked one")
    check(time.monotonic() - started < 2, "100 connections took more than 2 s")


def test_stop_and_go_in_both_directions(t):
    """Bursts with pauses: a direction changes from copying to splicing and back."""
    _, port, _ = rule(t, echo)
    client = t.connect(port)
    for size in (1, 100, 3 * MIB, 7, 2 * MIB, 1, 1, 5 * MIB, 64):
        piece = b"".join(Pattern(size).at(at, 65536) for at in range(0, size, 65536))[:size]
        sender = threading.Thread(target=client.sendall, args=(piece,))
        sender.start()
        back = read_exactly(client, size)
        sender.join()
        check(back == piece, f"a burst of {size} bytes came back changed")
        time.sleep(0.05)


def test_no_stall_of_a_tail(t):
    """The last bytes of a bulk transfer come at once (SPLICE_F_MORE would hold them 200 ms)."""
    _, port, _ = rule(t, echo, "--relay=splice")
    client = t.connect(port)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    slowest = 0
    for _ in range(20):
        size = 200_001
        started = time.monotonic()
        sender = threading.Thread(target=client.sendall, args=(bytes(size),))
        sender.start()
        got = 0
        while got < size:
            got += len(client.recv(MIB))
        sender.join()
        slowest = max(slowest, time.monotonic() - started)
    check(slowest < 0.15, f"one of 20 rounds took {slowest * 1000:.0f} ms")


@pytest.mark.within(40)
def test_small_segments_do_not_hang_a_pipe(t):
    """A pipe's capacity is slots, not bytes: 1-byte segments fill it early."""
    release = threading.Event()

    def handler(connection):
        release.wait(20)
        return check_pattern(connection, 20000, 4)

    server, port, _ = rule(t, handler, "--relay=splice")
    client = t.connect(port)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send_pattern(client, 20000, 4, chunk=1)
    release.set()
    client.close()
    check_equal(server.result(10), 20000, "what the server read")
