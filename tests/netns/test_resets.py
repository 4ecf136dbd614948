"""What stands before a RST arrives before it, and an urgent byte moves no other."""

import ast
import concurrent.futures
import errno
import socket
import struct
import time

import pytest

from harness import ANY, check, check_equal, each_family, read_line, socket_in

ANSWER = b"HTTP/1.1 413 Content Too Large\r\n" + b"e" * 268
ABORT = struct.pack("ii", 1, 0)
PATHS = ("off", "require")


def answer_early(connection):
    """As a server that refuses a long request: answers, and closes with bytes unread."""
    while len(connection.recv(4000, socket.MSG_PEEK)) < 4000:
        pass
    connection.recv(10)
    connection.sendall(ANSWER)


def answer_and_abort(connection):
    """As a server with too many clients: answers whoever comes, and resets."""
    connection.sendall(ANSWER)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)


# The same text for a client inside and one outside. A connect that is told of a reset has been one:
# what came before is there to be read. Either the end or the reset must come.
CLIENT = """
import contextlib
def ask(open_socket, place, size, late):
    got = b""
    with open_socket() as s:
        s.settimeout(10)
        try:
            with contextlib.suppress(ConnectionResetError):
                s.connect(place)
        except OSError as error:
            return "connect " + errno.errorcode[error.errno]
        with contextlib.suppress(OSError):
            s.sendall(b"r" * size)
        time.sleep(late)
        try:
            while part := s.recv(65536):
                got += part
        except TimeoutError:
            return f"no end after {len(got)}"
        except OSError:
            pass
    return len(got)
"""
GUEST_CLIENT = CLIENT + """
import collections, concurrent.futures
place, count, size, late = (args[0], int(args[1])), int(args[2]), int(args[3]), float(args[4])
make = lambda: socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    jobs = [pool.submit(ask, make, place, size, late) for _ in range(count)]
print(dict(collections.Counter(job.result() for job in jobs)))
"""
GUEST_SERVER = """
import threading, struct
how, answer = args[2], args[3].encode()
s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((args[0], int(args[1]))); s.listen(500)
print("up")
def serve(c):
    with c:
        if how == "early":
            while len(c.recv(4000, socket.MSG_PEEK)) < 4000: pass
            c.recv(10)
        c.sendall(answer)
        if how == "abort":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


def connections(t):
    return 40 if t.fast else 200


def check_complete(got, count, what):
    check_equal(got, {len(ANSWER): count}, what)


def asked_by_guest(t, handler, size):
    server = t.listen(7000, handler)
    for path in PATHS:
        for late in (0, 0.05):
            got = t.python(GUEST_CLIENT, t.srv, 7000, connections(t), size, late,
                           options=[f"--fast-path={path}"])
            check_complete(ast.literal_eval(got), connections(t), f"bytes, fast path {path}, {late} s late")
    server.close()


def asked_of_guest(t, how, size):
    names = {"errno": errno, "time": time}
    exec(CLIENT, names)  # pylint: disable=exec-used

    def make():
        return socket_in(t.net.cli, t.family, socket.SOCK_STREAM)

    for number, path in enumerate(PATHS):
        port = 8080 + number
        place = (t.srv if t.engine == "direct" else {4: "10.0.1.1", 6: "fd01::1"}[t.family], port)
        if t.engine == "direct":
            handler = answer_early if how == "early" else answer_and_abort
            t.listen(port, handler)
        else:
            child = t.start_python(GUEST_SERVER, ANY[t.family], 80, how, ANSWER.decode(),
                                   options=["-p", f"{port}:80", f"--fast-path={path}"])
            check_equal(read_line(child), "up", "guest")
        for late in (0, 0.05):
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                jobs = [pool.submit(names["ask"], make, place, size, late)
                        for _ in range(connections(t))]
            got = {}
            for job in jobs:
                got[job.result()] = got.get(job.result(), 0) + 1
            check_complete(got, connections(t), f"bytes, fast path {path}, {late} s late")


@pytest.mark.engines("direct")
@each_family
def test_early_answer_of_a_server(t):
    asked_by_guest(t, answer_early, 4000)


@pytest.mark.engines("direct")
@each_family
def test_answer_and_reset_of_a_server(t):
    asked_by_guest(t, answer_and_abort, 0)


@pytest.mark.engines("direct")
@each_family
def test_early_answer_of_a_guest(t):
    asked_of_guest(t, "early", 4000)


@pytest.mark.engines("direct")
@each_family
def test_answer_and_reset_of_a_guest(t):
    asked_of_guest(t, "abort", 0)


URGENT = """
s = connect(args[0], args[1])
if args[2] == "send":
    s.sendall(b"a" * 100_000); s.send(b"!", socket.MSG_OOB); s.sendall(b"z" * 100_000)
    s.shutdown(socket.SHUT_WR)
print(read_all(s).decode())
"""


@pytest.mark.engines("direct")
@each_family
def test_urgent_bytes_move_no_other(t):
    """Directly they are out of the stream; through us they stand in it, at their place."""
    wanted = "a" * 100_000 + ("" if t.engine == "direct" else "!") + "z" * 100_000

    def send(connection):
        connection.sendall(b"a" * 100_000)
        connection.send(b"!", socket.MSG_OOB)
        connection.sendall(b"z" * 100_000)

    def receive(connection):
        data = b""
        while part := connection.recv(65536):
            data += part
        return data.decode()

    for number, path in enumerate(PATHS):
        options = [f"--fast-path={path}"]
        t.listen(7000 + number, send)
        got = t.python(URGENT, t.srv, 7000 + number, "receive", options=options).strip()
        check(got == wanted, f"to the guest, {path}: {len(got)} bytes, {got.count('!')} urgent")
        server = t.listen(7010 + number, receive)
        t.python(URGENT, t.srv, 7010 + number, "send", options=options)
        got = server.result()
        check(got == wanted, f"of the guest, {path}: {len(got)} bytes, {got.count('!')} urgent")
