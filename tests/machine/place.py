"""What every machine test uses: the ways to join a guest to an engine, and a test's context."""

import dataclasses
import os
import shutil
import tempfile

from harness import Context, Failure, check
from labkit import netns
from machines import engines, machine

# Guests in a row that do not come up, after which no test of theirs waits for another.
FAILURES_MOST = 2
# Published on the host, TCP and UDP, for tests of that.
PORTS = (7017, 7018)


@dataclasses.dataclass(frozen=True)
class Setup:
    """A kind of guest, joined to an engine by a link (engines.py)."""

    engine: str
    machine: type
    link: str

    @property
    def is_chief(self):
        """Whether it has all tests also with --fast; others differ in how frames come alone."""
        return (self.machine is not machine.Qemu10 and
                self.link not in ("datagram", "descriptor", "vhost-user/2", "vhost-user/2/2"))

    @property
    def name(self):
        kind = self.machine.__name__.lower()
        return "-".join([kind, self.link.replace("/", "x"), self.engine])


def _setups():
    qemu, uml = machine.Qemu, machine.Uml
    for kind, link in ((qemu, "stream"), (qemu, "vhost-user"), (uml, "vhost-user"), (uml, "bess"),
                       (qemu, "datagram"), (qemu, "descriptor"), (qemu, "vhost-user/2"),
                       (qemu, "vhost-user/2/2")):
        yield Setup("sluice", kind, link)
    yield Setup("sluice", machine.Qemu10, "vhost-user/2")
    for link in ("stream", "descriptor", "vhost-user"):
        yield Setup("passt", qemu, link)
    yield Setup("passt", uml, "bess")
    yield Setup("slirp", qemu, "slirp")


SETUPS = {setup.name: setup for setup in _setups()}


class Place:
    """Namespaces, an engine and a guest, which lives as long as tests leave it well."""

    def __init__(self, options, setup, kit):
        self.options = options
        self.setup = setup
        self._kit = kit
        self._type = engines.ENGINES[setup.engine]
        self._path = {"sluice": options.sluice, "passt": options.passt}.get(setup.engine)
        self._type.check_present(self._path, setup.link)
        setup.machine.check_present()
        self.net = self.engine = self.machine = None
        self._failures = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-test-")
        os.chmod(self.folder, 0o777)
        return self

    def __exit__(self, *_):
        self.spoil()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ensure(self):
        """A guest that has its addresses; a new one where a test has left none behind."""
        if self.engine is not None:
            return
        if len(self._failures) >= FAILURES_MOST:
            raise Failure(f"given up, as before: {self._failures[-1]}")
        try:
            self.net = netns.Network()
            self.net.__enter__()
            self.net.wait_ready()
            self.net.resolver(self.net.hst, f"nameserver {self.net.SRV[4]}\n")
            self.engine = self._type(self.net, self._path, self.folder, self.setup.link, PORTS)
            self.engine.start()
            self.new_machine()
            self._failures = []
        except BaseException as failure:
            self._failures.append(failure)
            self.spoil()
            raise

    def new_machine(self):
        """Boots another guest of the same engine."""
        # A guest uses no more queues than it has processors.
        cpus = 2 if "/" in self.setup.link else 1
        self.machine = self.setup.machine(self.net, self._kit, self.folder, self.engine.link(),
                                          cpus=cpus)
        self.machine.boot()
        self.machine.network_up()

    def spoil(self):
        """Ends all: the next test starts anew."""
        if self.machine:
            self.machine.close()
        if self.engine:
            self.engine.stop()
        if self.net:
            self.net.close()
        self.net = self.engine = self.machine = None

    def stop_others(self, before):
        """Ends what has been started since, but not the engine and the guest."""
        if self.net:
            kept = [*before, *self.machine.children(), *self.engine.children()]
            for child in self.net.children():
                if child not in kept:
                    self.net.stop(child)

    def check_engine(self):
        check(self.engine.is_alive(), f"the engine has ended: {self.engine.said()[-2000:]}")


class Guest(Context):
    """One test with a guest that is up. What runs in it is a line of its shell, or words."""

    def __init__(self, options, family, place):
        super().__init__(options, family, place.net)
        self.place = place
        self.emulated = place.setup.machine is machine.Qemu

    @property
    def machine(self):
        return self.place.machine

    @property
    def big_mib(self):
        if self.emulated:
            return 8 if self.fast else 64
        return 64 if self.fast else 1024

    def run(self, command, timeout=60):
        return self.machine.run(command, timeout)

    def ok(self, command, timeout=60):
        return self.machine.ok(command, timeout)

    def server(self, family):
        """As labkit's places have it: a guest is one."""
        return self.net.SRV[family]

    def serve_in_guest(self, *words):
        """bench/lab/clients/lab_server in the guest, until the test's end."""
        # It ends with its standard input.
        options = " ".join(map(str, words))
        self.ok("rm -f /run/server; "
                f"(sleep 100000 | lab-server {options} >/run/server 2>&1) & "
                "until grep -q ready /run/server 2>/dev/null; do usleep 20000; done")
        self._closing.callback(lambda: self.run("killall lab-server"))
