"""What every forwarder test uses: the context with servers, clients and the program under test.

A test is a function of the fixture t, a Context. It runs in namespaces of its own: only loopback,
any port is free, everything is killed at its end. It starts servers by t.serve(), the forwarder by
t.forward(), and connects with t.connect().
"""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import harness
from harness import Failure, check, echo, processes

LINGER_RESET = b"\1\0\0\0\0\0\0\0"  # struct linger {on, 0 s}: close() resets.

any_engine = pytest.mark.engines("direct", "socat", "rinetd")


def wait_until(condition, what, timeout=5):
    return processes.wait_until(condition, timeout, what)


def reset(connection):
    """Closes a TCP socket by a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    connection.close()


def read_all(connection):
    parts = []
    while data := connection.recv(1 << 18):
        parts.append(data)
    return b"".join(parts)


def read_exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise Failure(f"the stream ended after {len(data)} of {size} bytes")
        data += part
    return bytes(data)


def how_it_ends(connection):
    """'fin', 'rst' or 'open', and what came before."""
    data = bytearray()
    try:
        while part := connection.recv(65536):
            data += part
        return "fin", bytes(data)
    except ConnectionResetError:
        return "rst", bytes(data)
    except TimeoutError:
        return "open", bytes(data)


def name_of(host, port):
    """As the socket module wants it: it does not read the interface of "fe80::1%eth0" itself."""
    address, _, interface = host.partition("%")
    return (address, port, 0, socket.if_nametoindex(interface)) if interface else (host, port)


class Forwarder:
    """A running program."""

    def __init__(self, words, folder, number, **more):
        self.words = words
        self.out_path = os.path.join(folder, f"out{number}")
        self.err_path = os.path.join(folder, f"err{number}")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          cwd=folder, **more)
        self.pid = self.child.pid

    def out(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def err(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=10):
        """Its exit status."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"the forwarder still runs after {timeout} s") from None

    def stop(self, number=signal.SIGTERM, timeout=10):
        self.send_signal(number)
        return self.wait(timeout)

    def anon_kib(self):
        return processes.memory_kib(self.pid)["anon"]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self):
        return processes.run_seconds(self.pid)


