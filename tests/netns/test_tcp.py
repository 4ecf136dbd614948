"""TCP through the engine: how flows open, close, fail and press back."""

import errno
import socket
import struct
import subprocess
import time

from harness import (any_engine, check, check_equal, each_family, echo, elapsed, finish, processes,
                     read_line)


def outcome(t, address, port, timeout=5):
    name, seconds = t.python("print(*outcome(*args[:2], float(args[2])))", address, port, timeout,
                             ).split()
    return name, float(seconds)


@any_engine
@each_family
def test_echo_round_trip(t):
    t.listen(7000, echo)
    code = """
s = connect(*args)
s.sendall(b"hello"); s.shutdown(socket.SHUT_WR)
print(read_all(s).decode())
"""
    check_equal(t.python(code, t.srv, 7000).strip(), "hello", "echo")


@any_engine
@each_family
def test_half_close_by_guest_with_nc(t):
    """The server answers only after it has seen the guest's end."""

    def handler(connection):
        data = b""
        while part := connection.recv(65536):
            data += part
        connection.sendall(b"after your end: " + data)
        return data

    server = t.listen(7000, handler)
    done = t.guest_ok(["nc", "-N", t.srv, "7000"], input="from the guest\n")
    check_equal(done.stdout, "after your end: from the guest\n", "reply after half-close")
    check_equal(server.result(), b"from the guest\n", "what the server read")


@any_engine
@each_family
def test_half_close_by_server(t):
    """The guest goes on sending after it has seen the server's end."""

    def handler(connection):
        connection.sendall(b"mine is all said")
        connection.shutdown(socket.SHUT_WR)
        total = 0
        while part := connection.recv(65536):
            total += len(part)
        return total

    server = t.listen(7000, handler)
    code = """
s = connect(*args)
print(read_all(s).decode())
time.sleep(0.3)
s.sendall(b"x" * 3_000_000)
s.close()
"""
    check_equal(t.python(code, t.srv, 7000).strip(), "mine is all said", "server's words")
    check_equal(server.result(), 3_000_000, "bytes sent after the server's end")


@any_engine
@each_family
def test_refused_at_once(t):
    name, seconds = outcome(t, t.srv, 9)
    check_equal(name, "ECONNREFUSED", "connect to a closed port")
    check(seconds < 0.5, f"it took {seconds:.2f} s")


@each_family
def test_unreachable_host(t):
    target = {4: "10.77.0.1", 6: "fd77::1"}[t.family]
    t.net.ip(t.net.hst, f"{'-6 ' if t.family == 6 else ''}route add unreachable {target}")
    name, seconds = outcome(t, target, 80)
    check_equal(name, "EHOSTUNREACH", "connect to an unreachable host")
    check(seconds < 1.5, f"it took {seconds:.2f} s")


def silent_address(t):
    """An address that swallows every packet without a word."""
    target = {4: "10.66.0.1", 6: "fd66::1"}[t.family]
    t.net.ip(t.net.srv, f"{'-6 ' if t.family == 6 else ''}route add blackhole {target}")
    return target


@any_engine
@each_family
def test_silent_host_blocks_nobody_else(t):
    silent = silent_address(t)
    t.listen(7000, echo)
    code = """
silent = socket.socket(socket.AF_INET6 if ":" in args[1] else socket.AF_INET)
silent.setblocking(False)
silent.connect_ex((args[1], 9999))
for _ in range(20):
    s = connect(args[0], 7000); s.sendall(b"x"); assert s.recv(1) == b"x"
print(*outcome(args[1], 9999, 3.5))
"""
    name, seconds = t.python(code, t.srv, silent).split()
    check_equal(name, "timeout", "connect to a silent host")
    check(float(seconds) > 3.4, "it ended early")


