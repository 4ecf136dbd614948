"""Limits of a rule and of each client: connections, new ones a second, bytes a second."""

import threading
import time

import pytest

from forwarding import check, read_exactly
from harness import check_equal
from streams import check_pattern, send_pattern

MIB = 1 << 20


def limited(t, server, limits, key="limits", listen="", target="127.0.0.1:{}"):
    port = t.port()
    t.forward_file(f'''
    [[forwarding_rules]]
    listen = "{listen}127.0.0.1:{port}"
    targets = ["{target.format(server.port)}"]
    {key} = {{ {limits} }}
    ''', ready=[port])
    return port


def is_served(t, port, source=None):
    """The connection if it echoes, else None."""
    try:
        client = t.connect(port, source=source, timeout=3)
        client.sendall(b"x")
        return client if client.recv(1) == b"x" else None
    except ConnectionResetError:
        return None


def test_limit_connections(t):
    port = limited(t, t.serve(), "connections = 3")
    kept = [is_served(t, port) for _ in range(3)]
    check(all(kept), "one of the first three is refused")
    check(is_served(t, port) is None, "a fourth is served")
    verdict, _ = t.ending(port)
    check_equal(verdict, "rst", "what one too many sees")
    kept.pop().close()
    time.sleep(0.2)
    check(is_served(t, port), "none is served when one has gone")


def test_limit_connections_of_each_client(t):
    port = limited(t, t.serve(), "connections = 2", "client_limits")
    kept = [is_served(t, port, source) for source in ("127.0.0.1", "127.0.0.2") for _ in range(2)]
    check(all(kept), "two of each client are not served")
    check(is_served(t, port, "127.0.0.1") is None, "a third of one client is served")
    check(is_served(t, port, "127.0.0.3"), "another client is refused")


def test_limit_new_connections_a_second(t):
    port = limited(t, t.serve(), "new_per_second = 10")
    served = sum(is_served(t, port) is not None for _ in range(40))
    check(10 <= served <= 14, f"{served} of 40 at once were served instead of 10")
    time.sleep(1.1)
    served = sum(is_served(t, port) is not None for _ in range(40))
    check(8 <= served <= 14, f"{served} of 40 were served a second later")


def test_limit_new_connections_of_each_client(t):
    port = limited(t, t.serve(), "new_per_second = 5", "client_limits")
    for source in ("127.0.0.1", "127.0.0.2"):
        served = sum(is_served(t, port, source) is not None for _ in range(20))
        check(5 <= served <= 8, f"{served} of 20 of {source} were served instead of 5")


def check_rate(size, seconds, rate, what):
    """Within 15 % once the burst that a bucket allows has passed."""
    measured = size / seconds
    check(0.85 * rate < measured < 1.15 * rate, f"{what}: {measured / MIB:.2f} MiB/s instead of "
          f"{rate / MIB:.2f}")


def read_timed(connection, size):
    """Seconds of the second half: the first has the burst."""
    half = {}

    def watch():
        got = 0
        while data := connection.recv(65536):
            got += len(data)
            if got >= size // 2 and "at" not in half:
                half.update(at=time.monotonic(), got=got)
        return got

    got = watch()
    check_equal(got, size, "bytes")
    return size - half["got"], time.monotonic() - half["at"]


@pytest.mark.alone
def test_limit_rate_to_client(t):
    rate = 2 * MIB
    server = t.serve(lambda c: send_pattern(c, 8 * MIB, 1))
    port = limited(t, server, f"to_client_rate = {rate}")
    size, seconds = read_timed(t.connect(port), 8 * MIB)
    check_rate(size, seconds, rate, "to the client")


@pytest.mark.alone
def test_limit_rate_to_target(t):
    rate = 2 * MIB
    server = t.serve(lambda c: read_timed(c, 8 * MIB))
    port = limited(t, server, f"to_target_rate = {rate}")
    with t.connect(port) as client:
        send_pattern(client, 8 * MIB, 1)
    size, seconds = server.result(20)
    check_rate(size, seconds, rate, "to the target")


@pytest.mark.alone
@pytest.mark.within(40)
def test_limit_rate_is_shared_by_the_rules_connections(t):
    """Four streams together get the rule's rate; each client its own under client_limits."""
    rate = 2 * MIB
    server = t.serve(lambda c: send_pattern(c, 2 * MIB, 1))

    def run(port, sources):
        clients = [t.connect(port, source=source, timeout=30) for source in sources]
        threads = [threading.Thread(target=check_pattern, args=(c, 2 * MIB, 1)) for c in clients]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - started

    sources = [f"127.0.0.{number}" for number in range(1, 5)]
    together = run(limited(t, server, f"to_client_rate = {rate}"), sources)
    check(2.5 < together < 5, f"8 MiB together took {together:.1f} s instead of 3 to 4")
    apart = run(limited(t, server, f"to_client_rate = {rate}", "client_limits"), sources)
    check(apart < 2, f"2 MiB for each client took {apart:.1f} s instead of 1 at most")


def test_limit_rate_leaves_small_messages_alone(t):
    port = limited(t, t.serve(), "to_client_rate = 100000, to_target_rate = 100000")
    client = t.connect(port)
    started = time.monotonic()
    for _ in range(50):
        client.sendall(b"small")
        read_exactly(client, 5)
    check(time.monotonic() - started < 1, "50 round trips of 5 bytes took over a second")


def test_limit_file_must_be_right(t):
    status, said = t.fails("-c", t.path("bad.toml", '''
    [[forwarding_rules]]
    listen = "127.0.0.1:1234"
    targets = ["127.0.0.1:1"]
    limits = { connections = -1 }
    '''))
    check_equal(status, 2, "exit status")
    check("bad.toml:5" in said and "connections" in said, f"it said: {said}")
