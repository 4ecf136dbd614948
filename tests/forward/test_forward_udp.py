"""UDP through a rule: sessions for each client, late answers, sizes, errors."""

import random
import signal
import threading
import time

import pytest

from forwarding import busy_share, check, wait_until
from harness import check_equal


class UdpServer:
    """Answers each datagram by `answer(data)`, a list of (delay, reply)."""

    def __init__(self, t, answer=lambda data: [(0, data)], host="127.0.0.1", port=None):
        self.socket = t.udp(host, port, timeout=None)
        self.port = self.socket.getsockname()[1]
        self.got = []
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                data, sender = self.socket.recvfrom(65536)
            except OSError:
                return
            self.got.append((data, sender))
            for delay, reply in self._answer(data):
                if delay:
                    threading.Timer(delay, self.socket.sendto, (reply, sender)).start()
                else:
                    self.socket.sendto(reply, sender)


def rule(t, server, *options):
    port = t.port()
    return port, t.forward(f"udp://127.0.0.1:{port}", f"udp://127.0.0.1:{server.port}", *options)


def ask(client, data):
    client.send(data)
    return client.recv(65536)


@pytest.mark.engines("direct", "socat")  # rinetd's first answer is the empty datagram it learnt by.
def test_udp_basic(t):
    port, _ = rule(t, UdpServer(t))
    client = t.udp_client(port)
    check_equal(ask(client, b"hello"), b"hello", "echo")
    check_equal(ask(client, b"again"), b"again", "echo")


@pytest.mark.engines("direct")
def test_udp_5_clients_3_messages_late_answers(t):
    """5 x 3 clients at once with interleaved answers after 400 ms: nobody waits behind another."""
    server = UdpServer(t, lambda data: [(0.4, b"late " + data)])
    port, _ = rule(t, server)
    clients = [t.udp_client(port) for _ in range(5)]
    started = time.monotonic()
    for message in range(3):
        for number, client in enumerate(clients):
            client.send(b"%d/%d" % (number, message))
    for number, client in enumerate(clients):
        got = {client.recv(100) for _ in range(3)}
        check_equal(got, {b"late %d/%d" % (number, m) for m in range(3)}, f"client {number}")
    seconds = time.monotonic() - started
    check(seconds < 1.5, f"fifteen answers of 400 ms took {seconds:.1f} s")


@pytest.mark.engines("direct")
def test_udp_several_answers_to_one_datagram(t):
    server = UdpServer(t, lambda data: [(0, b"1"), (0.3, b"2"), (1.2, b"3")])
    port, _ = rule(t, server)
    client = t.udp_client(port)
    client.send(b"x")
    check_equal([client.recv(10) for _ in range(3)], [b"1", b"2", b"3"], "the answers")


def test_udp_session_keeps_its_source_port(t):
    server = UdpServer(t)
    port, _ = rule(t, server)
    client = t.udp_client(port)
    for _ in range(5):
        ask(client, b"x")
    check_equal(len({sender for _, sender in server.got}), 1, "source ports of one client")
    ask(t.udp_client(port), b"y")
    check_equal(len({sender for _, sender in server.got}), 2, "source ports of two clients")


def test_udp_expiry_then_works_again(t):
    server = UdpServer(t)
    port, forwarder = rule(t, server, "--timeout-udp=500ms")
    client = t.udp_client(port)
    ask(client, b"a")
    before = forwarder.descriptors()
    wait_until(lambda: forwarder.descriptors() < before, "the session's socket stays open", 3)
    check_equal(ask(client, b"b"), b"b", "after the session's end")


def test_udp_session_lives_while_either_side_talks(t):
    """Answers alone keep it, too."""
    server = UdpServer(t, lambda data: [(0.3 * i, b"%d" % i) for i in range(1, 7)])
    port, _ = rule(t, server, "--timeout-udp=700ms")
    client = t.udp_client(port)
    client.send(b"x")
    check_equal([client.recv(10) for _ in range(6)], [b"%d" % i for i in range(1, 7)], "answers")


@pytest.mark.engines("direct")
def test_udp_65000_bytes(t):
    port, _ = rule(t, UdpServer(t))
    client = t.udp_client(port)
    for size in (1472, 1473, 16384, 16385, 65000, 65507):
        data = random.Random(size).randbytes(size)
        check(ask(client, data) == data, f"{size} bytes came back changed")


