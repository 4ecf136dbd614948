"""Engines whose guest serves: ports of hst lead to it, and ports of its loopback lead to hst's.

Each instance has numbers of its own in hst, so that several run at once; in its guest they are
the same. A way is how a client comes to its server:

    inbound  from cli, to an address of hst: to the guest by the tap
    lo-in    from hst's loopback to the guest's
    lo-out   from the guest's loopback to hst's
"""

import functools
import itertools
import subprocess

from . import processes
from .engines import IDLE, Guest, Pasta, Sluice, pasta_command, sluice_command
from .forwarder_place import LISTEN

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
# Of the guest: where it serves, and which of its loopback's lead to hst.
GUEST_BULK, GUEST_ECHO = 5301, 5302
# Below the ephemeral ports, above those of the forwarders.
FIRST_PORT, PORTS = 20000, 4
_numbers = itertools.count()


class Ports:
    """The numbers of one instance in hst. Those that lead out have them in the guest, too."""

    def __init__(self):
        first = FIRST_PORT + PORTS * next(_numbers)
        self.bulk, self.echo, self.out_bulk, self.out_echo = range(first, first + PORTS)

    def inwards(self):
        return ((self.bulk, GUEST_BULK), (self.echo, GUEST_ECHO))

    def outwards(self):
        return (self.out_bulk, self.out_echo)

    def listed(self):
        """As both programs take them: those of -t, those of -T."""
        return (",".join(f"{host}:{guest}" for host, guest in self.inwards()),
                ",".join(map(str, self.outwards())))


class ServingGuest(Guest):
    """A guest with servers of echoes, its own and hst's."""

    def __init__(self, name, network, launch, ports):
        super().__init__(name, network, launch)
        self.ports = ports
        self._echo = []

    def way(self, name):
        return Way(self, self._network, name)

    def serve_echoes(self, bench):
        if not self._echo:
            words = bench.client("lab-server", "--echo")
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._echo = [
                self.popen([*words, str(GUEST_ECHO)], **pipes),
                self._network.popen(self._network.hst, [*words, str(self.ports.out_echo)], **pipes)]
            for server in self._echo:
                if server.stdout.readline() != b"ready\n":
                    raise processes.LabError(f"{words[0]} does not start for {self.name}")

    def stop(self):
        for server in self._echo:
            self._network.stop(server)
        super().stop()


class Way:
    """One way to or from a guest: whom a client calls, and where both run."""

    def __init__(self, place, network, name):
        self._place, self._network, self._name = place, network, name
        ports = place.ports
        out = name == "lo-out"
        self.bulk_port, self.echo_port = (ports.out_bulk, ports.out_echo) if out else (ports.bulk,
                                                                                      ports.echo)
        self._server_port = ports.out_bulk if out else GUEST_BULK

    def server(self, family):
        return (LISTEN if self._name == "inbound" else LOOPBACK)[family]

    def run(self, command, timeout):
        if self._name == "lo-out":
            return self._place.run(command, timeout)
        client = self._network.cli if self._name == "inbound" else self._network.hst
        return self._network.run(client, command, timeout=timeout)

    def bulk_server(self):
        """iperf3 for one run. The caller stops it."""
        words = ["iperf3", "-s", "-1", "-p", str(self._server_port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = self._network.popen(self._network.hst, words, **quiet) \
            if self._name == "lo-out" else self._place.popen(words, **quiet)
        self._network.listening(server, self._server_port)
        return server


class PastaIn(Pasta):
    name = "pasta-in"
    program = "pasta"
    apart = True

    def start(self, network, path, mtu, _family):
        ports = Ports()
        words = pasta_command(path, IDLE, mtu, _loopback_first(path))
        for option, value in zip(("-t", "-T"), ports.listed()):
            words[words.index(option) + 1] = value
        return ServingGuest(self.name, network, words, ports)


@functools.cache
def _loopback_first(path):
    """Until 2024-10 it is so in any case."""
    said = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    option = "--host-lo-to-ns-lo"
    return (option,) if option in said.stdout + said.stderr else ()


class SluiceIn(Sluice):
    name = "sluice-in"
    program = "sluice"
    apart = True

    def start(self, network, path, mtu, _family):
        ports = Ports()
        inwards, outwards = ports.listed()
        words = sluice_command(path, IDLE, mtu,
                               ("-t", inwards, "-T", outwards, "--host-lo-to-ns-lo"))
        return ServingGuest(self.name, network, words, ports)
