"""How a run ends: what the command left in its sockets, who is reset, and connections that are
left half open or silent."""

import errno
import os
import signal
import socket
import threading
import time

import pytest

from harness import (ANY, Server, check, check_equal, each_family, elapsed, finish, read_line,
                     socket_in)

PATHS = ("off", "auto")


def slow_listener(t, port, handler):
    """A server whose kernel takes little ahead of its program."""
    listener = socket_in(t.net.srv, t.family, socket.SOCK_STREAM, ANY[t.family], port)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    t._closing.callback(listener.close)
    return Server(listener, handler)


def read_slowly(rate):
    """A handler: (bytes, how it ended), at `rate` bytes a second."""

    def handler(connection):
        connection.settimeout(120)
        total, started = 0, time.monotonic()
        try:
            while part := connection.recv(16384):
                total += len(part)
                time.sleep(max(0.0, started + total / rate - time.monotonic()))
        except OSError as error:
            return total, errno.errorcode.get(error.errno, str(error))
        return total, "end"

    return handler


WRITES_AND_LEAVES = """
s = connect(args[0], args[1])
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 20)
s.sendall(b"x" * int(args[2]))
"""


@each_family
def test_slow_server_gets_all_after_the_command_ended(t):
    """Much more than the sockets on the way hold; the command is gone long before it is read."""
    size = 5 << 20
    problems = []

    def one(path, port, rate):
        server = slow_listener(t, port, read_slowly(rate))
        child = t.start_python(WRITES_AND_LEAVES, t.srv, port, size,
                               options=[f"--fast-path={path}"])
        status, _, err = finish(child, 100)
        got = server.result(100)
        if status != 0 or got != (size, "end"):
            problems.append(f"{path} {rate}: {got}, exit {status}, {err.strip()}")

    threads = [threading.Thread(target=one, args=(path, 7000 + 10 * i + j, rate))
               for i, path in enumerate(PATHS) for j, rate in enumerate((320 << 10, 640 << 10))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not problems, "; ".join(problems))


@each_family
def test_a_signal_gives_up_what_no_server_takes(t):
    """The server is told that it does not have all, and so is whoever started the command."""
    for path, number, port in (("off", signal.SIGTERM, 7000), ("auto", signal.SIGINT, 7001)):
        go_on = threading.Event()

        def handler(connection, go_on=go_on):
            go_on.wait(60)
            return read_slowly(1 << 30)(connection)

        server = slow_listener(t, port, handler)
        child = t.start_python(WRITES_AND_LEAVES + "print('left', flush=True)\n", t.srv, port,
                               6 << 20, options=[f"--fast-path={path}"])
        check_equal(read_line(child, 40), "left", "guest")
        time.sleep(2)
        check(child.poll() is None, f"{path}: it did not wait for the server")
        child.send_signal(number)
        (status, _, err), seconds = elapsed(lambda child=child: finish(child))
        check(seconds < 3, f"{path}: it took {seconds:.1f} s to give up")
        check_equal(status, 0, "the command's status")
        check("reset before all that the guest sent was delivered" in err
              and f"{port}" in err, f"{path}: it said {err!r}")
        go_on.set()
        _, end = server.result(60)
        check_equal(end, "ECONNRESET", f"{path}: what the server saw")


@each_family
def test_half_told_streams_are_reset_when_the_engine_is_killed(t):
    for path, port in (("off", 7000), ("require", 7001)):
        server = slow_listener(t, port, read_slowly(1 << 30))
        code = """
s = connect(*args)
for _ in range(4):
    s.sendall(b"x" * 100_000)
    time.sleep(0.1)
print("sent", flush=True)
time.sleep(60)
"""
        child = t.start_python(code, t.srv, port, options=[f"--fast-path={path}"])
        check_equal(read_line(child, 40), "sent", "guest")
        os.kill(t.engine_pid(child), signal.SIGKILL)
        got = server.result()
        check_equal(got[1], "ECONNRESET", f"{path}: what the server saw after {got[0]} bytes")