@pytest.mark.engines("direct")
def test_udp_empty_datagram(t):
    server = UdpServer(t)
    port, _ = rule(t, server)
    client = t.udp_client(port)
    check_equal(ask(client, b""), b"", "an empty datagram")
    check_equal(ask(client, b"full"), b"full", "then a full one")
    check_equal([data for data, _ in server.got], [b"", b"full"], "what the server got")


@pytest.mark.engines("direct")
def test_udp_silent_backend(t):
    """One that never answers costs its own client nothing more than the answer."""
    port, _ = rule(t, UdpServer(t, lambda data: [] if data == b"silence" else [(0, data)]))
    silent = t.udp_client(port, timeout=0.5)
    silent.send(b"silence")
    started = time.monotonic()
    check_equal(ask(t.udp_client(port), b"other"), b"other", "another client")
    check(time.monotonic() - started < 0.3, "another client had to wait")
    try:
        check(False, f"an answer out of nothing: {silent.recv(10)!r}")
    except TimeoutError:
        pass


@pytest.mark.engines("direct")
def test_udp_order_in_a_burst(t):
    server = UdpServer(t, lambda data: [])
    port, _ = rule(t, server)
    client = t.udp_client(port)
    for number in range(500):
        client.send(b"%05d" % number + bytes(number % 300))
        if number % 50 == 49:
            time.sleep(0.01)
    wait_until(lambda: len(server.got) == 500, "datagrams are missing")
    check_equal([int(data[:5]) for data, _ in server.got], list(range(500)), "the order")
    check(all(len(data) == 5 + n % 300 for n, (data, _) in enumerate(server.got)), "sizes")


@pytest.mark.engines("direct")
def test_udp_segments_of_equal_size_stay_apart(t):
    """What GSO and GRO join and split: 64 datagrams of one size, the last one shorter."""
    server = UdpServer(t)
    port, _ = rule(t, server)
    client = t.udp_client(port)
    sent = [bytes([n]) * 1200 for n in range(63)] + [b"end"]
    for data in sent:
        client.send(data)
    check_equal([client.recv(65536) for _ in sent], sent, "the echoes")


def test_udp_error_of_the_target_does_not_end_the_rule(t):
    """A port unreachable: dropped or passed on to the client, but later datagrams go through."""
    port, target = t.port(), t.port()
    t.forward(f"udp://127.0.0.1:{port}", f"udp://127.0.0.1:{target}")
    client = t.udp_client(port, timeout=1)
    for _ in range(3):
        try:
            client.send(b"into the void")
            client.recv(10)
        except (TimeoutError, ConnectionRefusedError):
            pass
    UdpServer(t, port=target)
    check_equal(ask(client, b"now"), b"now", "when the target is there")


def test_udp_ipv6_and_across(t):
    server = UdpServer(t, host="::1")
    first, second = t.port(), t.port()
    t.sluice(f"udp://[::1]:{first}", f"udp://[::1]:{server.port}",
             f"udp://127.0.0.1:{second}", f"udp://[::1]:{server.port}",
             ready=[f"udp:{first}", f"udp:{second}"])
    check_equal(ask(t.udp_client(first, "::1"), b"six"), b"six", "over IPv6")
    check_equal(ask(t.udp_client(second), b"four"), b"four", "from 4 to 6")


def test_udp_answers_come_from_the_address_asked(t):
    """A wildcard listener with several addresses: the reply's source is the one the client used."""
    server = UdpServer(t)
    port = t.port()
    t.forward(f"udp://0.0.0.0:{port}", f"udp://127.0.0.1:{server.port}")
    for address in ("127.0.0.1", "127.0.0.2", "127.3.4.5"):
        check_equal(ask(t.udp_client(port, address), b"x"), b"x", f"asked at {address}")
    client = t.udp("127.0.0.9", 0)  # From another address than the one it asks.
    client.connect(("127.0.0.7", port))
    check_equal(ask(client, b"y"), b"y", "asked at 127.0.0.7")


def reload(t, forwarder, path, text):
    times = forwarder.err().count("reload")
    t.replace(path, text)
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: forwarder.err().count("reload") > times, "it does not reload")
    check("refused" not in forwarder.err(), forwarder.err())