@any_engine
@each_family
def test_reset_by_server(t):
    def handler(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    t.listen(7000, handler)
    code = """
s = connect(*args)
s.sendall(b"x")
try: print("read", len(s.recv(1)))
except OSError as error: print(errno.errorcode[error.errno])
"""
    check_equal(t.python(code, t.srv, 7000).strip(), "ECONNRESET", "reset by the server")


@any_engine
@each_family
def test_reset_by_guest(t):
    def handler(connection):
        connection.sendall(b"y")
        while connection.recv(100):
            pass

    server = t.listen(7000, handler)
    code = """
s = connect(*args)
s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
time.sleep(0.5)
"""
    t.python(code, t.srv, 7000)
    result = server.result()
    check(isinstance(result, OSError) and result.errno == errno.ECONNRESET,
          f"the server should see ECONNRESET, it saw {result!r}")


@any_engine
@each_family
def test_five_thousand_concurrent_connections(t):
    t.lab_server("--echo", 7007)
    limits = ["--max-flows", "20000", "--new-flows-per-second", "100000"]
    done = t.guest_ok([t.client("rr-client"), t.srv, "7007", "4", "--size", "2000",
                       "--concurrency", "5000", "--json"],
                      limits if t.engine == "sluice" else (), timeout=180)
    check('"n":20000' in done.stdout, f"round trips: {done.stdout}")


@any_engine
@each_family
def test_slow_server_blocks_the_writer(t):
    """The writer stops instead of filling somebody's memory, and every byte arrives in the end."""
    t.lab_server("--slow", "7010:200000")
    code = """
s = connect(*args)
s.setblocking(False)
sent, end = 0, time.monotonic() + 8
while time.monotonic() < end:
    try: sent += s.send(b"x" * 65536)
    except BlockingIOError: time.sleep(0.01)
print(sent)
sys.stdin.read()
"""
    child = t.start_python(code, t.srv, 7010, stdin=subprocess.PIPE)
    engine = t.engine_pid(child)
    time.sleep(3)  # Until the buffers on the way are full.
    before = processes.memory_kib(engine)["rss"]
    sent = int(read_line(child, 30))
    after = processes.memory_kib(engine)["rss"]
    # Kernel buffers on both sides take several MiB; without back-pressure it is gigabytes.
    check(sent < 60_000_000, f"the writer was never stopped: {sent} bytes")
    check(after - before < 1024, f"the engine grew by {after - before} KiB while nothing moved")
    check(t.engine != "sluice" or after < 24 * 1024, f"the engine has {after} KiB")


@any_engine
@each_family
def test_slow_reader_loses_nothing(t):
    t.lab_server("--chargen", 7019)
    child = t.start([t.client("slow-reader-client"), t.srv, "7019", "--rate", "50000",
                     "--seconds", "3", "--drain", "100000000"])
    engine = t.engine_pid(child)
    before = processes.memory_kib(engine)["rss"]
    time.sleep(2.5)
    growth = processes.memory_kib(engine)["rss"] - before
    status, out, err = finish(child, 60)
    check_equal(status, 0, f"slow-reader-client ({err.strip()})")
    check(growth < 8192, f"the engine grew by {growth} KiB while the guest did not read")
    check('"read":1' in out, out)


@any_engine
@each_family
def test_many_short_connections(t):
    t.lab_server("--echo", 7007)
    limits = ["--new-flows-per-second", "1000000"] if t.engine == "sluice" else ()
    _, seconds = elapsed(lambda: t.guest_ok(
        [t.client("crr-client"), t.srv, "7007", "100", "--concurrency", "32"], limits, timeout=60))
    check(seconds < 30, f"3,200 cycles took {seconds:.0f} s")


@any_engine
@each_family
def test_server_closes_with_data_in_flight(t):
    """All that was sent before the end arrives before the end."""
    size = 8_000_000

    def handler(connection):
        connection.recv(1)
        connection.sendall(bytes(i % 251 for i in range(1000)) * (size // 1000))

    t.listen(7000, handler)
    code = """
s = connect(*args)
s.sendall(b"x")
time.sleep(0.2)
data = read_all(s)
print(len(data), hashlib.sha256(data).hexdigest() ==
      hashlib.sha256(bytes(i % 251 for i in range(1000)) * (len(data) // 1000)).hexdigest())
"""
    check_equal(t.python(code, t.srv, 7000).split(), [str(size), "True"], "data before the end")
