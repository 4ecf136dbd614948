"""udp to tcp and tcp to udp: as oi defines them, without its defects."""

import socket
import struct
import threading
import time

from forwarding import check, echo, read_exactly, wait_until
from harness import check_equal
from test_forward_udp import UdpServer, ask


def udp_to_tcp(t, handler, *options, target=None):
    server = t.serve(handler, port=target)
    port = t.port()
    forwarder = t.forward(f"udp://127.0.0.1:{port}", f"tcp://127.0.0.1:{server.port}", *options)
    return server, port, forwarder


def tcp_to_udp(t, server, *options):
    port = t.port()
    forwarder = t.forward(f"tcp://127.0.0.1:{port}", f"udp://127.0.0.1:{server.port}", *options)
    return port, forwarder


def test_udp_to_tcp_forward(t):
    _, port, _ = udp_to_tcp(t, echo)
    check_equal(ask(t.udp_client(port), b"over a stream"), b"over a stream", "echo")


def test_udp_to_tcp_three_sequential_requests(t):
    """On one connection to the backend for each client, exactly."""
    connections = []

    def handler(connection):
        connections.append(connection)
        echo(connection)

    _, port, _ = udp_to_tcp(t, handler)
    clients = [t.udp_client(port) for _ in range(3)]
    for number in range(3):
        for client in clients:
            check_equal(ask(client, b"request %d" % number), b"request %d" % number, "echo")
    check_equal(len(connections), 3, "backend connections of three clients")


def test_udp_to_tcp_datagrams_while_connecting_are_kept(t):
    _, port, _ = udp_to_tcp(t, echo)
    client = t.udp_client(port)
    for number in range(10):
        client.send(b"%d" % number)
    got = b""
    while len(got) < 10:
        got += client.recv(100)
    check_equal(got, b"0123456789", "in order")


def test_udp_to_tcp_late_answer(t):
    def handler(connection):
        data = connection.recv(100)
        time.sleep(1)
        connection.sendall(b"late " + data)
        connection.recv(1)

    _, port, _ = udp_to_tcp(t, handler)
    check_equal(ask(t.udp_client(port), b"x"), b"late x", "after 1 s")


def test_udp_to_tcp_backend_down_and_back(t):
    target = t.port()
    port = t.port()
    t.forward(f"udp://127.0.0.1:{port}", f"tcp://127.0.0.1:{target}")
    client = t.udp_client(port, timeout=1)
    for _ in range(2):
        try:
            client.send(b"lost")
            client.recv(10)
        except (TimeoutError, ConnectionRefusedError):
            pass
    t.serve(port=target)

    def answered():
        try:
            return ask(client, b"now") == b"now"
        except (TimeoutError, ConnectionRefusedError):
            return False

    wait_until(answered, "no answer when the backend is back", 6)


def test_udp_to_tcp_session_ends(t):
    """Those of oi never do: here the stream sees its end after the timeout."""
    server, port, _ = udp_to_tcp(t, echo, "--timeout-udp=500ms")
    ask(t.udp_client(port), b"x")
    check(server.result(4) is None, "the backend saw no clean end")


def test_udp_to_tcp_framing_keeps_borders(t):
    """Two bytes of length before each datagram, both ways."""
    got = []

    def handler(connection):
        while True:
            (length,) = struct.unpack("!H", read_exactly(connection, 2))
            data = read_exactly(connection, length)
            got.append(data)
            reply = struct.pack("!H", length) + data[::-1]
            connection.sendall(reply[:1])  # A header in two pieces.
            connection.sendall(reply[1:])

    _, port, _ = udp_to_tcp(t, handler, "--framing=length16")
    client = t.udp_client(port)
    messages = [b"a", b"bc" * 500, b"", b"last" * 15000]
    for message in messages:
        client.send(message)
    replies = [client.recv(65536) for _ in messages]
    check_equal(got, messages, "what the server got")
    check_equal(replies, [message[::-1] for message in messages], "what the client got")


def test_udp_to_tcp_framed_replies_in_one_segment(t):
    def handler(connection):
        read_exactly(connection, 3)
        connection.sendall(b"".join(struct.pack("!H", n) + bytes([n]) * n for n in range(1, 30)))
        connection.recv(1)

    _, port, _ = udp_to_tcp(t, handler, "--framing=length16")
    client = t.udp_client(port)
    client.send(b"x")
    check_equal([client.recv(100) for _ in range(29)], [bytes([n]) * n for n in range(1, 30)],
                "the datagrams")


