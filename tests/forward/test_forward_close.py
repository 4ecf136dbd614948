"""How connections end: half-close, resets, refused and dying servers, timeouts."""

import os
import select
import socket
import threading
import time

import pytest

from forwarding import (any_engine, busy_share, check, echo, how_it_ends, read_all, read_exactly,
                        reset, wait_until)
from harness import check_equal
from streams import check_pattern, send_pattern


def rule(t, handler, *options):
    server = t.serve(handler)
    port = t.port()
    return server, port, t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", *options)


@pytest.mark.engines("direct", "socat")  # rinetd loses the reply.
def test_half_close_client_writes_first(t):
    """The server answers only after it has seen the client's end."""
    server, port, _ = rule(t, lambda c: c.sendall(b"reply to " + read_all(c)))
    check_equal(t.ask(port, b"all of it"), b"reply to all of it", "after the half-close")


@pytest.mark.engines("direct")
def test_half_close_client_then_much_data(t):
    """4 MiB come back after the client's FIN, slowly at first."""

    def handler(connection):
        read_all(connection)
        time.sleep(0.5)
        send_pattern(connection, 4 << 20, 3)

    _, port, _ = rule(t, handler)
    with t.connect(port) as client:
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        check_pattern(client, 4 << 20, 3)


@pytest.mark.engines("direct")
def test_half_close_server_first(t):
    """The client goes on sending after it has seen the server's end."""

    def handler(connection):
        connection.sendall(b"mine is all said")
        connection.shutdown(socket.SHUT_WR)
        return check_pattern(connection, 1 << 20, 5)

    server, port, _ = rule(t, handler)
    client = t.connect(port)
    check_equal(read_all(client), b"mine is all said", "up to the server's end")
    time.sleep(0.3)
    send_pattern(client, 1 << 20, 5)
    client.close()
    check_equal(server.result(), 1 << 20, "what the server read")


@pytest.mark.engines("direct")
def test_half_close_without_any_data(t):
    """A FIN alone is passed on, in either direction, and is no end of the other."""
    saw = []

    def handler(connection):
        saw.append(connection.recv(1))
        time.sleep(0.2)
        connection.sendall(b"later")

    _, port, _ = rule(t, handler)
    client = t.connect(port)
    client.shutdown(socket.SHUT_WR)
    check_equal(read_all(client), b"later", "after a FIN alone")
    check_equal(saw, [b""], "the server read")


@any_engine
def test_both_ends_close_at_once(t):
    server, port, _ = rule(t, lambda c: c.shutdown(socket.SHUT_WR) or read_all(c))
    for _ in range(50):
        with t.connect(port) as client:
            client.shutdown(socket.SHUT_WR)
            check_equal(client.recv(1), b"", "the end")


@pytest.mark.engines("direct")
def test_reset_by_client_reaches_the_server(t):
    ready = threading.Event()

    def handler(connection):
        connection.sendall(connection.recv(10))
        ready.set()
        return how_it_ends(connection)

    server, port, _ = rule(t, handler)
    client = t.connect(port)
    client.sendall(b"hello")
    read_exactly(client, 5)
    reset(client)
    check_equal(server.result(5), ("rst", b""), "what the server saw")


@pytest.mark.engines("direct")
def test_reset_by_server_reaches_the_client(t):
    def handler(connection):
        connection.recv(10)
        reset(connection)

    _, port, _ = rule(t, handler)
    client = t.connect(port)
    client.sendall(b"hello")
    check_equal(how_it_ends(client), ("rst", b""), "what the client saw")


def test_reset_after_half_close_is_passed_on(t):
    """After its own FIN a client can still learn that the server gave up, and the other way."""

    def handler(connection):
        read_all(connection)
        time.sleep(0.1)
        reset(connection)

    _, port, _ = rule(t, handler)
    client = t.connect(port)
    client.shutdown(socket.SHUT_WR)
    check_equal(how_it_ends(client), ("rst", b""), "what the client saw")

    def ends_first(connection):
        connection.shutdown(socket.SHUT_WR)
        return how_it_ends(connection)

    server = t.serve(ends_first)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    client = t.connect(port)
    check_equal(client.recv(1), b"", "the server's end")
    reset(client)
    check_equal(server.result(5), ("rst", b""), "what the server saw")