class Context:
    """One run of one test."""

    def __init__(self, options):
        self.options = options
        self.engine = options.engine
        self._next_port = 20000
        self._closing = contextlib.ExitStack()
        self.folder = self._closing.enter_context(
            tempfile.TemporaryDirectory(prefix="sluice-forward-", ignore_cleanup_errors=True))
        os.chmod(self.folder, 0o777)  # For a forwarder of root's, which becomes another user.
        self.forwarders = []
        self._direct = {}
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def close(self):
        for forwarder in self.forwarders:
            if forwarder.child.poll() is None:
                forwarder.child.kill()
                forwarder.child.wait()
        self._closing.close()

    def on_close(self, action):
        self._closing.callback(action)

    def check_alive(self):
        """No forwarder may have died by a signal that nobody sent."""
        for forwarder in self.forwarders:
            status = forwarder.child.poll()
            check(status is None or status >= 0 or status == -signal.SIGKILL,
                  f"the forwarder died by signal {-(status or 0)}")

    def said(self):
        """What the forwarders wrote to standard error."""
        return "".join(harness.shorten(forwarder.err(), 4000) for forwarder in self.forwarders)

    def port(self, count=1):
        """A port that nothing in this test's namespace uses, or the first of several."""
        self._next_port += count
        return self._next_port - count

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def replace(self, path, text):
        """As editors do it: a new file in the place of the old one."""
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)

    # Servers and clients.

    def listener(self, host="127.0.0.1", port=None, backlog=1024):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(name_of(host, port or self.port()))
        listening.listen(backlog)
        self.on_close(listening.close)
        return listening

    def serve(self, handler=echo, host="127.0.0.1", port=None):
        """A TCP server; its port is `.port`, see harness.Server."""
        listening = self.listener(host, port)
        return self.serve_on(listening, handler)

    def serve_on(self, listening, handler):
        server = harness.Server(listening, handler)
        server.port = listening.getsockname()[1] if listening.family != socket.AF_UNIX else 0
        self.on_close(server.close)
        return server

    def udp(self, host="127.0.0.1", port=None, timeout=5):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        opened.bind(name_of(host, self.port() if port is None else port))
        opened.settimeout(timeout)
        self.on_close(opened.close)
        return opened

    def udp_client(self, port, host="127.0.0.1", timeout=5):
        client = self.udp(host, 0, timeout)
        client.connect((host, self._direct.get(port, port)))
        return client

    def connect(self, port, host="127.0.0.1", timeout=10, source=None, receive_buffer=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            opened.bind((source, 0))
        opened.settimeout(timeout)
        self.on_close(opened.close)
        opened.connect(name_of(host, self._direct.get(port, port)))
        return opened

    def ask(self, port, data=b"ping", host="127.0.0.1", **more):
        """Sends, ends, and reads to the end."""
        with self.connect(port, host, **more) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def ending(self, port, timeout=10, source=None):
        """how_it_ends() of a new connection; a reset may be seen by connect() itself."""
        try:
            return how_it_ends(self.connect(port, timeout=timeout, source=source))
        except ConnectionResetError:
            return "rst", b""

    def refused(self, port, host="127.0.0.1"):
        try:
            self.connect(port, host).close()
            return False
        except ConnectionRefusedError:
            return True

    # The program under test.

    def start(self, words, ready=(), **more):
        """Starts any program and waits until it listens; `ready`: "tcp:PORT", "udp:PORT", paths."""
        forwarder = Forwarder([str(word) for word in words], self.folder, len(self.forwarders),
                              **more)
        self.forwarders.append(forwarder)
        for place in ready:
            self.wait_for(forwarder, place)
        return forwarder

    def wait_for(self, forwarder, place, timeout=10):
        def listening():
            check(forwarder.child.poll() is None,
                  f"the forwarder ended with {forwarder.child.poll()} instead of listening")
            protocol, _, port = str(place).partition(":")
            if port.isdigit():
                return processes.is_listening("self", int(port), protocol)
            return processes.takes_peers("self", place)

        wait_until(listening, f"nothing listens on {place}", timeout)

    def sluice(self, *arguments, ready=(), **more):
        return self.start([self.options.sluice, "forward", *arguments], ready, **more)

    def forward(self, listen, target, *options):
        """One rule, as words of the command line, with whatever engine is under test."""
        if self.engine == "sluice":
            return self.sluice(*options, listen, target, ready=[place_of(listen)])
        if options:
            pytest.skip(f"{self.engine} has no {options[0]}")
        protocol, _, port = place_of(listen).partition(":")
        target_port = place_of(target).partition(":")[2]
        if self.engine == "direct":
            self._direct[int(port)] = int(target_port)
            return None
        if self.engine == "socat":
            name = protocol.upper()
            return self.start(["socat", f"{name}4-LISTEN:{port},fork,reuseaddr,bind=127.0.0.1",
                               f"{name}4:127.0.0.1:{target_port}"], [place_of(listen)])
        suffix = "/udp" if protocol == "udp" else ""
        path = self.path("rinetd.conf", f"127.0.0.1 {port}{suffix} 127.0.0.1 "
                                        f"{target_port}{suffix}\n")
        return self.start(["rinetd", "-f", "-c", path], [place_of(listen)])

    def forward_file(self, text, *options, ready=(), name="rules.toml"):
        """Ready once every listener of `ready` is there. Returns (forwarder, path)."""
        path = self.path(name, text)
        places = [place_of(place) for place in ready]
        return self.sluice(*options, "-c", path, ready=places), path

    def fails(self, *arguments, timeout=10):
        """Runs `sluice forward` to its end: (status, standard error)."""
        done = subprocess.run([self.options.sluice, "forward", *map(str, arguments)],
                              capture_output=True, text=True, timeout=timeout, check=False)
        return done.returncode, done.stderr


def place_of(place):
    """"tcp:PORT", "udp:PORT" or the path of a UNIX socket, of a word as the command line has it."""
    text = str(place)
    if text.startswith("unix:"):
        return text[5:]
    protocol = "udp" if text.startswith("udp:") else "tcp"
    return f"{protocol}:{re.search(r'([0-9]+)(?:-[0-9]+)?$', text).group(1)}"


def busy_share(forwarder, seconds):
    """CPU time that a forwarder used while nothing should happen."""
    before = forwarder.cpu()
    time.sleep(seconds)
    return forwarder.cpu() - before
