"""Where a client runs: in cli by plain routing, in srv over loopback, or as the guest of an engine.

A guest of an engine is started once and lives as long as the lab: the engine's command is an idle
process, and clients enter its network namespace beside it. So the engine's processor time can be
read before and after a workload, and start-up is no part of any figure but its own.
"""

import os
import re
import signal

from . import processes

IDLE = ["sleep", "1000000"]
COUNTER = re.compile(r"^  (\S+) +(\d+)$", re.MULTILINE)


class Plain:
    """No engine: the client runs in a namespace of the lab."""

    def __init__(self, name, network, namespace, server):
        self.name = name
        self._network = network
        self._namespace = namespace
        self._server = server
        self.pid = self.guest_pid = None

    def server(self, family):
        return self._server[family]

    def dns(self, family):
        return self._server[family]

    def run(self, command, timeout):
        return self._network.run(self._namespace, command, timeout=timeout)

    def popen(self, command, **options):
        return self._network.popen(self._namespace, command, **options)


class Guest:
    """An engine that serves an idle command, at one MTU."""

    def __init__(self, name, network, launch, dns=None):
        self.name = name
        self._network = network
        self._dns = dns or {}
        self._errors = open(os.memfd_create("engine"), "w+b")
        self._child = network.popen(network.hst, launch, nobody=True,
                                    stdout=self._errors, stderr=self._errors)
        self.guest_pid = processes.wait_until(self._find_guest, 10, f"{name} starts no command")
        self.pid = processes.wait_until(self._find_engine, 10, f"{name} does not open the tap")
        network.note_guest(processes.net_namespace(self.guest_pid))
        self._prepare()

    def _find_guest(self):
        if self._child.poll() is not None:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip()
            raise processes.LabError(f"{self.name} ended at start: {said}")
        for pid in processes.descendants(self._child.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[:2] == [word.encode() for word in IDLE]:
                return pid
        return None

    def _find_engine(self):
        for pid in processes.descendants(self._child.pid):
            if processes.holds_tap(pid):
                return pid
        return None

    def _prepare(self):
        # Connect cycles must not run out of TIME_WAIT buckets in the guest either.
        self.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets"], 10)
        ready = ["sh", "-c", "ip -6 addr show tentative scope global | grep -q inet6"]
        processes.wait_until(lambda: self.run(ready, 10).returncode != 0, 5,
                             "the guest's IPv6 address stays tentative")

    def enter(self, command):
        return ["nsenter", "-t", str(self.guest_pid), "-n", "--", *command]

    def server(self, family):
        return self._network.SRV[family]

    def dns(self, family):
        """The engine's resolver address, or None where it has none."""
        return self._dns.get(family)

    def run(self, command, timeout):
        return self._network.run(self._network.hst, self.enter(command), timeout=timeout)

    def popen(self, command, **options):
        return self._network.popen(self._network.hst, self.enter(command), **options)

    def said_since(self, start):
        """What the engine wrote to its standard error from that offset, and the new end."""
        text = os.pread(self._errors.fileno(), 1 << 20, start).decode(errors="replace")
        return text, os.fstat(self._errors.fileno()).st_size

    def stop(self):
        self._network.stop(self._child)


class Engine:
    """How one kind of engine is started. A subclass in a file of its own is all a new one needs.

    command() gives the words that run COMMAND as its guest at an MTU; an engine that serves no
    command, such as one with a virtual machine, overrides start(). A place has name, pid,
    server(family), dns(family), run(command, timeout), popen(command) and stop().
    """

    name = ""
    program = property(lambda self: self.name, doc="The option that has its path: --NAME PATH.")
    package = None  # Debian's, for whom the program is missing.
    families = (4, 6)
    dns = {}  # Its resolver's address, by family.
    options = ()  # What the lab needs beside the defaults that namespace tests use.
    apart = False  # It is measured where a cell names it, and not beside all others.

    def command(self, path, command, mtu=None):
        raise NotImplementedError

    def start(self, network, path, mtu, _family):
        """`_family` is for an engine whose guest has the one address later than the other."""
        return Guest(self.name, network, self.command(path, IDLE, mtu), self.dns)

    def drops(self, _place):
        """{reason: packets} that the engine itself counts since its start, or None."""
        return None


def pasta_command(path, command, mtu=None, options=()):
    """pasta with the addresses that ours has by default, its gateway trick off.

    In Debian 12's build a gateway address is otherwise taken for the host's loopback, and the
    address that it copies from hst would be the one it must reach.
    """
    words = [path, "-f", "-q", "--config-net", "-I", "eth0", "--no-map-gw",
             "-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "-a", "fd00::15", "-g", "fd00::2",
             # The default forwards every port that is bound, also back from the guest.
             "-t", "none", "-u", "none", "-T", "none", "-U", "none"]
    if mtu:
        words += ["-m", str(mtu)]
    return [*words, *options, "--", *command]


def sluice_command(path, command, mtu=None, options=()):
    words = [path, "run"]
    if mtu:
        words += ["--mtu", str(mtu)]
    return [*words, *options, "--", *command]


class Pasta(Engine):
    name = "pasta"
    package = "passt"
    dns = {4: "10.0.2.3", 6: "fd00::3"}

    def command(self, path, command, mtu=None):
        options = [word for address in self.dns.values() for word in ("--dns-forward", address)]
        return pasta_command(path, command, mtu, options)


class Sluice(Engine):
    name = "sluice"
    dns = {4: "10.0.2.3", 6: "fd00::3"}

    def command(self, path, command, mtu=None):
        return sluice_command(path, command, mtu)

    def drops(self, place):
        """SIGUSR1 prints the counters that are not zero."""
        _, end = place.said_since(0)
        os.kill(place.pid, signal.SIGUSR1)
        processes.wait_until(lambda: "dropped or refused:" in place.said_since(end)[0], 2,
                             "sluice does not print its counters")
        said = place.said_since(end)[0].partition("fast path:")[0]
        return {reason: int(count) for reason, count in COUNTER.findall(said)}


class SluiceTap(Sluice):
    """The same without the kernel's fast path: what `--fast-path=auto` must never fall behind."""

    name = "sluice-tap"
    program = "sluice"

    def command(self, path, command, mtu=None):
        return sluice_command(path, command, mtu, ("--fast-path=off",))


class SluicePacket(SluiceTap):
    """And that without /dev/net/tun: a veth pair and packet sockets stand for the tap."""

    name = "sluice-packet"
    apart = True

    def start(self, network, path, mtu, _family):
        with network.without_tun():
            return super().start(network, path, mtu, _family)
