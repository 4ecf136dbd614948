"""The fast path: connections that the guest's kernel carries, and guests that interfere."""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import (ANY, Failure, bracket, check, check_equal, each_family, echo, finish, processes,
                     read_line, shorten)

REQUIRE = ["--fast-path=require"]
MIB = 1 << 20


class Guest:
    """A guest of Python code whose engine tells its counters when asked."""

    def __init__(self, t, code, *arguments, options=(), nobody=True):
        self._t = t
        self._path = t.file("stderr")
        with open(self._path, "wb") as errors:
            self.child = t.start_python(code, *arguments, options=[*REQUIRE, *options],
                                        nobody=nobody, stdin=subprocess.PIPE, stderr=errors)
        self._asked = 0

    def line(self, timeout=20):
        try:
            return read_line(self.child, timeout)
        except Failure as error:
            raise Failure(f"{error}; {self.errors()}") from None

    def tell(self, text="go"):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def errors(self):
        with open(self._path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def engine(self):
        return self._t.engine_pid(self.child)

    def counters(self):
        """Of the fast path, by the first word of their names."""
        os.kill(self.engine(), signal.SIGUSR1)
        self._asked += 1
        processes.wait_until(lambda: self.errors().count("dropped or refused") == self._asked, 5,
                             "no counters are printed")
        time.sleep(0.05)
        said = self.errors().rpartition("dropped or refused")[2].partition("fast path:")[2]
        pairs = re.findall(r"^ +(\S.*?) {2,}(\d+)$", said, re.MULTILINE)
        return {name: int(count) for name, count in pairs}

    def handed_over(self):
        return self.counters().get("handed over to the guest's kernel", 0)

    def finish(self, timeout=30):
        status, out, _ = finish(self.child, timeout)
        check_equal(status, 0, f"exit status of the guest ({shorten(self.errors())})")
        return out.strip()


SEND = """
size = int(args[2])
s = connect(*args[:2]); print("up")
block = os.urandom(1 << 20)
digest = hashlib.sha256()
for at in range(0, size, len(block)):
    s.sendall(block[:size - at]); digest.update(block[:size - at])
s.shutdown(socket.SHUT_WR)
print(read_all(s).decode() == digest.hexdigest())
sys.stdin.readline()
"""


def digest_of_all(connection):
    digest = hashlib.sha256()
    while data := connection.recv(1 << 20):
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())


@each_family
def test_fast_path_carries_bytes_out(t):
    t.listen(7000, digest_of_all)
    guest = Guest(t, SEND, t.srv, 7000, 48 * MIB + 17)
    guest.line()
    check_equal(guest.line(60), "True", "the digest")
    check_equal(guest.handed_over(), 1, f"connections handed over ({guest.errors()})")
    guest.tell()
    guest.finish()


@each_family
def test_fast_path_carries_bytes_in(t):
    block = os.urandom(MIB)

    def handler(connection):
        for _ in range(48):
            connection.sendall(block)

    t.listen(7000, handler)
    guest = Guest(t, """
s = connect(*args)
print(hashlib.sha256(read_all(s)).hexdigest())
sys.stdin.readline()
""", t.srv, 7000)
    check_equal(guest.line(60), hashlib.sha256(block * 48).hexdigest(), "the digest")
    check_equal(guest.handed_over(), 1, "connections handed over")
    guest.tell()
    guest.finish()


@each_family
def test_fast_path_is_taken_by_itself_when_it_pays(t):
    """Without the option: a long connection goes over, a short one does not."""
    t.listen(7000, digest_of_all)
    guest = Guest(t, SEND, t.srv, 7000, 16 * MIB, options=["--fast-path=auto"])
    guest.line()
    check_equal(guest.line(60), "True", "the digest")
    check_equal(guest.handed_over(), 1, "long connections handed over")
    guest.tell()
    guest.finish()
    short = Guest(t, SEND, t.srv, 7000, 1000, options=["--fast-path=auto"])
    short.line()
    check_equal(short.line(), "True", "the digest of a short one")
    check_equal(short.handed_over(), 0, "short connections handed over")
    short.tell()
    short.finish()