def test_tcp_to_udp_forward(t):
    port, _ = tcp_to_udp(t, UdpServer(t, lambda data: [(0, data.upper())]))
    with t.connect(port) as client:
        client.sendall(b"over datagrams")
        check_equal(client.recv(100), b"OVER DATAGRAMS", "the answer")


def test_tcp_to_udp_three_sequential_requests(t):
    server = UdpServer(t)
    port, _ = tcp_to_udp(t, server)
    with t.connect(port) as client, t.connect(port) as other:
        for number in range(3):
            for one in (client, other):
                one.sendall(b"request %d" % number)
                check_equal(one.recv(100), b"request %d" % number, "echo")
    check_equal(len({sender for _, sender in server.got}), 2, "sockets of two clients")


def test_tcp_to_udp_late_answers(t):
    """oi drops those later than 100 ms."""
    server = UdpServer(t, lambda data: [(0.3, b"a"), (1.0, b"b")])
    port, _ = tcp_to_udp(t, server)
    with t.connect(port) as client:
        client.sendall(b"x")
        check_equal(read_exactly(client, 2), b"ab", "both answers")


def test_tcp_to_udp_backend_down_and_back(t):
    target, port = t.port(), t.port()
    t.forward(f"tcp://127.0.0.1:{port}", f"udp://127.0.0.1:{target}")
    lost = t.connect(port, timeout=1)
    lost.sendall(b"lost")
    try:
        lost.recv(10)
    except (TimeoutError, ConnectionError):
        pass
    UdpServer(t, port=target)
    client = t.connect(port)
    client.sendall(b"now")
    check_equal(client.recv(10), b"now", "when the backend is back")


def test_tcp_to_udp_framing_keeps_borders(t):
    server = UdpServer(t, lambda data: [(0, data[::-1])])
    port, _ = tcp_to_udp(t, server, "--framing=length16")
    messages = [b"a", b"bc" * 600, b"", b"x" * 65000, b"end"]
    stream = b"".join(struct.pack("!H", len(m)) + m for m in messages)
    with t.connect(port) as client:
        for at in range(0, len(stream), 777):  # Borders in the middle of headers and bodies.
            client.sendall(stream[at:at + 777])
        for message in messages:
            (length,) = struct.unpack("!H", read_exactly(client, 2))
            check_equal(read_exactly(client, length), message[::-1], "a reply")
    check_equal([data for data, _ in server.got], messages, "what the server got")


def test_tcp_to_udp_client_end_ends_the_session(t):
    """After the timeout, since an answer may still come."""
    server = UdpServer(t)
    port, forwarder = tcp_to_udp(t, server, "--timeout-udp=500ms")
    before = forwarder.descriptors()
    for _ in range(5):
        with t.connect(port) as client:
            client.sendall(b"x")
            client.recv(1)
    wait_until(lambda: forwarder.descriptors() <= before + 1, "sockets stay open")


def test_tcp_to_udp_half_closed_client_gets_its_answer(t):
    port, _ = tcp_to_udp(t, UdpServer(t, lambda data: [(0.3, b"answer")]))
    client = t.connect(port)
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    check_equal(client.recv(100), b"answer", "after the client's FIN")


def test_cross_both_ways_in_a_row(t):
    """udp to tcp to udp by two rules: framed, so a datagram goes in and the same comes out."""
    server = UdpServer(t)
    first, middle = t.port(), t.port()
    t.sluice("--framing=length16", f"udp://127.0.0.1:{first}", f"tcp://127.0.0.1:{middle}",
             f"tcp://127.0.0.1:{middle}", f"udp://127.0.0.1:{server.port}",
             ready=[f"udp:{first}", f"tcp:{middle}"])
    clients = [t.udp_client(first) for _ in range(4)]
    failed = []

    def talk(number, client):
        for size in (0, 1, 1000, 9000, 65000):
            data = bytes([number]) * size
            if ask(client, data) != data:
                failed.append((number, size))

    threads = [threading.Thread(target=talk, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_equal(failed, [], "changed datagrams")
