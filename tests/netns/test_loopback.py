"""The loopback path outwards: ports of the guest's loopback that lead to the host's (-T)."""

import json
import os
import signal
import socket
import struct
import subprocess

import pytest

from harness import (GUEST, GUEST_PRELUDE, LOOPBACK, PYTHON, check, check_equal, each_family, echo,
                     read_line)
from test_attach import Attached
from test_control import WAIT, Run
from test_pasta_dropin import Pasta

# What carries it has no need of the fast path, and each worker has its part.
WAYS = {"auto": [], "off": ["--fast-path=off"], "workers": ["--workers=2"],
        "off-workers": ["--fast-path=off", "--workers=2"]}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets.

EXCHANGE = """
import threading
def exchange(s, size):
    # Whether what comes back while it is sent is what was sent.
    data = os.urandom(1 << 20) * (size >> 20)
    def send():
        s.sendall(data); s.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    got = hashlib.sha256()
    while part := s.recv(1 << 18): got.update(part)
    return got.hexdigest() == hashlib.sha256(data).hexdigest()
"""


def on_host(t, port, handler):
    """A server at the host's loopback."""
    return t.listen(port, handler, t.net.hst, LOOPBACK[t.family])


def says(word):
    def handler(connection):
        connection.sendall(word)
    return handler


@each_way
@each_family
def test_a_port_of_the_guests_loopback_leads_to_the_hosts(t, way):
    on_host(t, 7000, echo)
    done = t.python(EXCHANGE + "print(exchange(connect(args[0], 7000), 8 << 20))",
                    LOOPBACK[t.family], options=["-T", "7000", *way])
    check_equal(done, "True\n", "8 MiB both ways")


@each_family
def test_they_are_there_when_the_command_begins(t):
    """A shell is quicker than an interpreter."""
    on_host(t, 7000, says(b"hello"))
    ask = f"exec 3<>/dev/tcp/{LOOPBACK[t.family]}/7000 && head -c 5 <&3"
    got = [t.guest(["bash", "-c", ask], ["-T", "7000"]).stdout for _ in range(10)]
    check_equal(got, ["hello"] * 10, "what the command got at once")


@each_family
def test_lists_and_mappings(t):
    for port in (7002, 7101, 7200):
        on_host(t, port, says(b"%d" % port))
    done = t.python("""
for port in args[1:]:
    try: print(read_all(connect(args[0], port)).decode())
    except OSError as error: print(errno.errorcode[error.errno])
""", LOOPBACK[t.family], 80, 9001, 9002, 7200, 7002,
                    options=["-T", "80:7002,9000-9002:7100,~9002", "--tcp-ns", "7200"])
    check_equal(done.split(), ["7002", "7101", "ECONNREFUSED", "7200", "ECONNREFUSED"],
                "what the guest's ports lead to")


@each_family
def test_they_are_of_the_loopback_alone(t):
    """Not of the guest's address; and what is not named is out of reach."""
    on_host(t, 7000, echo)
    on_host(t, 7001, echo)
    done = t.python("print([outcome(*word.split())[0] for word in args])",
                    f"{GUEST[t.family]} 7000", f"{LOOPBACK[t.family]} 7001",
                    options=["-T", "7000"])
    check_equal(done, "['ECONNREFUSED', 'ECONNREFUSED']\n", "other ways")


@each_family
def test_no_rule_and_no_host_loopback_is_needed(t):
    on_host(t, 7000, says(b"hello"))
    done = t.python("print(read_all(connect(args[0], 7000)).decode())", LOOPBACK[t.family],
                    options=["-T", "7000", "--default", "deny"])
    check_equal(done, "hello\n", "what the host's server says")


@each_way
@each_family
def test_a_server_that_is_not_there_is_a_reset_at_once(t, way):
    done = t.python("""
begun = time.monotonic()
try:
    s = connect(args[0], 7000)
    print(s.recv(1) or "the end", time.monotonic() - begun)
except (ConnectionRefusedError, ConnectionResetError):
    print("refused", time.monotonic() - begun)
""", LOOPBACK[t.family], options=["-T", "7000", *way])
    said, took = done.split()
    check_equal(said, "refused", "what the client sees")
    check(float(took) < 3, f"it took {took} s")


