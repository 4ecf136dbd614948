"""Where a client runs: in cli by plain routing, in srv over loopback, or as the guest of an engine.

A guest of an engine is started once and lives as long as the lab: the engine's command is an idle
process, and clients enter its network namespace beside it. So the engine's processor time can be
read before and after a workload, and start-up is no part of any figure but its own.
"""

import os
import subprocess

from . import processes

IDLE = ["sleep", "1000000"]


class Plain:
    """No engine: the client runs in a namespace of the lab."""

    def __init__(self, name, network, namespace, server):
        self.name = name
        self._network = network
        self._namespace = namespace
        self._server = server
        self.pid = None

    def server(self, family):
        return self._server[family]

    def run(self, command, timeout):
        return self._network.run(self._namespace, command, timeout=timeout)


class Guest:
    """An engine that serves an idle command, at one MTU."""

    def __init__(self, name, network, launch):
        self.name = name
        self._network = network
        self._errors = open(os.memfd_create("engine"), "w+b")
        self._child = network.popen(network.hst, launch, nobody=True,
                                    stdout=self._errors, stderr=self._errors)
        self._guest = processes.wait_until(self._find_guest, 10, f"{name} starts no command")
        self.pid = processes.wait_until(self._find_engine, 10, f"{name} does not open the tap")
        network.note_guest(processes.net_namespace(self._guest))
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
        return ["nsenter", "-t", str(self._guest), "-n", "--", *command]

    def server(self, family):
        return self._network.SRV[family]

    def run(self, command, timeout):
        return self._network.run(self._network.hst, self.enter(command), timeout=timeout)

    def stop(self):
        self._network.stop(self._child)


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


def version_of(path):
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return next(iter((done.stdout or done.stderr).strip().splitlines()), "")