@each_family
def test_fast_path_rules_are_there_while_they_are_needed(t):
    """Rules cost every packet: without connections they go, and the next hand-over has them back."""
    if not os.path.exists("/usr/sbin/nft"):
        pytest.skip("nftables is not installed")
    t.listen(7000, digest_of_all)
    guest = Guest(t, """
import subprocess
def rules():
    said = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
    return said.count("chain ")
def become(wanted):
    end = time.monotonic() + 30
    while (rules() > 0) != wanted and time.monotonic() < end: time.sleep(0.1)
    return (rules() > 0) == wanted
def send():
    s = connect(args[0], 7000)
    digest = hashlib.sha256()
    for i in range(64):
        piece = bytes([i]) * 65536
        s.sendall(piece); digest.update(piece)
        if i == 32: print(become(True))
    s.shutdown(socket.SHUT_WR)
    return s.makefile("rb").read().decode() == digest.hexdigest()
for _ in range(2):
    print(become(False))
    print(send())
print(become(False))
sys.stdin.readline()
""", t.srv, options=["--as-root", "--fast-path=require"])
    for what in ("away at first", "there with a connection", "the digest", "away after it",
                 "there again", "the second digest", "away at last"):
        check_equal(guest.line(60), "True", what)
    check_equal(guest.handed_over(), 2, "connections handed over")
    guest.tell()
    guest.finish()


@each_family
def test_fast_path_off_hands_nothing_over(t):
    t.listen(7000, digest_of_all)
    guest = Guest(t, SEND, t.srv, 7000, 4 * MIB, options=["--fast-path=off"])
    guest.line()
    check_equal(guest.line(60), "True", "the digest")
    check_equal(guest.counters(), {}, "counters of the fast path")
    guest.tell()
    guest.finish()


@each_family
@pytest.mark.alone
def test_fast_path_question_and_answer(t):
    """Every question waits for its answer, so each is a race with the hand-over."""
    t.listen(7000, echo)
    code = """
s = connect(*args)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
slowest = 0
for i in range(2000):
    word = b"%08d" % i
    started = time.monotonic()
    s.sendall(word)
    got = b""
    while len(got) < 8: got += s.recv(8 - len(got))
    assert got == word, (got, word)
    slowest = max(slowest, time.monotonic() - started)
print(f"{slowest:.3f}")
"""
    for way in ("auto", "require"):
        done = t.python(code, t.srv, 7000, options=[f"--fast-path={way}"])
        check(float(done) < 0.15, f"{way}: the slowest answer took {done} s: a packet was lost")


@each_family
def test_fast_path_half_close_both_ways(t):
    def handler(connection):
        connection.sendall(b"a" * 700_000)
        connection.shutdown(socket.SHUT_WR)
        total = 0
        while part := connection.recv(65536):
            total += len(part)
        return total

    server = t.listen(7000, handler)
    out = t.python("""
s = connect(*args)
print(len(read_all(s)))
time.sleep(0.3)
s.sendall(b"x" * 3_000_000)
s.close()
""", t.srv, 7000, options=REQUIRE)
    check_equal(out.strip(), "700000", "bytes before the server's end")
    check_equal(server.result(), 3_000_000, "bytes after the server's end")