@each_way
@each_family
def test_half_closed_connections_stay_open_the_other_way(t, way):
    def guest_ends_first(connection):
        said = b"".join(iter(lambda: connection.recv(65536), b""))
        connection.sendall(b"%d" % len(said))
        return len(said)

    def host_ends_first(connection):
        connection.sendall(b"all of it")
        connection.shutdown(socket.SHUT_WR)
        return sum(len(part) for part in iter(lambda: connection.recv(65536), b""))

    first, second = on_host(t, 7000, guest_ends_first), on_host(t, 7001, host_ends_first)
    done = t.python("""
s = connect(args[0], 7000); s.sendall(bytes(100_000)); s.shutdown(socket.SHUT_WR)
print(read_all(s).decode())
s = connect(args[0], 7001); print(read_all(s).decode()); s.sendall(bytes(300_000)); s.close()
""", LOOPBACK[t.family], options=["-T", "7000-7001", *way])
    check_equal(done, "100000\nall of it\n", "what the guest got")
    check_equal((first.result(), second.result()), (100_000, 300_000), "what the host got")


@each_way
@each_family
def test_resets_pass_both_ways(t, way):
    def resets(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def is_reset(connection):
        connection.sendall(b"x")
        return connection.recv(1)

    on_host(t, 7000, resets)
    server = on_host(t, 7001, is_reset)
    done = t.python("""
s = connect(args[0], 7000); s.sendall(b"x")
try: print(s.recv(1))
except ConnectionResetError: print("reset")
s = connect(args[0], 7001); s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
""", LOOPBACK[t.family], options=["-T", "7000-7001", *way])
    check_equal(done, "reset\n", "what the guest sees")
    ended = server.result()
    check(isinstance(ended, ConnectionResetError), f"what the host sees: {ended!r}")


@each_way
@each_family
def test_many_at_once(t, way):
    on_host(t, 7000, echo)
    done = t.python("""
all = [connect(args[0], 7000) for _ in range(200)]
for i, s in enumerate(all): s.sendall(b"%d." % i * 1000)
for s in all: s.shutdown(socket.SHUT_WR)
print(sum(read_all(s) == b"%d." % i * 1000 for i, s in enumerate(all)))
""", LOOPBACK[t.family], options=["-T", "7000", *way])
    check_equal(done, "200\n", "echoes that were right")


@each_way
@each_family
def test_people_see_and_end_them(t, way):
    on_host(t, 7000, echo)
    run = Run(t, """
keep, lose = connect(args[0], 7000), connect(args[0], 7000)
for s in (keep, lose): s.sendall(b"x" * 1000); s.recv(1000, socket.MSG_WAITALL)
print(lose.getsockname()[1], flush=True); sys.stdin.readline()
try: print(lose.recv(1))
except OSError as error: print(error.strerror)
keep.sendall(b"y"); print(keep.recv(1))
""", LOOPBACK[t.family], options=["-T", "7000", *way])
    port = int(run.line())
    flows = run.flows()
    check_equal(len(flows), 2, f"how many there are: {flows}")
    for flow in flows:
        check_equal((flow["path"], flow["proto"], flow["direction"]), ("relay", "tcp", "out"),
                    "its path")
        check_equal((flow["guest"], flow["address"], flow["port"]),
                    (LOOPBACK[t.family], LOOPBACK[t.family], 7000), "its ends")
        check_equal((flow["bytes_to_host"], flow["bytes_to_guest"]), (1000, 1000), "its bytes")
    run.ctl_ok("kill", next(flow["flow"] for flow in flows if flow["guest_port"] == port))
    run.say()
    check_equal([run.line(), run.line()], ["Connection reset by peer", "b'y'"],
                "what the guest sees")
    run.finish()


@each_way
@each_family
def test_they_are_in_the_log_and_in_the_report(t, way):
    on_host(t, 7000, echo)
    log, report = t.file("flows"), t.file("report")
    t.python("s = connect(args[0], 7000); s.sendall(bytes(500_000)); s.shutdown(socket.SHUT_WR);"
             "read_all(s)", LOOPBACK[t.family],
             options=["-T", "7000", "--flow-log", log, "--report=json", "--report-file", report,
                      *way])
    with open(log, encoding="utf-8") as file:
        (flow,) = [json.loads(line) for line in file]
    check_equal((flow["address"], flow["port"], flow["bytes_to_host"], flow["bytes_to_guest"],
                 flow["outcome"]), (LOOPBACK[t.family], 7000, 500_000, 500_000, "closed"),
                "the line of the log")
    with open(report, encoding="utf-8") as file:
        text = file.read()
    check(text.count("500000") >= 2, f"the report: {text}")


@each_way
@each_family
def test_limits_of_the_run_count(t, way):
    on_host(t, 7000, echo)
    done = t.python("""
kept, lost = [], 0
for _ in range(8):
    try:
        s = connect(args[0], 7000)
        s.sendall(b"x"); kept.append(s) if s.recv(1) else None
    except OSError: lost += 1
print(len(kept), lost)
""", LOOPBACK[t.family], options=["-T", "7000", "--max-flows", "5", *way])
    check_equal(done, "5 3\n", "eight connections with --max-flows 5")


@each_way
@each_family
def test_a_quota_of_the_run_holds(t, way):
    got = []

    def counts(connection):
        try:
            while part := connection.recv(1 << 18):
                got.append(len(part))
        except OSError:
            pass

    on_host(t, 7000, counts)
    done = t.python("""
s = connect(args[0], 7000)
try:
    for _ in range(64): s.sendall(bytes(1 << 18))
    s.shutdown(socket.SHUT_WR); read_all(s); print("whole")
except OSError: print("reset")
""", LOOPBACK[t.family], options=["-T", "7000", "--limit", "to-host=4MiB", *way])
    check_equal(done, "reset\n", "how it ended")
    check((4 << 20) - 65536 <= sum(got) <= 4 << 20, f"{sum(got)} bytes got there")


@each_way
@each_family
def test_what_leads_in_and_out_at_once_does_not_go_round(t, way):
    """A published port that nobody serves, and the same port of the guest's loopback is ours."""
    run = Run(t, WAIT, options=["-p", "8080:8080", "-T", "8080", "--max-flows", "200",
                                "--flow-log", t.file("flows"), *way])
    check_equal(run.line(), "up", "the guest")
    try:  # The reset may come before connect() has looked at its result.
        client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8080)
        check_equal(client.recv(1), b"", "what the client sees")
    except ConnectionResetError:
        pass
    run.say()
    run.finish()
    with open(t.file("flows"), encoding="utf-8") as file:
        flows = file.readlines()
    check(len(flows) <= 3, f"{len(flows)} flows of one client, as {flows[:4]}")