@each_family
def test_short_streams_are_reset_when_the_engine_is_killed(t):
    """However little the server has got, it sees a FIN only where the guest has sent one."""
    sizes = (0, 100, 5000, 15_000, 40_000)
    for path, base in (("off", 7000), ("auto", 7010)):
        servers = [slow_listener(t, base + i, read_slowly(1 << 30)) for i in range(len(sizes) + 1)]
        code = """
open_ones = []
for i, size in enumerate(args[2:]):
    s = connect(args[0], int(args[1]) + i)
    s.sendall(b"x" * int(size))
    open_ones.append(s)
s = connect(args[0], int(args[1]) + len(args) - 2)
s.sendall(b"x" * 100)
s.shutdown(socket.SHUT_WR)
time.sleep(0.3)
print("sent", flush=True)
time.sleep(60)
"""
        child = t.start_python(code, t.srv, base, *sizes, options=[f"--fast-path={path}"])
        check_equal(read_line(child, 40), "sent", "guest")
        os.kill(t.engine_pid(child), signal.SIGKILL)
        for server, size in zip(servers, sizes):
            check_equal(server.result()[1], "ECONNRESET", f"{path}: what ended {size} bytes")
        check_equal(servers[-1].result(), (100, "end"), f"{path}: the stream that was finished")


@each_family
def test_a_published_stream_is_reset_when_the_engine_is_killed(t):
    code = """
listener = socket.create_server((args[0], 80), family=socket.AF_INET6 if ":" in args[0]
                                else socket.AF_INET)
print("up", flush=True)
connection = listener.accept()[0]
connection.sendall(b"x" * 100)
print("sent", flush=True)
time.sleep(60)
"""
    for path, port in (("off", 8080), ("auto", 8081)):
        child = t.start_python(code, ANY[t.family], options=["-p", f"{port}:80",
                                                             f"--fast-path={path}"])
        check_equal(read_line(child, 40), "up", "guest")
        with t.connect_from(t.net.cli, {4: "10.0.1.1", 6: "fd01::1"}[t.family], port) as client:
            check_equal(read_line(child, 40), "sent", "guest")
            os.kill(t.engine_pid(child), signal.SIGKILL)
            check_equal(read_slowly(1 << 30)(client)[1], "ECONNRESET",
                        f"{path}: what the client saw")


@each_family
def test_a_still_connection_in_the_background_holds_nobody(t):
    t.listen(7000, lambda connection: connection.recv(1))
    code = """
if os.fork() == 0:
    os.setsid()
    for fd in range(3): os.close(fd)
    s = connect(*args)
    time.sleep(8)
    os._exit(0)
time.sleep(1)
"""
    for path in PATHS:
        child = t.start_python(code, t.srv, 7000, options=[f"--fast-path={path}"])
        (status, _, err), seconds = elapsed(lambda child=child: finish(child))
        check_equal((status, err), (0, ""), f"{path}: how it ended")
        check(seconds < 5, f"{path}: it took {seconds:.1f} s")


def wait_for_error(connection, seconds):
    """The errno that a connection ends with, and after how long."""
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error != 0:
            return errno.errorcode[error], time.monotonic() - started
        time.sleep(0.1)
    return "nothing", seconds


def probing(connection, idle=1, interval=1, count=3):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, idle), (socket.TCP_KEEPINTVL, interval),
                          (socket.TCP_KEEPCNT, count)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


@pytest.mark.engines("direct")
@each_family
def test_a_forgotten_connection_ends_at_the_server(t):
    """The program is gone, and its kernel forgets after 2 s: the server's probes are refused."""

    def handler(connection):
        probing(connection)
        while connection.recv(65536):
            pass
        return wait_for_error(connection, 30)

    for path, port in ((None, 7000),) if t.engine == "direct" else (("off", 7000),
                                                                     ("require", 7001)):
        server = t.listen(port, handler)
        code = """
s = connect(*args)
s.sendall(b"x" * 1000)
time.sleep(0.3)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 2)
s.close()
time.sleep(25)
"""
        child = t.start_python(code, t.srv, port,
                               options=[f"--fast-path={path}"] if path else [])
        end, seconds = server.result(60)
        check(end in ("ECONNRESET", "EPIPE"), f"{path}: the server saw {end} in {seconds:.1f} s")
        check(seconds < 15, f"{path}: only after {seconds:.1f} s")
        child.terminate()
        finish(child)


