"""What every namespace test uses: its context, servers inside a namespace, the marks of a test.

A test is a function of the fixture t, a Context with three fresh namespaces (see
bench/lab/labkit/netns.py); with @each_family it runs once per address family. Commands run as the guest
of the engine under test, started in hst as an unprivileged user; servers are sockets of this very
process, opened inside srv.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from guest_prelude import GUEST_PRELUDE
from labkit import engines, netns, processes

NOBODY = netns.NOBODY
PYTHON = "/usr/bin/python3"
# Root's PATH may have folders that an unprivileged guest must not look into.
ENVIRONMENT = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
GUEST = {4: "10.0.2.15", 6: "fd00::15"}
GATEWAY = {4: "10.0.2.2", 6: "fd00::2"}
DNS = {4: "10.0.2.3", 6: "fd00::3"}
ANY = {4: "0.0.0.0", 6: "::"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}

each_family = pytest.mark.parametrize("family", [4, 6], ids="v{}".format)
v4_only = pytest.mark.parametrize("family", [4], ids="v{}".format)
v6_only = pytest.mark.parametrize("family", [6], ids="v{}".format)
any_engine = pytest.mark.engines("pasta", "direct")


class Failure(Exception):
    """The engine did something else than it must."""


def check(holds, message):
    __tracebackhide__ = True
    if not holds:
        raise Failure(message)


def check_equal(got, wanted, what):
    __tracebackhide__ = True
    if got != wanted:
        raise Failure(f"{what}: got {shorten(got)}, wanted {shorten(wanted)}")


def shorten(value, limit=400):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def bracket(address):
    """As a URL wants it."""
    return f"[{address}]" if ":" in address else address


def _enter(name):
    """Moves the calling thread alone into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{name}", "rb") as file:
        if libc.setns(file.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def socket_in(name, family, kind, address=None, port=0):
    """A socket that lives in a namespace though this process does not; bound, and listening."""
    made = []

    def open_it():
        try:
            _enter(name)
            opened = socket.socket(FAMILY[family], kind)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == 6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if address:
                opened.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    opened.listen(1024)
            made.append(opened)
        except OSError as error:
            made.append(error)

    worker = threading.Thread(target=open_it)
    worker.start()
    worker.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def unix_in(name, path):
    """A stream socket that is connected to an abstract one of a namespace."""
    made = []

    def open_it():
        try:
            _enter(name)
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            made.append(client)
        except OSError as error:
            made.append(error)

    worker = threading.Thread(target=open_it)
    worker.start()
    worker.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Server:
    """Accepts connections and runs `handler(socket)` for each in a thread of its own."""

    def __init__(self, listener, handler):
        self.results = []
        self._changed = threading.Condition()
        self._listener = listener
        self._handler = handler
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted):
        accepted.settimeout(60)
        try:
            with accepted:
                result = self._handler(accepted)
        except OSError as error:
            result = error
        with self._changed:
            self.results.append(result)
            self._changed.notify_all()

    def result(self, timeout=20):
        """What the first connection's handler returned, or the OSError it ended with."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.results, timeout):
                raise Failure("the server saw no connection end")
            return self.results[0]

    def close(self):
        # Closing alone would leave accept() asleep.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def echo(connection):
    """A handler: sends back what comes, until the end."""
    while data := connection.recv(65536):
        connection.sendall(data)


def engine_path(options):
    return {"sluice": options.sluice, "pasta": options.pasta}.get(options.engine, "env")


class Context:
    """One run of one test."""

    def __init__(self, options, family, network):
        self.options = options
        self.engine = options.engine
        self.path = engine_path(options)
        self.family = family
        self.net = network
        self.fast = options.fast
        self.workers = options.workers
        self._closing = contextlib.ExitStack()
        self.folder = self._closing.enter_context(
            tempfile.TemporaryDirectory(prefix="sluice-test-", ignore_cleanup_errors=True))
        os.chmod(self.folder, 0o777)

    @property
    def big_mib(self):
        """Of a transfer that is to take a while."""
        return 64 if self.fast else 1024

    @property
    def srv(self):
        return self.net.SRV[self.family]

    @property
    def hst(self):
        return self.net.HST[self.family]

    def close(self):
        self._closing.close()

    # The guest.

    def command(self, command, options=()):
        if self.engine == "direct":
            return list(command)
        if self.engine == "pasta":
            return engines.pasta_command(self.path, list(command), None, list(options))
        # What the test itself says about it comes later and counts.
        way = [f"--fast-path={self.options.fast_path}"] if self.options.fast_path else []
        way += [f"--workers={self.workers}"] if self.workers else []
        return engines.sluice_command(self.path, list(command), None, [*way, *options])

    @property
    def home(self):
        """The namespace that commands start in."""
        return self.net.cli if self.engine == "direct" else self.net.hst

    def guest(self, command, options=(), timeout=60, nobody=True, **more):
        """Runs a command as guest to its end, and checks that the engine left nothing behind."""
        more.setdefault("env", ENVIRONMENT)
        done = self.net.run(self.home, self.command(command, options), nobody, timeout, **more)
        self.check_nothing_left()
        return done

    def guest_ok(self, command, options=(), **more):
        done = self.guest(command, options, **more)
        said = ((done.stderr or "") + (done.stdout or "")).strip()
        check(done.returncode == 0, f"…{' '.join(command)[-120:]} ended with {done.returncode}: "
              f"{said[-300:]}")
        return done

    def python(self, code, *arguments, options=(), **more):
        """Runs Python code as guest. `connect` and friends of guest_prelude are there."""
        words = [PYTHON, "-c", GUEST_PRELUDE + code, *map(str, arguments)]
        return self.guest_ok(words, options, **more).stdout

    def start(self, command, options=(), nobody=True, **more):
        """Starts a guest that is stopped at the end of the test."""
        more.setdefault("env", ENVIRONMENT)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return self.net.popen(self.home, self.command(command, options), nobody, **more)

    def start_python(self, code, *arguments, options=(), **more):
        words = [PYTHON, "-uc", GUEST_PRELUDE + code, *map(str, arguments)]
        return self.start(words, options, **more)

    def engine_pid(self, child):
        """The process that serves a guest: the one that holds the tap."""
        if self.engine == "direct":
            pytest.skip("no engine serves the direct path")

        # The guest's own process of sluice opens the tap, in its namespace, and passes it on.
        outside = os.stat(f"/run/netns/{self.net.hst}").st_ino

        def serves(pid):
            inside = self.engine == "sluice" and processes.net_namespace(pid) != outside
            return not inside and processes.holds_tap(pid)

        def find():
            check(child.poll() is None, f"the engine ended with {child.poll()}")
            return next((pid for pid in processes.descendants(child.pid) if serves(pid)), None)

        return processes.wait_until(find, 10, "no process of the engine opens /dev/net/tun")

    def check_nothing_left(self):
        """Nothing of the engine runs in hst once its command has ended."""
        if self.engine == "direct":
            return
        inode = os.stat(f"/run/netns/{self.net.hst}").st_ino
        name = os.path.realpath(self.path)

        def gone():
            return not [pid for pid in processes.in_namespaces({inode}) if self._runs(pid, name)]

        with contextlib.suppress(processes.LabError):
            processes.wait_until(gone, 3, "engine left")
        check(gone(), "a process of the engine is still there after its command ended")

    @staticmethod
    def _runs(pid, path):
        try:
            return os.readlink(f"/proc/{pid}/exe") == path and processes.is_alive(pid)
        except OSError:
            return False

    # The hosts around it.

    def listen(self, port, handler, name=None, address=None):
        """A TCP server of this process in srv (or another namespace)."""
        listener = socket_in(name or self.net.srv, self.family, socket.SOCK_STREAM,
                             address or ANY[self.family], port)
        server = Server(listener, handler)
        self._closing.callback(server.close)
        return server

    def udp(self, port, name=None, address=None):
        """A UDP socket in srv (or another namespace), bound."""
        opened = socket_in(name or self.net.srv, self.family, socket.SOCK_DGRAM,
                           address or ANY[self.family], port)
        opened.settimeout(20)
        self._closing.callback(opened.close)
        return opened

    def lab_server(self, *words):
        """bench/lab/clients/lab_server in srv."""
        child = self.net.popen(self.net.srv, [self.client("lab-server"), *map(str, words)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        check(child.stdout.readline() == b"ready\n", "lab-server does not start")
        return child

    def idle_flows(self, count, options, settle=0.5, while_open=lambda engine: None):
        """KiB by which the engine grows for connections that are opened and then left alone."""
        self.lab_server("--echo", 7007)
        # Some connections first, so that what is allocated once is not counted for every flow.
        script = (f"{self.client('crr-client')} $1 7007 10 >/dev/null; echo up; read x; "
                  f"exec {self.client('idle-client')} $1 7007 {count} --ping-first")
        child = self.start(["sh", "-c", script, "sh", self.srv], options, stdin=subprocess.PIPE)
        check_equal(read_line(child), "up", "guest")
        engine = self.engine_pid(child)
        before = processes.memory_kib(engine)["anon"]
        child.stdin.write(b"go\n")
        child.stdin.flush()
        check_equal(read_line(child, 120), f"open {count}", "connections")
        time.sleep(settle)
        while_open(engine)
        growth = processes.memory_kib(engine)["anon"] - before
        status, out, err = finish(child, 60)
        check_equal((status, out.strip()), (0, f"alive {count} of {count}"), f"at the end ({err})")
        return growth

    def client(self, name):
        if not self.options.clients:
            pytest.skip("the lab's clients are not built (ninja lab_clients)")
        return os.path.join(self.options.clients, name)

    def connect_from(self, name, address, port, timeout=10):
        """A TCP connection made from a namespace by this process."""
        opened = socket_in(name, self.family, socket.SOCK_STREAM)
        opened.settimeout(timeout)
        self._closing.callback(opened.close)
        opened.connect((address, port))
        return opened

    def file(self, name, text=None):
        """A path in the test's folder, which an unprivileged engine may write."""
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path


def read_line(child, timeout=20):
    """One line of a child's standard output."""
    line = []
    reader = threading.Thread(target=lambda: line.append(child.stdout.readline()), daemon=True)
    reader.start()
    reader.join(timeout)
    if not line or not line[0]:
        ended = child.poll() is not None and child.stderr is not None
        said = child.stderr.read().decode(errors="replace") if ended else ""
        raise Failure(f"the guest printed nothing within {timeout} s {shorten(said)}")
    return line[0].decode().strip()


def finish(child, timeout=20):
    """Waits for a started guest; returns (status, stdout, stderr) as text."""
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failure(f"the guest still runs after {timeout} s") from None
    return child.returncode, (out or b"").decode(), (err or b"").decode()


def elapsed(action):
    started = time.monotonic()
    result = action()
    return result, time.monotonic() - started