@each_family
def test_of_a_namespace_that_is_there_what_it_has_itself_stays_its_own(t):
    on_host(t, 7000, says(b"the host"))
    on_host(t, 7001, says(b"the host"))
    code = f"""
import socket
s = socket.socket(socket.AF_INET6 if {t.family} == 6 else socket.AF_INET)
s.bind(("{LOOPBACK[t.family]}", 7000)); s.listen(); print("up", flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"the guest"); c.close()
"""
    theirs = t.net.popen(t.net.hst, [
        "unshare", "--user", "--map-root-user", "--net", "sh", "-c",
        'ip link set lo up; exec "$@"', "sh", PYTHON, "-c", code], True, stdout=subprocess.PIPE)
    check_equal(read_line(theirs), "up", "who has the port")
    attached = Attached(t, "-T", "7000-7001", hold=[
        "nsenter", f"--target={theirs.pid}", "--user", "--net", "--preserve-credentials", "sleep",
        "600"])
    for port, who in ((7000, "the guest\n"), (7001, "the host\n")):
        check_equal(attached.python(f"print(read_all(connect(args[0], {port})).decode())",
                                    LOOPBACK[t.family]), who, f"who has {port}")
    theirs.kill()
    os.kill(attached.process, signal.SIGKILL)
    said = attached.ended()
    warnings = [line for line in said.splitlines() if "does not lead to the host's" in line]
    check_equal(len(warnings), 1, f"warnings: {said}")
    check(":7000/tcp of the guest" in warnings[0] and "a program in the guest" in warnings[0],
          warnings[0])


@each_family
def test_as_pasta(t):
    on_host(t, 7000, echo)
    code = EXCHANGE + "print(exchange(connect(args[0], 8000), 8 << 20))"
    pasta = Pasta(t)
    done = pasta.run("--config-net", "-t", "none", "-u", "none", "-T", "8000:7000", "--", PYTHON,
                     "-c", GUEST_PRELUDE + code, LOOPBACK[t.family])
    check_equal(done.stdout, "True\n", f"8 MiB both ways: {done.stderr}")
    quiet = pasta.run("--config-net", "-t", "none", "-u", "none", "--", "true")
    check_equal((quiet.returncode, quiet.stderr), (0, ""), "by default nothing is said")
    wrong = pasta.run("-T", "all", "--", "true")
    check_equal(wrong.returncode, 1, "exit status of all ports")
    check("expected 1024 at most" in wrong.stderr, wrong.stderr)