@each_family
def test_fast_path_resets_pass_both_ways(t):
    def by_server(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    t.listen(7000, by_server)
    out = t.python("""
s = connect(*args)
time.sleep(0.2)
s.sendall(b"x")
try: print("read", s.recv(10))
except ConnectionResetError: print("reset")
""", t.srv, 7000, options=REQUIRE)
    check_equal(out.strip(), "reset", "what the guest saw of the server's RST")

    server = t.listen(7001, lambda connection: connection.recv(10))
    t.python("""
s = connect(*args)
time.sleep(0.2)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
""", t.srv, 7001, options=REQUIRE)
    check(isinstance(server.result(), ConnectionResetError),
          f"the server saw {server.result()!r} of the guest's RST")


@each_family
def test_fast_path_slow_reader_presses_back(t):
    """What the guest sends waits in kernels, not in the engine."""
    t.listen(7000, lambda connection: time.sleep(8))
    guest = Guest(t, """
s = connect(*args)
s.settimeout(2)
sent = 0
try:
    while True: sent += s.send(b"x" * 65536)
except TimeoutError: print(sent)
sys.stdin.readline()
""", t.srv, 7000)
    sent = int(guest.line(60))
    check_equal(guest.handed_over(), 1, "connections handed over")
    anon = processes.memory_kib(guest.engine())["anon"]
    check(sent < 64 * MIB, f"{sent} bytes were taken of a reader that reads nothing")
    check(anon < 8192, f"the engine holds {anon} KiB")
    guest.tell()
    guest.finish()


@each_family
def test_fast_path_waits_for_a_guest_that_reads_late(t):
    """The server has closed, and its bytes wait in kernels for longer than a name lasts."""
    block = os.urandom(30_000)

    def handler(connection):
        connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)

    t.listen(7000, handler)
    out = t.python("""
s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect((args[0], int(args[1])))
time.sleep(0.5)
s.shutdown(socket.SHUT_WR)
time.sleep(5)
print(hashlib.sha256(read_all(s)).hexdigest())
""", t.srv, 7000, options=REQUIRE)
    check_equal(out.strip(), hashlib.sha256(block).hexdigest(), "the digest")


@each_family
def test_fast_path_published_port_shows_the_client(t):
    guest = Guest(t, """
family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM)
s.bind((args[0], 80)); s.listen(100)
print("up")
c, peer = s.accept()
digest = hashlib.sha256()
while data := c.recv(1 << 20): digest.update(data)
c.sendall(digest.hexdigest().encode()); c.close()
print(peer[0], peer[1])
sys.stdin.readline()
""", ANY[t.family], options=["-p", "8080:80"])
    guest.line()
    client = t.connect_from(t.net.cli, {4: "10.0.1.1", 6: "fd01::1"}[t.family], 8080)
    block = os.urandom(MIB)
    for _ in range(24):
        client.sendall(block)
    client.shutdown(socket.SHUT_WR)
    got = b""
    while data := client.recv(65536):
        got += data
    check_equal(got.decode(), hashlib.sha256(block * 24).hexdigest(), "the digest")
    name, port = client.getsockname()[:2]
    check_equal(guest.line(), f"{name} {port}", "whom the guest saw")
    check_equal(guest.handed_over(), 1, "connections handed over")
    guest.tell()
    guest.finish()


def test_fast_path_ports_are_used_again_at_once(t):
    """The same two endpoints, 200 times in a row, whichever side closes first."""
    t.family = 4

    def handler(connection):
        data = connection.recv(10)
        connection.sendall(data)
        if data.startswith(b"guest"):
            connection.recv(1)  # The guest closes first.

    t.listen(7000, handler)
    out = t.python("""
done = 0
for i in range(200):
    s = socket.socket(); s.settimeout(5)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 5555))
    s.connect((args[0], int(args[1])))
    time.sleep(0.002 * (i % 3))
    who = b"guest" if i % 2 else b"server"
    s.sendall(who)
    assert s.recv(10) == who
    if who == b"server": assert s.recv(1) == b""
    # No TIME_WAIT of the guest's own.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    done += 1
print(done)
""", t.srv, 7000, options=REQUIRE)
    check_equal(out.strip(), "200", "connections from one port")