def rule_text(port, server, *options, host="127.0.0.1"):
    return "\n".join(["[[forwarding_rules]]", f"listen = 'udp://{host}:{port}'",
                      f"targets = ['udp://127.0.0.1:{server.port}']", *options, ""])


def check_newcomers(t, port):
    """The kernel spreads clients over all sockets of a port."""
    for number in range(30):
        check_equal(ask(t.udp_client(port), b"%d" % number), b"%d" % number, "a new client")


def test_udp_rule_comes_back_while_its_sessions_last(t):
    server = UdpServer(t)
    port, other = t.port(), t.port()
    both = "workers = 2\n" + rule_text(port, server) + rule_text(other, server)
    forwarder, path = t.forward_file(both, "--no-watch", ready=(f"udp:{port}", f"udp:{other}"))
    clients = [t.udp_client(port) for _ in range(8)]
    for number, client in enumerate(clients):
        check_equal(ask(client, b"%d" % number), b"%d" % number, "before")
    first = {data: sender for data, sender in server.got}
    for _ in range(3):
        reload(t, forwarder, path, "workers = 2\n" + rule_text(other, server))
        for number, client in enumerate(clients):
            server.socket.sendto(b"late", first[b"%d" % number])
            check_equal(client.recv(10), b"late", "an answer of a closed rule")
        reload(t, forwarder, path, both)
    for number, client in enumerate(clients):
        check_equal(ask(client, b"%d" % number), b"%d" % number, "after")
        server.socket.sendto(b"late", first[b"%d" % number])
        check_equal(client.recv(10), b"late", "the old session")
    check_newcomers(t, port)


def test_udp_rule_with_a_new_listener_serves_all(t):
    """With another buffer size or address; the old one beside it must not get anything."""
    server = UdpServer(t)
    port = t.port()
    text = "workers = 2\n" + rule_text(port, server)
    forwarder, path = t.forward_file(text, "--no-watch", ready=(f"udp:{port}",))
    clients = [t.udp_client(port) for _ in range(8)]
    for client in clients:
        check_equal(ask(client, b"a"), b"a", "before")
    for changed in (rule_text(port, server, "receive_buffer = 65536"),
                    rule_text(port, server, host="*"), rule_text(port, server, host="0.0.0.0")):
        reload(t, forwarder, path, "workers = 2\n" + changed)
        for client in clients:
            check_equal(ask(client, b"b"), b"b", "after")
        check_newcomers(t, port)


def test_udp_port_in_use_is_an_error(t):
    taken = t.udp()
    port = taken.getsockname()[1]
    status, said = t.fails(f"udp://127.0.0.1:{port}", "udp://127.0.0.1:9")
    check_equal(status, 1, "exit status")
    check(str(port) in said and "in use" in said.lower(), f"it said: {said}")


@pytest.mark.alone
@pytest.mark.within(40)
def test_udp_2000_sessions_are_bounded_and_end(t):
    server = UdpServer(t)
    port, forwarder = rule(t, server, "--timeout-udp=2s")
    before, memory = forwarder.descriptors(), forwarder.anon_kib()
    clients = [t.udp_client(port) for _ in range(2000)]
    for client in clients:
        check_equal(ask(client, b"x"), b"x", "echo")
    grown = forwarder.anon_kib() - memory
    check(grown < 2000 * 4, f"{grown / 2000:.1f} KiB a session")
    wait_until(lambda: forwarder.descriptors() <= before + 2, "sessions do not end", 8)
    used = busy_share(forwarder, 1)
    check(used < 0.02, f"{used * 1000:.0f} ms of CPU time in an idle second")


def test_udp_client_of_two_addresses_hears_from_each(t):
    """One socket that asks two addresses of the host: each answer comes from where it was asked."""
    target = t.udp()
    port = t.port()
    t.forward(f"udp://0.0.0.0:{port}", f"udp://127.0.0.1:{target.getsockname()[1]}")
    client = t.udp("0.0.0.0", 0)
    for number in range(4):
        asked = ("127.0.0.1" if number % 2 == 0 else "127.0.0.7", port)
        client.sendto(b"q", asked)
        _, session = target.recvfrom(10)
        target.sendto(b"a", session)
        check_equal(client.recvfrom(10)[1], asked, "the answer's source")
