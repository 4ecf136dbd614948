"""The engines that can serve a guest: how each is started, and which links it has.

An Engine is one process in hst, at one socket. It outlives its guests, which come one after
another. link() is what the next guest is joined by.
"""

import itertools
import os
import pathlib
import shutil
import socket
import subprocess
import sys

from labkit import processes

from . import kit as kits
from . import links

# No name is used again, also by another of the same test.
_numbers = itertools.count()


class Engine:
    """A subclass gives its name, package, links and command line."""

    name = ""
    package = ""
    links = ()

    def __init__(self, network, path, folder, link, ports=(), options=()):
        """`ports`: of the guest, TCP and UDP, published under the same number on the host."""
        self.path = path
        self._network = network
        self._link = link
        self._ports = ports
        self._options = list(options)
        self._socket = os.path.join(folder, f"{self.name}.{next(_numbers)}")
        self._errors = open(os.memfd_create(self.name), "w+b")
        self._child = None
        self._others = []  # What stands between it and the guest.
        self._guest_end = None

    @classmethod
    def check_present(cls, path, link):
        """Raises Missing where there is no such program, or one without that link."""
        if not shutil.which(path):
            raise kits.Missing(f"no {path}" + (f" (package {cls.package})" if cls.package else ""))

    def command(self):
        """The command line for self._link at self._socket."""
        raise NotImplementedError

    @property
    def pid(self):
        """The process that serves."""
        return self._child.pid

    def children(self):
        return [child for child in (self._child, *self._others) if child]

    def start(self):
        inherited = ()
        if self._link == "descriptor":
            ours, self._guest_end = socket.socketpair()
            self._socket = str(ours.fileno())
            inherited = (ours.fileno(),)
        self._child = self._network.popen(self._network.hst, self.command(), nobody=True,
                                          stdout=self._errors, stderr=self._errors,
                                          pass_fds=inherited)
        if inherited:
            ours.close()
        else:
            processes.wait_until(self._listens, 20, f"{self.name} does not make its socket")
        return self

    def _listens(self):
        if not self.is_alive():
            raise processes.LabError(f"{self.name} ended at start: {self.said()}")
        return processes.takes_peers(self._child.pid, self._socket)

    def kill_and_start(self):
        """Another takes its place at the same socket, as after a crash."""
        processes.kill_now(self._child)
        processes.wait_until(lambda: not os.path.exists(self._socket), 20,
                             f"the socket of {self.name} outlives it")
        return self.start()

    def is_alive(self):
        return self._child.poll() is None

    def said(self):
        """What it has printed."""
        text = os.pread(self._errors.fileno(), 1 << 20, 0)
        return text.decode(errors="replace").strip()

    def link(self):
        if self._link == "stream":
            return links.Stream(self._socket)
        if self._link == "datagram":
            return links.Datagram(self._socket, f"{self._socket}.guest{next(_numbers)}")
        if self._link == "descriptor":
            return links.Descriptor(self._guest_end.detach())
        if self._link == "bess":
            return links.Bess(self._socket)
        # Pairs of queues, and workers: "vhost-user/2/2".
        queues = int((self._link.split("/")[1:] or [1])[0])
        return links.VhostUser(self._socket, queues)

    def stop(self):
        for child in self.children():
            self._network.stop(child)


class Passt(Engine):
    """With our addresses, and without its trick of leading the gateway to the host's loopback.

    It names the host's resolver in its leases: what -D says instead, it also forwards to.
    """

    name = "passt"
    package = "passt"
    links = ("stream", "descriptor", "vhost-user", "bess")

    @classmethod
    def check_present(cls, path, link):
        super().check_present(path, link)
        if link == "vhost-user":
            _check_help([path], "--vhost-user")

    def start(self):
        super().start()
        if self._link == "bess":
            # It has no such link: a program beside it makes one of its stream.
            listen = f"{self._socket}.bess"
            bridge = pathlib.Path(__file__).with_name("bridge.py")
            words = [sys.executable, str(bridge), listen, self._socket]
            self._others.append(self._network.popen(self._network.hst, words, nobody=True))
            processes.wait_until(lambda: os.path.exists(listen), 20, "the bridge does not start")
            self._socket = listen
        return self

    def command(self):
        way = {"stream": ["--socket", self._socket], "bess": ["--socket", self._socket],
               "descriptor": ["--fd", self._socket],
               "vhost-user": ["--vhost-user", "--socket", self._socket]}[self._link]
        ports = ",".join(map(str, self._ports)) or "none"
        return [self.path, "-f", *way, "--no-map-gw", "-a", "10.0.2.15", "-n", "24",
                "-g", "10.0.2.2", "-a", "fd00::15", "-g", "fd00::2",
                "--dns-forward", "10.0.2.3", "--dns-forward", "fd00::3",
                "-t", ports, "-u", ports, *self._options]


class Sluice(Engine):
    name = "sluice"
    links = ("stream", "datagram", "descriptor", "bess", "vhost-user", "vhost-user/2",
             "vhost-user/2/2")
    WAYS = {"stream": "--socket", "datagram": "--datagram", "bess": "--seqpacket",
            "descriptor": "--fd", "vhost-user": "--vhost-user"}
    NUMBERS = ("--queues", "--workers")

    @classmethod
    def check_present(cls, path, link):
        super().check_present(path, link)
        kind, *numbers = link.split("/")
        _check_help([path, "vm"], cls.WAYS[kind])
        for option, _ in zip(cls.NUMBERS, numbers):
            _check_help([path, "vm"], option)

    def command(self):
        kind, *numbers = self._link.split("/")
        way = self.WAYS[kind]
        more = [word for pair in zip(self.NUMBERS, numbers) for word in pair]
        ports = [word for port in self._ports
                 for word in ("-p", f"{port}:{port}", "-p", f"{port}:{port}/udp")]
        return [self.path, "vm", way, self._socket, *more, *ports, *self._options]


class Slirp:
    """libslirp: no process of its own, so that this stands for QEMU."""

    name = "slirp"
    package = "qemu-system-x86"
    links = ("slirp",)

    def __init__(self, _network, _path, _folder, _link, ports=(), options=()):
        self._ports = ports

    @classmethod
    def check_present(cls, _path, _link):
        pass

    def start(self):
        return self

    def children(self):
        return []

    def is_alive(self):
        return True

    def said(self):
        return ""

    def link(self):
        forwards = "".join(f",hostfwd={protocol}::{port}-:{port}" for port in self._ports
                           for protocol in ("tcp", "udp"))
        return links.Slirp(forwards)

    def stop(self):
        pass


class Box(Slirp):
    """`sluice box`: no process of its own either, as the machine is in it."""

    name = "box"
    package = ""
    links = ("own", "own/WITHOUT")

    def __init__(self, _network, path, _folder, link, ports=(), options=()):
        super().__init__(_network, path, _folder, link)
        self._words = [path, options, *link.split("/")[1:]]

    @classmethod
    def check_present(cls, path, _link):
        if not shutil.which(path):
            raise kits.Missing(f"no {path}")

    def link(self):
        return links.Own(*self._words)


def _check_help(command, option):
    # Old builds of passt call it an error to be asked.
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    if option not in done.stdout + done.stderr:
        raise kits.Missing(f"`{' '.join(command)}` has no {option}")


ENGINES = {engine.name: engine for engine in (Sluice, Passt, Slirp, Box)}
