"""What the lab measures side by side: each row is a kind of guest, an engine and a link of theirs.

The yardsticks are routing alone (direct) and pasta, which serves a namespace and no machine.
"""

import dataclasses
import os
import tempfile

from labkit import engines as namespace_engines
from labkit import processes

from machines import engines, kit, machine, testpmd


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    machine: type | None = None
    engine: str | None = None
    link: str | None = None

    @property
    def emulated(self):
        return self.machine is machine.Qemu

    @property
    def on_kvm(self):
        return self.machine in (machine.QemuKvm, machine.Box)


ROWS = {row.name: row for row in (
    Row("direct"),
    Row("pasta"),
    Row("qemu slirp", machine.Qemu, "slirp", "slirp"),
    Row("qemu passt", machine.Qemu, "passt", "stream"),
    Row("qemu passt-vhost", machine.Qemu, "passt", "vhost-user"),
    Row("qemu sluice", machine.Qemu, "sluice", "stream"),
    Row("qemu sluice-vhost", machine.Qemu, "sluice", "vhost-user"),
    Row("uml passt-vhost", machine.Uml, "passt", "vhost-user"),
    Row("uml sluice-bess", machine.Uml, "sluice", "bess"),
    Row("uml sluice-vhost", machine.Uml, "sluice", "vhost-user"),
    Row("kvm slirp", machine.QemuKvm, "slirp", "slirp"),
    Row("kvm passt", machine.QemuKvm, "passt", "stream"),
    Row("kvm sluice", machine.QemuKvm, "sluice", "stream"),
    Row("kvm box", machine.Box, "box", "own"),
    # Down the ladder, as on kernels whose KVM lacks these.
    Row("kvm box, no registers", machine.Box, "box", "own/registers"),
    Row("kvm box, no irqfd", machine.Box, "box", "own/registers,irqfd"),
    Row("kvm box, no ioeventfd", machine.Box, "box", "own/registers,ioeventfd"),
    Row("kvm box, none", machine.Box, "box", "own/registers,irqfd,ioeventfd"),
    Row("testpmd passt-vhost", testpmd.Testpmd, "passt", "vhost-user"),
    Row("testpmd sluice-vhost", testpmd.Testpmd, "sluice", "vhost-user"),
)}


def path_of(engine, options):
    return {"sluice": options.sluice, "box": options.sluice, "passt": options.passt,
            "slirp": None}[engine]


def missing(row, options):
    """Why a row cannot be measured here, or None."""
    try:
        if row.name == "pasta":
            engines.Engine.check_present(options.pasta, None)
        elif row.engine:
            engines.ENGINES[row.engine].check_present(path_of(row.engine, options), row.link)
            row.machine.check_present()
    except kit.Missing as why:
        return str(why)
    return None


def _words_of(row):
    """Of the engine's command line, beyond its link."""
    # What passt does by itself: the guest may have the largest MTU, and a cell sets its own.
    large = row.engine in ("sluice", "box") and row.machine is not testpmd.Testpmd
    return ["--mtu", "65520"] if large else []


class Guest:
    """A machine that is up, as labkit's places have it."""

    def __init__(self, row, network, made_kit, options, folder):
        self.row = row
        self.network = network
        self._machine = None
        self.engine = engines.ENGINES[row.engine](network, path_of(row.engine, options), folder,
                                                  row.link, options=_words_of(row)).start()
        try:
            self._boot(made_kit, folder)
        except machine.GuestError as error:
            self.stop()
            raise processes.LabError(f"{row.name} does not come up: {error}") from None

    def _boot(self, made_kit, folder):
        if self.row.machine is testpmd.Testpmd:
            return
        # 8 streams at the largest MTU need room.
        self._machine = self.row.machine(self.network, made_kit, folder, self.engine.link(),
                                         memory=512)
        self._machine.boot()
        self._machine.network_up()

    @property
    def pid(self):
        """Whose processor time counts: of libslirp, a part of QEMU, and of a box, none does."""
        return None if self.row.engine in ("slirp", "box") else self.engine.pid

    @property
    def monitor(self):
        """The process whose KVM is counted (exits.py), or None."""
        return self._machine.pid if self.row.on_kvm else None

    def server(self, family):
        return self.network.SRV[family]

    def client(self, name):
        return name

    def run(self, command, timeout):
        try:
            return self._machine.run(command, timeout)
        except machine.GuestError as error:
            raise processes.LabError(str(error)) from None

    def set_mtu(self, mtu):
        done = self.run(f"ip link set $(cat /run/link) mtu {mtu}", 30)
        if done.returncode != 0:
            raise processes.LabError(f"the guest takes no MTU of {mtu}: {done.stderr.strip()}")

    def is_alive(self):
        return self.engine.is_alive() and (self._machine is None or self._machine.is_alive())

    def stop(self):
        if self._machine:
            self._machine.close()
        self.engine.stop()


class Namespace:
    """A yardstick: no machine."""

    def __init__(self, row, network, options):
        self.row = row
        self.network = network
        self._clients = options.clients
        if row.name == "pasta":
            self._place = namespace_engines.Pasta().start(network, options.pasta, 65520, 4)
        else:
            self._place = namespace_engines.Plain(row.name, network, network.cli, network.SRV)
        self.pid = self._place.pid
        self.monitor = None
        self.server = self._place.server
        self.run = self._place.run

    def client(self, name):
        return os.path.join(self._clients, name)

    def set_mtu(self, mtu):
        """The guest's interface of pasta; the veth of routing keeps its 1500."""
        if self.pid:
            self.run(["sh", "-c", f"ip link set eth0 mtu {mtu}"], 10)

    def is_alive(self):
        return not self.pid or processes.is_alive(self.pid)

    def stop(self):
        if self.pid:
            self._place.stop()


class Places:
    """Every row's place, made at its first use and kept for the run."""

    def __init__(self, network, options, made_kit):
        self.network = network
        self.options = options
        self._kit = made_kit
        self._made = {}
        self._failures = {}  # By row, of its starts.
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-vmlab-",
                                                   ignore_cleanup_errors=True)
        self.folder = self._folder.name
        os.chmod(self.folder, 0o777)

    def of(self, row):
        place = self._made.get(row.name)
        if place is None or not place.is_alive():
            if place is not None:
                place.stop()
            self._made[row.name] = None
            self._made[row.name] = place = self._start(row)
        return place

    def _start(self, row):
        if row.machine is None:
            return Namespace(row, self.network, self.options)
        failures = self._failures.setdefault(row.name, [])
        # One that did not come up twice never will, and each cell would wait for it again.
        if len(failures) >= 2:
            raise failures[-1]
        try:
            return Guest(row, self.network, self._kit, self.options, self.folder)
        except processes.LabError as error:
            failures.append(error)
            raise

    def close(self):
        for place in filter(None, self._made.values()):
            place.stop()
        self._folder.cleanup()