@each_family
def test_fast_path_and_tap_report_the_same(t):
    """The report and the flow log, with all connections handed over and with none."""
    t.listen(7000, echo)
    told = {}
    for way in ("require", "off"):
        log = t.file(f"{way}.log")
        report = t.file(f"{way}.json")
        t.python("""
for size in (10, 100_000, 2_000_000):
    s = connect(*args[:2])
    s.sendall(b"x" * 10)
    got = len(s.recv(10, socket.MSG_WAITALL))
    for at in range(10, size, 1 << 16):
        part = b"x" * min(1 << 16, size - at)
        s.sendall(part)
        got += len(s.recv(len(part), socket.MSG_WAITALL))
    s.shutdown(socket.SHUT_WR)
    assert got + len(read_all(s)) == size
s = connect(*args[:2]); time.sleep(0.1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
time.sleep(0.1)
outcome(args[0], 9)
outcome(args[0], 7009)
""", t.srv, 7000, options=["--deny", f"{bracket(t.srv)}:7009", f"--fast-path={way}",
                                    "--flow-log", log, "--report=json", "--report-file", report])
        with open(log, encoding="utf-8") as file:
            flows = [json.loads(line) for line in file]
        keep = ("protocol", "remote", "address", "port", "verdict", "outcome", "bytes_to_host",
                "bytes_to_guest", "sent", "received")
        told[way] = sorted(str([flow[key] for key in keep if key in flow]) for flow in flows)
        check(len(told[way]) >= 6, f"{way}: flows in the log: {flows}")
        with open(report, encoding="utf-8") as file:
            rows = json.load(file)["flows"]
        times = re.compile("duration|first|last|time")
        told[way] += sorted(str({key: value for key, value in row.items()
                                 if not times.search(key)}) for row in rows)
    check_equal(told["require"], told["off"], "what is told of the fast path, and of the tap")


@each_family
def test_fast_path_leaves_programs_on_the_tap_alone(t):
    """A socket that is bound to the tap cannot be reached by the loopback: it stays as it is."""
    t.listen(7000, digest_of_all)
    guest = Guest(t, """
size = 4 << 20
s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tap0")
s.settimeout(10)
s.connect((args[0], int(args[1])))
block = os.urandom(size)
s.sendall(block); s.shutdown(socket.SHUT_WR)
print(read_all(s).decode() == hashlib.sha256(block).hexdigest())
sys.stdin.readline()
""", t.srv, 7000)
    check_equal(guest.line(), "True", "the digest")
    counters = guest.counters()
    check_equal(counters.get("handed over to the guest's kernel", 0), 0, "handed over")
    check(counters.get("hand-overs that failed", 0) > 0, f"nobody tried: {counters}")
    guest.tell()
    guest.finish()


def test_fast_path_in_a_pid_namespace(t):
    t.family = 4
    t.listen(7000, digest_of_all)
    guest = Guest(t, SEND, t.srv, 7000, 8 * MIB, options=["--pid"])
    guest.line()
    check_equal(guest.line(60), "True", "the digest")
    guest.tell()
    guest.finish()


def test_fast_path_of_root(t):
    """Without a user namespace."""
    t.family = 4
    t.listen(7000, digest_of_all)
    guest = Guest(t, SEND, t.srv, 7000, 8 * MIB, nobody=False)
    guest.line()
    check_equal(guest.line(60), "True", "the digest")
    check_equal(guest.handed_over(), 1, "connections handed over")
    guest.tell()
    guest.finish()


def test_fast_path_the_command_does_not_see_the_agent_as_its_child(t):
    out = t.guest_ok(["sh", "-c", "wait; echo waited; cat /proc/self/task/*/children | wc -w"],
                     REQUIRE, timeout=10).stdout
    check(out.startswith("waited"), f"the shell printed {out}")


def test_fast_path_ends_with_the_command(t):
    """Bytes that the command left in its sockets arrive, also of connections handed over."""
    t.family = 4
    server = t.listen(7000, lambda c: (time.sleep(0.5), sum(map(len, iter(lambda: c.recv(65536),
                                                                          b""))))[1])
    t.python("""
s = connect(*args); time.sleep(0.1)
s.sendall(b"x" * 1_000_000)
s.close()
""", t.srv, 7000, options=REQUIRE)
    check_equal(server.result(), 1_000_000, "bytes that arrived after the command had ended")


def test_fast_path_survives_the_agent(t):
    """The guest kills the agent: what was handed over goes on, what is new goes by the tap."""
    t.family = 4
    t.listen(7000, echo)
    guest = Guest(t, """
def say(s):
    s.sendall(b"hello"); return s.recv(5, socket.MSG_WAITALL)
s = connect(*args); time.sleep(0.2); print(say(s).decode())
sys.stdin.readline()
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if open(f"/proc/{pid}/comm").read().strip() == "sluice-agent":
            os.kill(int(pid), signal.SIGKILL)
    except OSError: pass
time.sleep(0.2)
print(say(s).decode(), say(connect(*args)).decode())
""", t.srv, 7000)
    check_equal(guest.line(), "hello", "the echo")
    check_equal(guest.handed_over(), 1, "connections handed over")
    guest.tell()
    check_equal(guest.line(), "hello hello", "the old connection and a new one")
    guest.finish()