def test_target_refuses_client_sees_reset(t):
    port, nobody = t.port(), t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{nobody}")
    check_equal(t.ending(port), ("rst", b""), "with a refusing target")


def test_target_unreachable_client_sees_reset_at_once(t):
    """No route: the errno of connect() itself."""
    port = t.port()
    t.forward(f"127.0.0.1:{port}", "192.0.2.1:80")
    started = time.monotonic()
    check_equal(t.ending(port, 5), ("rst", b""), "what the client saw")
    check(time.monotonic() - started < 2, "it took longer than two seconds")


def test_unix_target_missing_client_sees_the_end(t):
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"unix:{t.path('missing.sock')}")
    check_equal(t.ending(port)[0], "rst", "with a missing socket")


@pytest.mark.engines("direct")
def test_server_dies_in_mid_stream(t):
    """Every byte before the reset arrives, as far as TCP can promise it, then the reset."""
    size = 256 * 1024
    read_it = threading.Event()

    def handler(connection):
        send_pattern(connection, size, 7)
        read_it.wait(10)
        reset(connection)

    _, port, _ = rule(t, handler)
    client = t.connect(port)
    data = read_exactly(client, size)
    read_it.set()
    verdict, more = how_it_ends(client)
    check_equal((verdict, more, len(data)), ("rst", b"", size), "what the client saw")


def test_bytes_before_a_reset_are_delivered(t):
    """A server that writes, is read by us, and resets: what we hold still goes out."""

    def handler(connection):
        connection.sendall(b"last words")
        time.sleep(0.2)
        reset(connection)

    _, port, _ = rule(t, handler)
    client = t.connect(port)
    time.sleep(0.6)
    first = client.recv(100)
    check_equal(first, b"last words", "before the reset")
    check_equal(how_it_ends(client), ("rst", b""), "then")


def test_server_process_dies(t):
    """Killed by the kernel's hand with unread data: a RST, which the client must see."""
    listening = t.listener()
    pid = os.fork()
    if pid == 0:
        connection, _ = listening.accept()
        time.sleep(0.3)
        os.kill(os.getpid(), 9)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{listening.getsockname()[1]}")
    listening.close()
    client = t.connect(port)
    client.sendall(b"never read")
    check_equal(how_it_ends(client)[0], "rst", "when the server died")
    os.waitpid(pid, 0)


def test_timeout_connect(t):
    """A target that never answers: the SYN queue of a listener that is full."""
    full = t.listener(backlog=0)
    target = full.getsockname()[1]
    filling = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", target))
        filling.append(one)
    time.sleep(0.1)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{target}", "--timeout-connect=700ms")
    client = t.connect(port, timeout=6)
    started = time.monotonic()
    verdict, _ = how_it_ends(client)
    seconds = time.monotonic() - started
    check_equal(verdict, "rst", "after the timeout")
    check(0.5 < seconds < 2.5, f"it took {seconds:.2f} s instead of 0.7")


def test_timeout_idle(t):
    server, port, _ = rule(t, echo, "--timeout-idle=600ms")
    client = t.connect(port)
    for _ in range(4):  # Traffic puts it off.
        client.sendall(b"x")
        read_exactly(client, 1)
        time.sleep(0.35)
    started = time.monotonic()
    verdict, _ = how_it_ends(client)
    seconds = time.monotonic() - started
    check(verdict != "open", "an idle connection stays open")
    check(seconds < 1.5, f"it ended {seconds:.2f} s after its last byte and 0.35")
    server.result(3)


def test_timeout_half_closed(t):
    server, port, _ = rule(t, lambda c: (read_all(c), time.sleep(20)),
                           "--timeout-half-closed=600ms")
    stays = t.connect(port)
    client = t.connect(port)
    client.shutdown(socket.SHUT_WR)
    started = time.monotonic()
    verdict, _ = how_it_ends(client)
    check(verdict != "open" and 0.4 < time.monotonic() - started < 2,
          f"{verdict} after {time.monotonic() - started:.2f} s")
    stays.settimeout(0.3)
    check_equal(how_it_ends(stays)[0], "open", "a connection that is not half-closed")


