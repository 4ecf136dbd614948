"""A port forwarder as a place: it runs in hst, clients run in cli and talk to hst's addresses.

    cli ── 10.0.1.1 forwarder in hst ── 10.0.0.2 srv

Every instance has ports of its own, so that all of them can run at once, and a second one of a
kind beside the first.
"""

import itertools
import os
import tempfile

from . import engines, forwarder_configs, processes
from .forwarder_configs import Rule

LISTEN = {4: "10.0.1.1", 6: "fd01::1"}
_numbers = itertools.count()
# Below the ephemeral ports, away from those of srv: iperf3's, and 7007 to 7012.
FIRST_PORT = 10000
FIRST_USER, USERS = 65000, 500


class Direct(engines.Plain):
    """The yardstick: cli reaches srv by routing. The same questions, without a process."""

    iperf_port = None

    def __init__(self, network, echo):
        super().__init__("direct", network, network.cli, network.SRV)
        self.echo_port = echo

    def has_ended(self):
        return False


class Forwarder:
    """A running forwarder of one kind. `setting` goes to the kind's commands()."""

    def __init__(self, name, network, options, echo, **setting):
        self.name = name
        self.kind = forwarder_configs.KINDS[name]
        self._network = network
        self._children = []
        number = next(_numbers)
        self._user = FIRST_USER + number % USERS
        # iperf3's server listens on the same number in srv.
        self.iperf_port = FIRST_PORT + 2 * number
        self.echo_port = self.iperf_port + 1
        self.rules = self._make_rules(echo)
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-lab-")
        os.chown(self._folder.name, self._user, self._user)
        self._errors = open(os.memfd_create("forwarder"), "w+b")
        try:
            for command in self.kind.commands(self.rules, self._folder.name, options, **setting):
                self._children.append(self._start(command))
            processes.wait_until(self._listens, 10, f"{name} does not listen on all its ports")
        except BaseException:
            self.stop()
            raise

    def _make_rules(self, echo):
        wanted = [("tcp", (4, 6), self.iperf_port, self.iperf_port),
                  ("tcp", (4, 6), self.echo_port, echo),
                  ("udp", self.kind.udp, self.echo_port, echo)]
        return [Rule(protocol, family, LISTEN[family], port, self._network.SRV[family], to)
                for protocol, families, port, to in wanted for family in families]

    def _start(self, command):
        limit = forwarder_configs.DESCRIPTORS
        # Raising the limit takes root, so it comes before the change of user.
        words = ["prlimit", f"--nofile={limit}:{limit}", "setpriv", f"--reuid={self._user}",
                 f"--regid={self._user}", "--clear-groups", *command]
        return self._network.popen(self._network.hst, words, stdout=self._errors,
                                   stderr=self._errors)

    def _listens(self):
        if self.has_ended():
            raise processes.LabError(f"{self.name} ended at start: {self.said()}")
        bound = _bound(self._children[0].pid)
        return all((rule.protocol, rule.family, rule.port) in bound for rule in self.rules)

    def said(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip() or "it said nothing"

    def has_ended(self):
        return any(child.poll() is not None for child in self._children)

    def check_alive(self):
        """A peer that crashed must not be measured as one that was slow."""
        if self.has_ended():
            raise processes.LabError(f"{self.name} ended while it was measured: {self.said()}")

    @property
    def pid(self):
        return self._children[0].pid

    @property
    def pids(self):
        """All processes that serve now: workers, and children for connections."""
        return [pid for child in self._children for pid in processes.descendants(child.pid)]

    def listener(self, family, port):
        """The process that was started for a TCP port: socat has one for each rule."""
        for rule, child in zip(self.rules, self._children):
            if len(self._children) == 1 or (
                    (rule.protocol, rule.family, rule.port) == ("tcp", family, port)):
                return child.pid
        raise processes.LabError(f"{self.name} has no rule for port {port}")

    def cpu_seconds(self):
        """(user, system) of all its processes, and of those that have ended."""
        return sum_cpu(self.pids)

    def memory_kib(self):
        """PSS of all its processes: what they share counts once."""
        total = 0
        for pid in self.pids:
            try:
                total += processes.memory_kib(pid)["pss"]
            except (OSError, processes.LabError):
                continue  # Ended since it was listed.
        return total

    def server(self, family):
        return LISTEN[family]

    def run(self, command, timeout):
        return self._network.run(self._network.cli, command, timeout=timeout)

    def stop(self):
        for child in self._children:
            self._network.stop(child)
        self._children = []
        self._folder.cleanup()
        self._errors.close()


def sum_cpu(pids):
    """(user, system) seconds of processes with the children that they have waited for.

    A forwarder that forks for each connection has spent most of its time in processes that are
    gone by the end of a run: the kernel adds theirs to the parent (cutime, cstime) when it waits.
    """
    user = system = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                # After the name: utime, stime, cutime and cstime are fields 14 to 17 of proc(5).
                fields = file.read().rpartition(")")[2].split()[11:15]
        except OSError:
            continue  # Ended since it was listed: its parent's counters have it.
        user += int(fields[0]) + int(fields[2])
        system += int(fields[1]) + int(fields[3])
    return user / processes.CLOCK_TICKS, system / processes.CLOCK_TICKS


def _bound(pid):
    """{(protocol, family, port)} of what listens in a process's network namespace."""
    found = set()
    for protocol, state in (("tcp", "0A"), ("udp", "07")):
        for family, table in ((4, protocol), (6, protocol + "6")):
            try:
                with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
                    lines = file.readlines()[1:]
            except OSError:
                return set()  # Ended just now; the next look says so.
            for line in lines:
                fields = line.split()
                if fields[3] == state:
                    found.add((protocol, family, int(fields[1].rpartition(":")[2], 16)))
    return found
