"""TCP through a rule: data both ways, many clients, families, UNIX sockets, ranges, start-up."""

import os
import socket
import threading

import pytest

from forwarding import any_engine, check, read_exactly, reset, wait_until
from harness import check_equal
from streams import exchange, peer_of_exchange

MIB = 1 << 20


@any_engine
def test_tcp_basic_both_ways(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    with t.connect(port) as client:
        for message in (b"hello", b"x" * 10000, b"\0\n\r\t"):
            client.sendall(message)
            check_equal(read_exactly(client, len(message)), message, "echo")


def transfer(t, size, *options):
    server = t.serve(peer_of_exchange(size, 1, size, 2))
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", *options)
    with t.connect(port, timeout=30) as client:
        exchange(client, size, 1, size, 2)
    check_equal(server.result(), "ok", "what the server got")


@pytest.mark.engines("direct")  # socat and rinetd cut the second direction when the first ends.
def test_tcp_1_mib_each_way_at_once(t):
    transfer(t, MIB)


def test_tcp_1_mib_relay_auto(t):
    transfer(t, MIB, "--relay=auto")


def test_tcp_1_mib_relay_copy(t):
    transfer(t, MIB, "--relay=copy")


def test_tcp_1_mib_relay_splice(t):
    transfer(t, MIB, "--relay=splice")


def test_tcp_64_mib_relay_auto(t):
    transfer(t, 64 * MIB, "--relay=auto")


def test_tcp_64_mib_relay_copy(t):
    transfer(t, 64 * MIB, "--relay=copy")


def test_tcp_64_mib_relay_copy_in_kib_buffers(t):
    transfer(t, 8 * MIB, "--relay=copy", "--buffer-size=1024")


def test_tcp_64_mib_relay_splice(t):
    transfer(t, 64 * MIB, "--relay=splice")


def clients_at_once(t, count, size):
    server = t.serve(peer_of_exchange(size, 1, size, 2))
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    failed = []

    def client(number):
        try:
            with t.connect(port, timeout=25) as connection:
                exchange(connection, size, 1, size, 2)
        except Exception as error:  # Of a thread: told below.
            failed.append(f"client {number}: {error}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not failed, f"{len(failed)} of {count} failed: {failed[:3]}")
    wait_until(lambda: len(server.results) == count, "the server saw not every end")
    check_equal(set(server.results), {"ok"}, "what the server got")


@pytest.mark.engines("direct")
def test_tcp_10_clients_at_once(t):
    clients_at_once(t, 10, 256 * 1024)


@pytest.mark.engines("direct")
def test_tcp_200_clients_at_once(t):
    clients_at_once(t, 200, 32 * 1024)


@any_engine
def test_tcp_client_drop(t):
    """A client that goes without a word takes its own connection with it and no other."""
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    stays = t.connect(port)
    stays.sendall(b"a")
    read_exactly(stays, 1)
    for how in (reset, socket.socket.close):
        gone = t.connect(port)
        gone.sendall(b"b")
        read_exactly(gone, 1)
        how(gone)
        server.result()  # The server saw the end.
        server.results.clear()
    stays.sendall(b"c")
    check_equal(read_exactly(stays, 1), b"c", "the other connection's echo")


def test_tcp_server_down_at_start_then_up(t):
    port, target = t.port(), t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{target}")
    check_equal(t.ending(port), ("rst", b""), "with no server")
    t.serve(port=target)
    check_equal(t.ask(port, b"now"), b"now", "with the server up")


@any_engine
def test_tcp_ipv4_only_rule_is_not_on_other_addresses(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    if t.engine != "direct":
        check(t.refused(port, "127.0.0.2"), "127.0.0.2 is served, too")


def test_tcp_ipv6_both_sides(t):
    server = t.serve(host="::1")
    port = t.port()
    t.forward(f"[::1]:{port}", f"[::1]:{server.port}")
    check_equal(t.ask(port, host="::1"), b"ping", "over IPv6")


def test_tcp_crosses_families(t):
    four, six = t.serve(), t.serve(host="::1")
    first, second = t.port(), t.port()
    t.sluice(f"[::1]:{first}", f"127.0.0.1:{four.port}", f"127.0.0.1:{second}",
             f"[::1]:{six.port}", ready=[f"tcp:{first}", f"tcp:{second}"])
    check_equal(t.ask(first, host="::1"), b"ping", "6 to 4")
    check_equal(t.ask(second), b"ping", "4 to 6")


def test_tcp_dual_stack_listener(t):
    server = t.serve()
    port = t.port()
    t.forward(f"tcp://[::]:{port}", f"127.0.0.1:{server.port}")
    check_equal(t.ask(port, host="::1"), b"ping", "over IPv6")
    check_equal(t.ask(port, host="127.0.0.1"), b"ping", "over IPv4")


def test_tcp_bare_port_serves_both_families(t):
    server = t.serve()
    port = t.port()
    t.forward(str(port), f"127.0.0.1:{server.port}")
    check_equal(t.ask(port, host="::1"), b"ping", "over IPv6")
    check_equal(t.ask(port, host="127.0.0.2"), b"ping", "over IPv4")


def unix_client(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.settimeout(5)
    return client


def test_unix_socket_listens(t):
    server = t.serve(peer_of_exchange(MIB, 1, MIB, 2))
    path = t.path("listen.sock")
    forwarder = t.forward(f"unix:{path}", f"127.0.0.1:{server.port}")
    with unix_client(path) as client:
        exchange(client, MIB, 1, MIB, 2)
    check_equal(server.result(), "ok", "what the server got")
    forwarder.stop()
    check(not os.path.exists(path), "the socket's file is left behind")


def test_unix_socket_left_by_a_dead_process_is_replaced(t):
    path = t.path("listen.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    server = t.serve()
    t.sluice(f"unix:{path}", f"127.0.0.1:{server.port}")

    def answered():
        try:
            with unix_client(path) as client:
                client.sendall(b"x")
                return client.recv(1) == b"x"
        except OSError:
            return False

    wait_until(answered, "the new socket does not serve")


def test_unix_socket_as_target(t):
    path = t.path("target.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    os.chmod(path, 0o777)  # For a forwarder that became another user.
    listening.listen(16)
    server = t.serve_on(listening, peer_of_exchange(MIB, 1, MIB, 2))
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"unix:{path}")
    with t.connect(port) as client:
        exchange(client, MIB, 1, MIB, 2)
    check_equal(server.result(), "ok", "what the server got")


def test_unix_sockets_both_sides_abstract(t):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("\0target")
    listening.listen(16)
    t.serve_on(listening, lambda c: c.sendall(c.recv(100).upper()))
    path = t.path("listen.sock")
    t.forward(f"unix:{path}", "unix:@target")
    with unix_client(path) as client:
        client.sendall(b"abstract")
        check_equal(client.recv(100), b"ABSTRACT", "through both")


def test_tcp_port_range_maps_one_to_one(t):
    first, target = t.port(5), t.port(5)
    for offset in range(5):
        t.serve(lambda c, reply=b"%d" % offset: c.sendall(reply), port=target + offset)
    t.sluice(f"127.0.0.1:{first}-{first + 4}", f"127.0.0.1:{target}-{target + 4}",
             ready=[f"tcp:{first + offset}" for offset in range(5)])
    for offset in range(5):
        with t.connect(first + offset) as client:
            check_equal(client.recv(10), b"%d" % offset, f"port {offset} of the range")


@pytest.mark.within(20)
def test_port_in_use_is_an_error(t):
    taken = t.listener()
    port = taken.getsockname()[1]
    status, said = t.fails(f"127.0.0.1:{port}", "127.0.0.1:9")
    check_equal(status, 1, "exit status")
    check(str(port) in said and "in use" in said.lower(), f"the message is: {said}")


def test_port_in_use_by_a_second_sluice_of_the_same_user(t):
    """SO_REUSEPORT of workers must not let a second program share the port unseen."""
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    status, said = t.fails(f"127.0.0.1:{port}", "127.0.0.1:9")
    check_equal(status, 1, "exit status of the second")
    check(str(port) in said, f"the message is: {said}")
    for _ in range(20):
        check_equal(t.ask(port), b"ping", "the first still serves")


def test_one_bad_listener_starts_nothing(t):
    taken = t.listener()
    good = t.port()
    status, said = t.fails(f"127.0.0.1:{good}", "127.0.0.1:9",
                           f"127.0.0.1:{taken.getsockname()[1]}", "127.0.0.1:9")
    check_equal(status, 1, "exit status")
    check(said.count("\n") >= 1, f"the message is: {said}")
    check(t.refused(good), "the good listener is open")