@pytest.mark.alone
def test_no_busy_loop_in_any_state(t):
    """Half-closed, blocked and idle connections together cost nothing."""
    _, port, forwarder = rule(t, lambda c: (c.shutdown(socket.SHUT_WR), time.sleep(30)))
    kept = []
    for _ in range(5):  # The server has ended, and reads nothing: full buffers as well.
        client = t.connect(port)
        client.recv(1)
        client.setblocking(False)
        try:
            while True:
                client.send(bytes(1 << 20))
        except BlockingIOError:
            pass
        kept.append(client)
    server = t.serve(lambda c: (read_all(c), time.sleep(30)))
    second = t.port()
    other = t.forward(f"127.0.0.1:{second}", f"127.0.0.1:{server.port}")
    for _ in range(5):  # The client has ended.
        client = t.connect(second)
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        kept.append(client)
    kept += [t.connect(port) for _ in range(5)]
    time.sleep(1)
    for one in (forwarder, other):
        used = busy_share(one, 2)
        check(used < 0.020, f"{used * 1000:.1f} ms of CPU time in 2 s")


def test_ended_connections_leave_no_descriptor(t):
    """Whichever way they end."""
    _, port, forwarder = rule(t, echo)
    t.ask(port)
    before = wait_until(lambda: forwarder.descriptors(), "no descriptors")
    for number in range(60):
        client = t.connect(port)
        client.sendall(b"x")
        if number % 3 == 0:
            reset(client)
        elif number % 3 == 1:
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
            read_all(client)
            client.close()
    wait_until(lambda: forwarder.descriptors() <= before + 2,
               f"descriptors do not come back to {before}")


def answers_that_came(t, connect, rounds=200):
    """Of connections to a server that answers 300 bytes and resets: how many brought them all."""
    whole = 0
    for _ in range(rounds):
        with connect() as client:
            client.settimeout(10)
            whole += len(how_it_ends(client)[1]) == 300
    return whole


def dial(t, port, host):
    """A connection, even where its reset is quicker than connect(): that would throw away what came
    before it."""
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    t.on_close(client.close)
    client.setblocking(False)
    client.connect_ex((host, port))
    select.select([], [client], [], 10)
    return client


def answer_and_reset(listening):
    """Answers before it has read anything, and resets, at once: MaxStartups, an early 413."""

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.sendall(bytes(300))
            reset(connection)

    threading.Thread(target=serve, daemon=True).start()


def reset_behind_an_answer(t, host):
    listening = t.listener(host)
    answer_and_reset(listening)
    target = listening.getsockname()[1]
    port = t.port()
    name = f"[{host}]" if ":" in host else host
    t.forward(f"{name}:{port}", f"{name}:{target}")
    direct = answers_that_came(t, lambda: dial(t, target, host))
    ours = answers_that_came(t, lambda: dial(t, port, host))
    check_equal(direct, 200, "answers of 200 that came whole without us")
    check_equal(ours, 200, "answers of 200 that came whole")


def test_reset_behind_an_answer_loses_nothing_v4(t):
    reset_behind_an_answer(t, "127.0.0.1")


def test_reset_behind_an_answer_loses_nothing_v6(t):
    reset_behind_an_answer(t, "::1")


def test_reset_behind_an_answer_loses_nothing_unix(t):
    """A UNIX server that closes with a question unread, and a UNIX client in front."""
    path = t.path("target.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    os.chmod(path, 0o777)  # For a forwarder that became another user.
    listening.listen(64)
    t.on_close(listening.close)

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.recv(1)  # The rest stays unread.
            connection.sendall(bytes(300))
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    port, front = t.port(), t.path("front.sock")
    t.forward(f"127.0.0.1:{port}", f"unix:{path}", f"unix:{front}", f"unix:{path}")

    def by_tcp():
        client = t.connect(port)
        client.sendall(b"question")
        return client

    def by_unix():
        client = socket.socket(socket.AF_UNIX)
        client.connect(front)
        client.sendall(b"question")
        return client

    check_equal(answers_that_came(t, by_tcp), 200, "answers by TCP of 200")
    check_equal(answers_that_came(t, by_unix), 200, "answers by the UNIX socket of 200")
