"""Streams arrive as they were sent, urgent bytes or not, and one that is cut does not look whole."""

import signal
import socket
import threading

from forwarding import check, how_it_ends, read_all, read_exactly, wait_until
from harness import check_equal


def urgent(t, relay):
    """One urgent byte in the midst of each direction; the bytes around it arrive, each in place."""
    parts = {"client": (b"a" * 300_000, b"b" * 200_001), "target": (b"y" * 200_001, b"z" * 300_000)}

    def say(connection, who):
        before, behind = parts[who]
        connection.sendall(before)
        connection.send(b"!", socket.MSG_OOB)
        connection.sendall(behind)
        connection.shutdown(socket.SHUT_WR)

    heard = []

    def handler(connection):
        speaker = threading.Thread(target=say, args=(connection, "target"))
        speaker.start()
        heard.append(read_all(connection))
        speaker.join()

    server = t.serve(handler)
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", f"--relay={relay}")
    for _ in range(5):
        with t.connect(port) as client:
            speaker = threading.Thread(target=say, args=(client, "client"))
            speaker.start()
            check(read_all(client) == b"".join(parts["target"]), "the target's bytes were moved")
            speaker.join()
        wait_until(lambda: heard, "the target heard nothing")
        check(heard.pop() == b"".join(parts["client"]), "the client's bytes were moved")


def test_urgent_byte_moves_no_other_copied(t):
    urgent(t, "copy")


def test_urgent_byte_moves_no_other_spliced(t):
    urgent(t, "splice")


def test_urgent_byte_moves_no_other_auto(t):
    urgent(t, "auto")


def test_killed_forwarder_resets_what_was_half_told(t):
    """A FIN would pass for the end of a stream that is cut."""
    ends = []

    def handler(connection):
        read_exactly(connection, 5)
        connection.sendall(b"half of it")
        ends.append(how_it_ends(connection))

    server = t.serve(handler)
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    clients = [t.connect(port) for _ in range(20)]
    for client in clients:
        client.sendall(b"hello")
        check_equal(read_exactly(client, 10), b"half of it", "what came before")
    forwarder.send_signal(signal.SIGKILL)
    forwarder.wait()
    check_equal({how_it_ends(client) for client in clients}, {("rst", b"")}, "the clients' end")
    wait_until(lambda: len(ends) == 20, "targets that saw no end")
    check_equal(set(ends), {("rst", b"")}, "the targets' end")


def test_killed_forwarder_resets_no_side_that_has_all(t):
    """The client's FIN has passed: the target's stream is whole, the client's is not."""
    heard, over = [], threading.Event()
    t.on_close(over.set)

    def handler(connection):
        heard.append(read_all(connection))
        connection.sendall(b"half of it")
        over.wait()

    server = t.serve(handler)
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    client = t.connect(port)
    client.sendall(b"all")
    client.shutdown(socket.SHUT_WR)
    check_equal(read_exactly(client, 10), b"half of it", "what came before")
    check_equal(heard, [b"all"], "what the target has")
    forwarder.send_signal(signal.SIGKILL)
    forwarder.wait()
    check_equal(how_it_ends(client), ("rst", b""), "the client's end")
