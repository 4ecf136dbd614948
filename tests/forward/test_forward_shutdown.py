"""The end: SIGTERM drains, a second signal cuts, counters on SIGUSR1, the pid file."""

import os
import signal
import threading
import time

from forwarding import check, how_it_ends, read_exactly, wait_until
from harness import check_equal
from streams import EchoLoad, check_pattern, echo_in_process, send_pattern


def rule(t, handler=None, *options):
    server = t.serve(*([handler] if handler else []))
    port = t.port()
    return port, t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", *options)


def open_one(t, port):
    client = t.connect(port)
    client.sendall(b"x")
    read_exactly(client, 1)
    return client


def test_sigterm_idle_ends_at_once(t):
    for number in (signal.SIGTERM, signal.SIGINT):
        _, forwarder = rule(t)
        started = time.monotonic()
        check_equal(forwarder.stop(number), 0, "exit status")
        check(time.monotonic() - started < 1, "it took longer than a second")


def test_sigterm_drains(t):
    """A transfer goes on to its end; new connections are refused; then it ends with 0."""
    port, forwarder = rule(t, lambda c: send_pattern(c, 2 << 20, 1, pause=0.1))
    client = t.connect(port)
    read = []
    reader = threading.Thread(target=lambda: read.append(check_pattern(client, 2 << 20, 1)))
    reader.start()
    time.sleep(0.2)
    forwarder.send_signal(signal.SIGTERM)
    wait_until(lambda: t.refused(port), "new connections are still accepted", 2)
    check(forwarder.child.poll() is None, "it ended before the transfer")
    reader.join()
    check_equal(read, [2 << 20], "bytes of the transfer")
    client.close()
    check_equal(forwarder.wait(5), 0, "exit status")


def test_sigterm_under_load(t):
    listening = t.listener(backlog=4096)
    echo_in_process(listening)
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{listening.getsockname()[1]}")
    load = EchoLoad([t.connect(port) for _ in range(200)])
    wait_until(lambda: load.bytes > 1_000_000, "no data moves")
    forwarder.send_signal(signal.SIGTERM)
    before = load.bytes
    wait_until(lambda: load.bytes > before + 1_000_000, "data moves no more")
    load.stop()
    check_equal(forwarder.wait(5), 0, "exit status")


def test_drain_timeout_cuts(t):
    port, forwarder = rule(t, None, "--drain-timeout=700ms")
    client = open_one(t, port)
    started = time.monotonic()
    status = forwarder.stop()
    seconds = time.monotonic() - started
    check_equal(status, 0, "exit status")
    check(0.5 < seconds < 2, f"it took {seconds:.1f} s instead of 0.7")
    check(how_it_ends(client)[0] != "open", "the connection is still open")


def test_second_signal_ends_at_once(t):
    for number in (signal.SIGTERM, signal.SIGINT):
        port, forwarder = rule(t)
        client = open_one(t, port)
        forwarder.send_signal(number)
        time.sleep(0.3)
        check(forwarder.child.poll() is None, "it did not wait for its connection")
        started = time.monotonic()
        forwarder.stop(number)
        check(time.monotonic() - started < 1, "the second signal took longer than a second")
        check(how_it_ends(client)[0] != "open", "the connection is still open")


def test_sigterm_with_udp_sessions(t):
    """Sessions have no end of their own: those that are quiet for a second count as ended."""
    server = t.udp()
    port = t.port()
    forwarder = t.forward(f"udp://127.0.0.1:{port}", f"udp://127.0.0.1:{server.getsockname()[1]}")
    client = t.udp_client(port)
    client.send(b"x")
    data, sender = server.recvfrom(10)
    forwarder.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.sendto(b"late answer", sender)
    check_equal(client.recv(100), b"late answer", "an answer during the drain")
    check_equal(forwarder.wait(5), 0, "exit status")


def test_sigusr1_prints_counters(t):
    port, forwarder = rule(t)
    for _ in range(3):
        t.ask(port, b"0123456789")
    kept = open_one(t, port)
    forwarder.send_signal(signal.SIGUSR1)
    wait_until(lambda: "accepted" in forwarder.err() + forwarder.out(), "no counters", 3)
    said = forwarder.err() + forwarder.out()
    row = next(line for line in said.splitlines() if f"127.0.0.1:{port}" in line).split()
    check_equal(row[2:7], ["1", "4", "0", "0", "0"], f"active, accepted, …, in {said}")
    check_equal(row[7:], ["31", "B", "31", "B"], f"bytes each way in {said}")
    check(kept.fileno() >= 0 and forwarder.child.poll() is None, "it has ended")


def test_pid_file_is_written_and_removed(t):
    path = t.path("pid")
    _, forwarder = rule(t, None, f"--pid-file={path}")
    wait_until(lambda: os.path.exists(path), "there is no pid file")
    with open(path, encoding="ascii") as file:
        check_equal(file.read(), f"{forwarder.pid}\n", "its content")
    forwarder.stop()
    check(not os.path.exists(path), "the pid file is left behind")


def test_signals_without_meaning_do_not_end_it(t):
    """SIGPIPE above all; SIGHUP without a file has nothing to read."""
    port, forwarder = rule(t)
    for number in (signal.SIGPIPE, signal.SIGHUP):
        forwarder.send_signal(number)
        time.sleep(0.1)
    check_equal(t.ask(port), b"ping", "after the signals")