@pytest.mark.engines("direct")
@pytest.mark.slow_twin
@each_family
def test_a_half_closed_connection_stays_while_its_program_lives(t):
    """The server answers long after the guest's end, and nobody took it for gone."""

    def handler(connection):
        while connection.recv(65536):
            pass
        time.sleep(13)
        connection.sendall(b"late")

    t.listen(7000, handler)
    code = """
s = connect(*args); s.sendall(b"x" * 1000); s.shutdown(socket.SHUT_WR)
print(read_all(s).decode())
"""
    for path in (None,) if t.engine == "direct" else ("off", "require"):
        out = t.python(code, t.srv, 7000, options=[f"--fast-path={path}"] if path else [])
        check_equal(out.strip(), "late", f"{path}: the answer")


def vanish(t, verb):
    """Nothing that the server sends arrives any more, as when its machine is gone."""
    home = (t.net.CLI if t.engine == "direct" else t.net.HST)[t.family]
    t.net.ip(t.net.srv, f"{'-6 ' if t.family == 6 else ''}route {verb} blackhole {home}")


@pytest.mark.engines("direct")
@pytest.mark.slow_twin
@each_family
def test_a_peer_that_vanished_is_noticed_by_keep_alives(t):
    """In the guest's own time, as its kernel tells it: 2 s of silence, 4 probes, 1 s apart."""
    t.listen(7000, lambda connection: connection.recv(1) and time.sleep(60))
    code = """
s = connect(args[0], 7000)
s.sendall(b"x" * 2)
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
time.sleep(float(args[1]))
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
print("alive", flush=True)
sys.stdin.readline()
started = time.monotonic()
s.settimeout(150)
try: s.recv(1)
except OSError as error: print(errno.errorcode.get(error.errno, "nothing"), time.monotonic() - started)
"""
    # By the tap the guest's probes are the host's to answer. On the fast path its kernel answers,
    # and ours looks now and then how often it is asked.
    for path, learn, within in (((None, 3, 15),) if t.engine == "direct" else
                                (("off", 5, 20), ("require", 50, 20))):
        child = t.start_python(code, t.srv, learn, stdin=-1,
                               options=[f"--fast-path={path}"] if path else [])
        check_equal(read_line(child, 90), "alive", f"{path}: guest")
        vanish(t, "add")
        child.stdin.write(b"\n")
        child.stdin.flush()
        said = read_line(child, 160)
        vanish(t, "del")
        finish(child)
        name, seconds = said.split()
        check_equal(name, "ETIMEDOUT", f"{path}: what it saw")
        check(float(seconds) < within, f"{path}: after {float(seconds):.1f} s")


@pytest.mark.slow_twin
@each_family
def test_a_peer_that_comes_back_finds_a_patient_guest(t):
    """Keep-alives without an answer are no end for a guest that goes on asking."""

    def echo(connection):
        connection.settimeout(120)
        while data := connection.recv(100):
            connection.sendall(data)

    t.listen(7000, echo)
    code = """
s = connect(args[0], 7000)
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 100)
s.settimeout(60)
s.sendall(b"1")
assert s.recv(1) == b"1"
time.sleep(50)
print("alive", flush=True)
sys.stdin.readline()
s.sendall(b"2")
print(s.recv(1).decode(), flush=True)
"""
    child = t.start_python(code, t.srv, stdin=-1, options=["--fast-path=require"])
    check_equal(read_line(child, 90), "alive", "guest")
    vanish(t, "add")
    time.sleep(10)
    vanish(t, "del")
    child.stdin.write(b"\n")
    child.stdin.flush()
    check_equal(read_line(child, 60), "2", "what came back")
