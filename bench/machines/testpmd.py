"""DPDK's testpmd as a guest without a kernel: it fills the rings of a vhost-user engine with UDP as
fast as they take it, which no Linux guest here can."""

import itertools
import os
import re
import shutil
import subprocess
import time

from labkit import processes

from . import kit as kits
from . import links

PROGRAM = "dpdk-testpmd"
PACKAGE = "dpdk-dev"
# The engine's, which answers no ARP before a frame comes: sluice's own by default.
ENGINE_MAC = "52:54:00:12:34:01"
ETHERNET_IP_UDP = 14 + 20 + 8

# No name is used again, also by another of the same test.
_numbers = itertools.count()


class Testpmd:
    """Sends datagrams of one size to one address, from start() to close()."""

    def __init__(self, network, folder, link, queues=1, packed=False):
        self.link = link
        self._network = network
        self._prefix = f"kit{os.getpid()}x{next(_numbers)}"
        self._log = os.path.join(folder, f"testpmd.{next(_numbers)}.log")
        self._queues = queues
        self._packed = packed
        self._child = None

    @classmethod
    def check_present(cls):
        if not shutil.which(PROGRAM):
            raise kits.Missing(f"no {PROGRAM} (package {PACKAGE})")

    @classmethod
    def version(cls):
        done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"DPDK \S+", done.stdout + done.stderr)
        return found[0] if found else "unknown"

    def start(self, address, port, size=1400):
        """Datagrams of `size` bytes to an IPv4 address."""
        device = [f"net_virtio_user0,path={self.link.path}", f"queues={self._queues}",
                  f"mac={links.MAC}", *(["packed_vq=1"] if self._packed else [])]
        cores = min(self._queues, len(os.sched_getaffinity(0)) - 1) or 1
        lcores = ",".join(f"{number}@{number}" for number in range(cores + 1))
        # What it says is wanted at once, though it goes to a file.
        words = ["stdbuf", "-oL", PROGRAM, "--lcores", lcores, "--no-huge", "-m", "256",
                 "--no-pci", "--no-telemetry", "--file-prefix", self._prefix, "--vdev",
                 ",".join(device), "--", "--no-mlockall", "--total-num-mbufs=4096",
                 "--forward-mode=txonly",
                 f"--nb-cores={cores}", f"--txq={self._queues}", f"--rxq={self._queues}",
                 f"--tx-ip=10.0.2.15,{address}", f"--tx-udp=9,{port}",
                 f"--txpkts={size + ETHERNET_IP_UDP}", f"--eth-peer=0,{ENGINE_MAC}", "--auto-start"]
        with open(self._log, "wb") as log:
            # It ends with its standard input.
            self._child = self._network.popen(self._network.hst, words, stdin=subprocess.PIPE,
                                              stdout=log, stderr=log)
        processes.wait_until(self._is_sending, 60, "testpmd does not start")
        return self

    def _is_sending(self):
        if self._child.poll() is not None:
            raise processes.LabError(f"testpmd ended at start: {self.said()[-600:]}")
        return "Press enter to exit" in self.said()

    def said(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def children(self):
        return [self._child] if self._child else []

    def finish(self):
        """Ends it in its own way; returns what it sent: {"sent": …, "refused": …}."""
        self._child.stdin.close()
        deadline = time.monotonic() + 30
        while self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        total = re.findall(r"TX-packets: (\d+) +TX-dropped: (\d+)", self.said())
        self.close()
        if not total:
            raise processes.LabError(f"testpmd says: {self.said()[-600:]}")
        return {"sent": int(total[-1][0]), "refused": int(total[-1][1])}

    def kill(self):
        """Ends it as a crash would."""
        processes.kill_now(self._child)

    def close(self):
        if self._child is not None:
            self._network.stop(self._child)


def received_datagrams(network, namespace):
    """UDP datagrams that have come into a namespace, whether anybody took them or not.

    An interface would count those that an engine sends at once (UDP_SEGMENT) as one packet.
    """
    table = network.run(namespace, ["cat", "/proc/net/snmp"]).stdout
    names, values = (line.split()[1:] for line in table.splitlines() if line.startswith("Udp:"))
    counters = dict(zip(names, map(int, values)))
    return counters["InDatagrams"] + counters["NoPorts"] + counters["InErrors"]
