"""`sluice vm`: the kernel of a namespace of its own is the guest, and tap_pump.py its monitor."""

import hashlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from harness import (DNS, ENVIRONMENT, GATEWAY, GUEST, GUEST_PRELUDE, PYTHON, check, check_equal,
                     echo, finish, read_line)
from labkit import netns, processes
from test_dns import Resolver

PUMP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "tap_pump.py")
OPTION = {"stream": "--socket", "seqpacket": "--seqpacket", "datagram": "--datagram"}
each_kind = pytest.mark.parametrize("kind", OPTION)

DOWNLOAD = """
s = connect(args[0], args[1], 120)
digest, total = hashlib.sha256(), 0
while data := s.recv(1 << 18):
    digest.update(data); total += len(data)
print(total, digest.hexdigest())
"""
UPLOAD = """
s = connect(args[0], args[1], 120)
block, digest = os.urandom(1 << 16), hashlib.sha256()
for _ in range(int(args[2]) >> 16):
    s.sendall(block); digest.update(block)
s.shutdown(socket.SHUT_WR)
s.recv(1)
print(digest.hexdigest())
"""


class Machine:
    """A namespace whose only interface is a tap, and who serves it from hst."""

    def __init__(self, t, kind):
        self.t, self.kind = t, kind
        self.path = t.file("vm.sock")
        self.name = f"{t.net.hst}vm"
        self.served = None
        self.pump = None
        self._pumps = 0

    def __enter__(self):
        netns.run(["ip", "netns", "add", self.name])
        self.t.net.sysctl(self.name, "net.ipv6.conf.default.accept_dad", "0")
        return self

    def __exit__(self, *_):
        for child in (self.pump, self.served):
            if child and child.poll() is None:
                child.send_signal(signal.SIGCONT)
                self.t.net.stop(child)
        processes.kill_all(processes.in_namespaces({os.stat(f"/run/netns/{self.name}").st_ino}))
        netns.run(["ip", "netns", "del", self.name])

    def serve(self, *options, link=None, **more):
        link = link or [OPTION[self.kind], self.path]
        command = [self.t.path, "vm", "-v", *link, *options]
        self.served = self.t.net.popen(self.t.net.hst, command, True, env=ENVIRONMENT,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        if "pass_fds" not in more:
            processes.wait_until(lambda: processes.takes_peers(self.served.pid, self.path), 20,
                                 "no socket is made")

    def plug(self, *options, path=None, mtu=1500, **more):
        """Starts the monitor."""
        words = [PYTHON, PUMP, self.kind, path or self.path, "eth0", "--mtu", str(mtu), *options]
        if self.kind == "datagram" and not path:
            self._pumps += 1
            words += ["--bind", self.t.file(f"monitor{self._pumps}"), "--hello"]
        self.pump = self.t.net.popen(self.name, words, stdout=subprocess.PIPE, **more)
        check_equal(read_line(self.pump), "ready", "monitor")

    def unplug(self):
        self.pump.kill()
        self.pump.wait()

    def configure(self):
        for family in (4, 6):
            length = {4: 24, 6: "64 nodad"}[family]
            self.t.net.ip(self.name, f"addr replace {GUEST[family]}/{length} dev eth0")
            self.t.net.ip(self.name, f"-{family} route replace default via {GATEWAY[family]}")

    def start(self, *options, mtu=1500):
        """All of it, with the addresses that DHCP would give."""
        self.serve(*options)
        self.plug(mtu=mtu)
        self.configure()

    def run(self, command, timeout=60):
        done = self.t.net.run(self.name, command, timeout=timeout, env=ENVIRONMENT)
        said = (done.stdout + done.stderr).strip()
        check(done.returncode == 0, f"…{' '.join(command)[-100:]}: {said[-300:]}")
        return done.stdout

    def python(self, code, *words, timeout=120):
        return self.run([PYTHON, "-c", GUEST_PRELUDE + code, *map(str, words)], timeout).strip()

    def start_python(self, code, *words):
        command = [PYTHON, "-uc", GUEST_PRELUDE + code, *map(str, words)]
        return self.t.net.popen(self.name, command, stdout=subprocess.PIPE, env=ENVIRONMENT)

    def end(self):
        """What it has said."""
        pid = self.served_pid()
        os.kill(pid, signal.SIGTERM)
        status, _, err = finish(self.served, 30)
        check_equal(status, 0, f"exit status ({err[-300:]})")
        check(not os.path.exists(self.path), "its socket's file is left")
        return err

    def served_pid(self):
        """setpriv and ip have become it."""
        check(self.served.poll() is None, f"it ended with {self.served.poll()}")
        return self.served.pid


@pytest.fixture
def family():
    return 4


@pytest.fixture
def machine(t, request):
    with Machine(t, request.node.callspec.params.get("kind", "stream")
                 if hasattr(request.node, "callspec") else "stream") as made:
        yield made


def sender(data):
    def send(connection):
        connection.sendall(data)
    return send


def digester(connection):
    digest = hashlib.sha256()
    while data := connection.recv(1 << 18):
        digest.update(data)
    return digest.hexdigest()


@each_kind
def test_bytes_are_the_same_at_the_other_end(t, machine, kind):
    machine.start("--mtu", "1500")
    size = 16 << 20
    data = os.urandom(size)
    wanted = f"{size} {hashlib.sha256(data).hexdigest()}"
    t.listen(7001, sender(data))
    check_equal(machine.python(DOWNLOAD, t.srv, 7001), wanted, "downloaded")
    server = t.listen(7002, digester)
    digest = machine.python(UPLOAD, t.srv, 7002, size)
    check_equal(server.result(60), digest, "uploaded")
    check("link-write-failed" not in machine.end(), "frames were dropped")


def test_large_frames_and_both_families(t, machine):
    machine.start(mtu=65520)
    size = 64 << 20
    data = os.urandom(size)
    for family in (4, 6):
        t.family = family
        t.listen(7001, sender(data))
        got = machine.python(DOWNLOAD, t.srv, 7001)
        check_equal(got, f"{size} {hashlib.sha256(data).hexdigest()}", f"downloaded by {family}")
        server = t.listen(7002, digester)
        digest = machine.python(UPLOAD, t.srv, 7002, size)
        check_equal(server.result(60), digest, f"uploaded by {family}")


def test_frames_may_come_in_any_pieces(t, machine):
    machine.serve("--mtu", "1500")
    machine.plug("--chop")
    machine.configure()
    size = 2 << 20
    data = os.urandom(size)
    t.listen(7001, sender(data))
    got = machine.python(DOWNLOAD, t.srv, 7001)
    check_equal(got, f"{size} {hashlib.sha256(data).hexdigest()}", "downloaded")
    server = t.listen(7002, digester)
    digest = machine.python(UPLOAD, t.srv, 7002, size)
    check_equal(server.result(60), digest, "uploaded")


@each_kind
def test_a_machine_asks_for_its_addresses(t, machine, kind):
    machine.serve()
    machine.plug()
    script = t.file("udhcpc.sh", "#!/bin/sh\n[ $1 = bound ] && env\nexit 0\n")
    os.chmod(script, 0o755)
    said = machine.run(["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", script, "-t",
                        "20", "-T", "1"])
    wanted = {"ip": GUEST[4], "router": GATEWAY[4], "dns": DNS[4],
              "mtu": "65520" if kind == "stream" else "1500"}
    for name, value in wanted.items():
        check(f"\n{name}={value}\n" in said, f"{name} is not {value}: {said[-400:]}")


@each_kind
def test_ping_names_and_published_ports(t, machine, kind):
    t.net.resolver(t.net.hst, f"nameserver {t.srv}\n")
    Resolver(t)
    machine.start("-p", "8080:80", "--report")
    machine.run(["ping", "-c2", "-i0.2", "-W10", GATEWAY[4]])
    machine.run(["ping", "-c2", "-i0.2", "-W10", t.srv])
    said = machine.run(["dig", "+time=10", f"@{DNS[4]}", "srv.test", "+short"])
    check_equal(said.strip(), t.srv, "the name's address")
    child = machine.start_python("""
s = socket.create_server(("", 80)); print("up")
c, _ = s.accept()
while data := c.recv(65536): c.sendall(data)
""")
    check_equal(read_line(child), "up", "guest")
    client = t.connect_from(t.net.cli, "10.0.1.1", 8080, 20)
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    check_equal(client.recv(100), b"question", "answer by the published port")
    machine.end()


@each_kind
def test_connections_outlive_their_monitor(t, machine, kind):
    machine.start()
    t.listen(7007, echo)
    child = t.net.popen(machine.name, [PYTHON, "-uc", GUEST_PRELUDE + """
s = connect(args[0], 7007, 120)
for line in sys.stdin:
    s.sendall(line.encode()); print(s.recv(100).decode().strip())
""", t.srv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)

    def ask(text):
        child.stdin.write(text.encode() + b"\n")
        child.stdin.flush()
        check_equal(read_line(child, 60), text, "answer")

    ask("before")
    for number in range(3):
        machine.unplug()
        machine.plug()
        ask(f"after {number}")
    said = machine.end()
    if kind != "datagram":
        check_equal(said.count("a guest has come"), 4, "guests told")


@each_kind
def test_a_monitor_that_stops_reading_stops_nothing(t, machine, kind):
    machine.start("-p", "8080:80")
    size = 16 << 20
    data = os.urandom(size)
    t.listen(7001, sender(data))
    child = machine.start_python(DOWNLOAD, t.srv, 7001)
    machine.pump.send_signal(signal.SIGSTOP)
    pid = machine.served_pid()
    # It answers others meanwhile, sleeps, and does not grow.
    t.connect_from(t.net.cli, "10.0.1.1", 8080, 20)
    check(processes.memory_kib(pid)["anon"] < 16 << 10, "it has grown")
    machine.pump.send_signal(signal.SIGCONT)
    check_equal(read_line(child, 120), f"{size} {hashlib.sha256(data).hexdigest()}", "downloaded")
    machine.end()


def test_garbage_ends_its_connection_and_no_other(t, machine):
    machine.serve()
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0", b"\xff" * 100_000, b"\0\0\0\x0d1234567890123"):
        bad = socket.socket(socket.AF_UNIX)
        bad.connect(machine.path)
        bad.settimeout(20)
        try:
            bad.sendall(garbage)
            check_equal(bad.recv(1), b"", "answer to garbage")
        except (BrokenPipeError, ConnectionResetError):
            pass
        bad.close()
    machine.plug()
    machine.configure()
    machine.run(["ping", "-c1", "-W20", GATEWAY[4]])
    second = socket.socket(socket.AF_UNIX)
    second.connect(machine.path)
    second.settimeout(20)
    check_equal(second.recv(1), b"", "who comes while a machine is there")
    said = machine.end()
    check_equal(said.count("a frame cannot have"), 4, f"warnings in {said}")
    check("a second guest was turned away" in said, said)


def test_one_off_ends_with_its_machine(t, machine):
    machine.serve("--one-off")
    machine.plug()
    machine.unplug()
    status, _, err = finish(machine.served, 30)
    check_equal(status, 0, f"exit status ({err})")
    check(not os.path.exists(machine.path), "its socket's file is left")


def test_one_that_is_killed_leaves_no_file_and_another_replaces_what_is_left(t, machine):
    pid_file = t.file("vm.pid")
    machine.serve("--pid-file", pid_file)
    machine.plug()  # It is past its start.
    with open(pid_file, encoding="ascii") as file:
        check_equal(int(file.read()), machine.served.pid, "the number in its pid file")
    machine.served.kill()
    machine.served.wait()
    for path in (machine.path, pid_file):
        processes.wait_until(lambda path=path: not os.path.exists(path), 60, f"{path} is left")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(machine.path)
    os.chown(machine.path, 65534, 65534)
    machine.serve()

    def listens():
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(machine.path) == 0

    processes.wait_until(listens, 20, "the file that was left is not replaced")
    second = t.net.run(t.net.hst, [t.path, "vm", "--socket", machine.path], True, env=ENVIRONMENT)
    check_equal(second.returncode, 125, "exit status of a second one")
    check("another program has it" in second.stderr, second.stderr)
    machine.end()


def test_a_machine_that_goes_on_does_not_hold_the_end(t, machine):
    machine.start()
    started = threading.Event()

    def take(connection):
        started.set()
        return digester(connection)

    t.listen(7002, take)
    machine.start_python("""
s = connect(args[0], 7002)
while True: s.sendall(bytes(1 << 16))
""", t.srv)
    check(started.wait(20), "nothing is sent")
    machine.end()


def test_a_descriptor_that_is_not_open_is_a_mistake(t, machine):
    done = t.net.run(t.net.hst, [t.path, "vm", "--fd", "9"], True, env=ENVIRONMENT)
    check_equal(done.returncode, 2, "exit status")
    check("descriptor 9 is not open" in done.stderr, done.stderr)


@pytest.mark.parametrize("kind", ["stream", "seqpacket", "datagram"])
def test_a_socket_that_is_open_serves(t, machine, kind):
    types = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET,
             "datagram": socket.SOCK_DGRAM}
    ours, theirs = socket.socketpair(socket.AF_UNIX, types[kind])
    with ours, theirs:
        machine.serve(link=["--fd", str(ours.fileno())], pass_fds=[ours.fileno()])
        machine.plug(path=f"fd:{theirs.fileno()}", pass_fds=[theirs.fileno()])
    machine.configure()
    machine.run(["ping", "-c1", "-W20", GATEWAY[4]])
    machine.unplug()
    if kind != "datagram":
        check_equal(finish(machine.served, 30)[0], 0, "exit status")
