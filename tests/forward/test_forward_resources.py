"""What it costs: descriptors at their limit, many connections, memory of idle ones, idle CPU."""

import os
import resource
import socket
import time

import pytest

from forwarding import busy_share, check, echo, read_exactly, reset, wait_until
from harness import check_equal
from streams import echo_in_process


def quiet_rule(t, *options):
    """A rule whose server is a process of its own, with descriptors of its own."""
    listening = t.listener(backlog=4096)
    echo_in_process(listening)
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{listening.getsockname()[1]}", *options)
    return port, forwarder


@pytest.mark.alone
def test_descriptors_exhausted_without_spinning(t):
    """EMFILE: no busy loop, who is in stays, and all goes on once descriptors are free."""
    server = t.serve(echo)
    port = t.port()
    forwarder = t.start(["prlimit", "--nofile=80:80", t.options.sluice, "forward", "--workers=2",
                         f"127.0.0.1:{port}", f"127.0.0.1:{server.port}"], [f"tcp:{port}"])
    first = t.connect(port)
    first.sendall(b"a")
    read_exactly(first, 1)
    crowd = [t.connect(port) for _ in range(150)]
    time.sleep(0.5)
    used = busy_share(forwarder, 2)
    check(used < 0.1, f"{used * 1000:.0f} ms of CPU time in 2 s without descriptors")
    first.sendall(b"b")
    check_equal(read_exactly(first, 1), b"b", "a connection from before")
    check(forwarder.child.poll() is None, "it has ended")
    for client in crowd:
        client.close()

    def served():
        try:
            return t.ask(port, b"c", timeout=2) == b"c"
        except OSError:
            return False

    wait_until(served, "it does not recover", 10)


def test_descriptors_limit_is_raised(t):
    """The soft limit is no bound of ours."""
    port = t.port()
    forwarder = t.start(["prlimit", "--nofile=128:4096", t.options.sluice, "forward",
                         f"127.0.0.1:{port}", "127.0.0.1:9"], [f"tcp:{port}"])
    with open(f"/proc/{forwarder.pid}/limits", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("Max open files"))
    check_equal(line.split()[3:5], ["4096", "4096"], "soft and hard limit")
    # Growing the table later would stop a worker for 15 ms, each time it doubles.
    with open(f"/proc/{forwarder.pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("FDSize"))
    check(int(line.split()[1]) >= 4096, f"its table of descriptors: {line}")


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.within(120)
def test_connections_50000_opened_and_closed(t):
    """Descriptors and memory are back where they were, however connections ended."""
    port, forwarder = quiet_rule(t)

    def cycle(count):
        for number in range(count):
            client = socket.socket()
            client.connect(("127.0.0.1", port))
            client.send(b"x")
            client.recv(1)
            if number % 2:
                reset(client)
            else:
                client.close()

    cycle(5000)
    time.sleep(0.5)
    descriptors, memory = forwarder.descriptors(), forwarder.anon_kib()
    cycle(50_000)
    wait_until(lambda: forwarder.descriptors() <= descriptors + 4,
               f"descriptors do not come back to {descriptors}", 15)
    grown = forwarder.anon_kib() - memory
    check(grown < 512, f"memory grew by {grown} KiB over 50,000 connections")


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.within(120)
def test_idle_connections_memory(t):
    """20,000, or as many as descriptors allow: 1.5 KiB of user memory each, nothing else held."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(20_000, (limit - 300) // 2)
    if count < 5000:
        pytest.skip(f"the limit of {limit} descriptors is too low for a figure")
    port, forwarder = quiet_rule(t)
    t.ask(port)
    time.sleep(0.3)
    descriptors, memory = forwarder.descriptors(), forwarder.anon_kib()
    clients = []
    for number in range(count):
        client = socket.socket()
        client.bind((f"127.0.0.{2 + number % 8}", 0))
        client.connect(("127.0.0.1", port))
        client.send(b"x")
        client.recv(1)
        clients.append(client)
    time.sleep(0.5)
    each = (forwarder.anon_kib() - memory) / count
    held = forwarder.descriptors() - descriptors
    check(each <= 1.5, f"{each:.2f} KiB for each of {count} idle connections")
    check(held <= 2 * count + 16, f"{held} descriptors for {count} connections: pipes are held")
    used = busy_share(forwarder, 2)
    check(used < 0.02, f"{used * 1000:.0f} ms of CPU time in 2 s with all idle")
    for client in clients:
        client.close()
    wait_until(lambda: forwarder.descriptors() <= descriptors + 4, "descriptors do not come back",
               15)


@pytest.mark.alone
def test_idle_forwarder_uses_no_cpu(t):
    port, forwarder = quiet_rule(t)
    t.ask(port)
    kept = [t.connect(port) for _ in range(20)]
    for client in kept:
        client.send(b"x")
        client.recv(1)
    time.sleep(0.5)
    used = busy_share(forwarder, 2)
    check(used < 0.02, f"{used * 1000:.1f} ms of CPU time in 2 s")


def test_no_pipe_is_held_by_an_idle_connection(t):
    """After a bulk transfer a connection gives its pipe and its buffer back."""
    port, forwarder = quiet_rule(t, "--relay=splice")

    def pipes():
        count = 0
        for name in os.listdir(f"/proc/{forwarder.pid}/fd"):
            try:
                count += os.readlink(f"/proc/{forwarder.pid}/fd/{name}").startswith("pipe:")
            except OSError:
                pass
        return count

    clients = [t.connect(port) for _ in range(100)]
    for client in clients:
        client.sendall(bytes(30_000))
        read_exactly(client, 30_000)
    time.sleep(0.5)
    check(pipes() < 80, f"{pipes()} ends of pipes are open for 100 idle connections")


def test_pipes_refused_by_the_system_do_not_hurt(t):
    """An unprivileged user has few pages of pipes: then it copies."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody")
    with open("/proc/sys/fs/pipe-user-pages-soft", encoding="ascii") as file:
        if not 0 < int(file.read()) <= 65536:
            pytest.skip("pipe-user-pages-soft is not what kernels have by default")
    listening = t.listener(backlog=4096)
    echo_in_process(listening)
    port = t.port()
    os.chmod(t.folder, 0o755)
    t.start(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", t.options.sluice,
             "forward", "--relay=splice", f"127.0.0.1:{port}",
             f"127.0.0.1:{listening.getsockname()[1]}"], [f"tcp:{port}"])
    clients = [t.connect(port) for _ in range(200)]
    data = bytes(range(256)) * 256
    for client in clients:
        client.sendall(data)
    for client in clients:
        check(read_exactly(client, len(data)) == data, "an echo came back changed")