CHAOS = {
    "nft_flush": "nft flush ruleset",
    "nft_delete": "nft delete table ip sluice; nft delete table ip6 sluice",
    "nft_reload_of_a_firewall": "printf 'flush ruleset\\ntable inet f { chain i { type filter hook "
                                "input priority 0; policy accept; iif lo accept; } }\\n' | nft -f -",
    "rules_and_routes": "ip rule del pref 100; ip -6 rule del pref 100; ip route flush table 29548;"
                        " ip -6 route flush table 29548",
    "rp_filter": "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done",
    "lo_down_and_up": "ip link set lo down; sleep 0.5; ip link set lo up",
    "tap_down_and_up": "ip link set tap0 down; ip link set tap0 up; "
                       "ip addr add fd00::15/64 dev tap0 nodad; "
                       "ip route replace default via 10.0.2.2; ip -6 route replace default via "
                       "fd00::2",
}


@each_family
@pytest.mark.alone
def test_fast_path_chaos(t):
    """500 active connections while the guest tears at its own network: within 3 s of each blow new
    connections work, the old ones end or go on, and nothing ever reaches what policy denies."""
    if not os.path.exists("/usr/sbin/nft"):
        pytest.skip("nftables is not installed")
    t.lab_server("--echo", 7007)
    denied = {4: "10.0.0.9", 6: "fd02::9"}[t.family]
    capture = t.net.popen(t.net.hst, ["tcpdump", "-lnni", "any", "host", denied],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    guest = Guest(t, """
import threading
address, denied = args[0], args[1]
steps = args[2:]
stop = False
moved = 0
def keep_busy():
    global moved
    while not stop:
        try:
            s = connect(address, 7007, 10)
            while not stop:
                s.sendall(b"x" * 64); s.recv(64, socket.MSG_WAITALL); moved += 1
                time.sleep(0.2)
            s.close()
        except OSError:
            time.sleep(0.2)
def try_denied():
    while not stop:
        outcome(denied, 7007, 1); time.sleep(0.05)
threads = [threading.Thread(target=keep_busy, daemon=True) for _ in range(500)]
threads.append(threading.Thread(target=try_denied, daemon=True))
for one in threads: one.start()
print("up", flush=True)
sys.stdin.readline()
for step in steps:
    before = time.monotonic()
    os.system(step + " 2>/dev/null")
    worked = 0
    started = time.monotonic()
    while time.monotonic() - started < 3 and worked < 5:
        try:
            s = connect(address, 7007, 0.9)
            s.settimeout(0.9)
            s.sendall(b"y" * 64)
            worked += s.recv(64, socket.MSG_WAITALL) == b"y" * 64
            s.close()
        except OSError: pass
    first = time.monotonic() - started
    at = moved
    time.sleep(1.5)
    print(worked, f"{first:.2f}", moved - at, flush=True)
stop = True
for one in threads: one.join(12)
print("over", sum(one.is_alive() for one in threads), flush=True)
sys.stdin.readline()
""", t.srv, denied, *CHAOS.values(), options=["--as-root", "--deny", denied])
    guest.line(60)
    seen = {}

    def carried():
        seen.update(guest.counters())
        # On a busy machine some hand-overs fail, and those connections stay on the tap.
        return seen.get("handed over to the guest's kernel", 0) >= 300

    with contextlib.suppress(processes.LabError):
        processes.wait_until(carried, 60, "300 connections handed over", 0.5)
    check(carried(), f"too few of 500 connections are handed over: {seen}")
    guest.tell()
    for name in CHAOS:
        worked, first, moved = guest.line(60).split()
        check_equal(int(worked), 5, f"{name}: new connections that worked within 3 s")
        check(int(moved) > 500, f"{name}: only {moved} exchanges afterwards ({first} s)")
    check_equal(guest.line(60), "over 0", "threads that still wait")
    engine = guest.engine()

    def closed():
        return len(os.listdir(f"/proc/{engine}/fd")) < 60

    processes.wait_until(closed, 10, f"descriptors: {len(os.listdir(f'/proc/{engine}/fd'))}")
    guest.tell()
    guest.finish()
    capture.terminate()
    check_equal(capture.communicate()[0].strip(), b"", "packets to the denied address")


def test_fast_path_cannot_be_forged(t):
    """A guest with every right in its namespace makes packets of connections that are not its
    own, names tuples for the set, and speaks for remote hosts: none of it reaches beyond."""
    t.family = 4
    t.listen(7000, echo)
    forbidden = t.listen(7001, lambda connection: connection.recv(100))
    guest = Guest(t, """
srv = args[0]
s = connect(srv, 7000); time.sleep(0.2)
s.sendall(b"mine"); print(s.recv(4).decode())
port = s.getsockname()[1]
def tcp(source, sport, target, dport, flags, payload=b"", seq=1, ack=1):
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + \\
        struct.pack("!HH", 6, len(head) + len(payload))
    data = pseudo + head + payload
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    head = head[:16] + struct.pack("!H", ~total & 0xffff) + head[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(head) + len(payload), 1, 0, 64, 6, 0,
                     socket.inet_aton(source), socket.inet_aton(target))
    return ip + head + payload
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tap0")
marked = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
marked.setsockopt(socket.SOL_SOCKET, 36, 0x736c7569)
SYN, ACK, PSH, RST = 2, 16, 8, 4
for out in (raw, marked):
    for source in ("10.0.2.15", "10.0.2.99", "8.8.8.8", srv):
        for flags in (SYN, ACK | PSH, SYN | ACK, RST):
            # A connection that policy denies, one that does not exist, and the one that does.
            for sport, dport in ((40000, 7001), (40001, 7000), (port, 7001)):
                packet = tcp(source, sport, srv, dport, flags, b"forged" * (flags > 15))
                try: out.sendto(packet, (srv, 0))
                except OSError: pass
os.system("nft add element ip sluice handed_over '{ 10.0.2.15 . 40000 . " + srv + " . 7001 }' "
          "|| nft add element ip sluice handed_over '{ 10.0.2.15 . 40000 . " + srv + " . 7001 }'")
t = socket.socket(); t.bind(("", 40000)); t.settimeout(1)
try: t.connect((srv, 7001)); print("connected")
except OSError as error: print("not connected")
# Speaking for the remote host, from a socket of the guest's own.
fake = socket.socket(); fake.setsockopt(0, 19, 1); fake.bind((srv, 7001)); fake.listen(5)
u = socket.socket(); u.settimeout(1)
try: u.connect((srv, 7001)); print("connected")
except OSError as error: print("not connected")
s.sendall(b"mine"); print(s.recv(4).decode())
sys.stdin.readline()
""", t.srv, options=["--as-root", "--deny", f"{t.srv}:7001"])
    check_equal(guest.line(), "mine", "the echo")
    check_equal(guest.line(), "not connected", "a denied port with a forged element")
    check_equal(guest.line(), "not connected", "a denied port with a listener in its name")
    check_equal(guest.line(), "mine", "the echo after it all")
    check_equal(forbidden.results, [], "connections to the denied port")
    guest.counters()
    said = guest.errors()
    for reason in ("tcp-unknown-flow", "denied-by-policy"):
        check(reason in said, f"nothing is counted of '{reason}': {said}")
    guest.tell()
    guest.finish()


@pytest.mark.alone
def test_fast_path_flows_need_little_memory(t):
    """As many connections as descriptors allow, up to 20,000, all handed over."""
    t.family = 4
    limit = int(subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, text=True,
                               check=True).stdout.replace("unlimited", "1000000"))
    count = min(20_000, int(limit * 0.75 / 2) - 200)

    def are_handed_over(engine):
        held = len(os.listdir(f"/proc/{engine}/fd"))
        check(held > 1.9 * count, f"{held} descriptors for {count} connections: not handed over")

    growth = t.idle_flows(count, [*REQUIRE, "--max-flows", "50000"], 1, are_handed_over)
    check(growth <= 1.5 * count, f"{growth} KiB for {count}: {growth / count:.2f} KiB each")
