"""What a cell is, and the lab that its workload runs in. catalogue.py has the list of cells.

A sample is a dict. `value` is the cell's figure; usage.py adds what it cost the engine's process.
"""

import dataclasses
import os
import subprocess

from . import engines, processes
from .names import SERVER_NAME
from .registry import ENGINES

ECHO, KEPT_ECHO, UDP_SINK, CONTROL, TRANSFER = 7007, 7008, 7011, 7012, 7013
DNS = 53
SPIN = "import os\nyield_ = os.sched_yield\nwhile True: yield_()"

NAMESPACE = tuple(name for name, engine in ENGINES.items() if not engine.apart)
SERVED = tuple(ENGINES)
ROUTED = ("direct", *NAMESPACE)
ALL = ("direct", "loopback", *NAMESPACE)
OURS, OURS_FORWARDING, OURS_NAMED = "sluice", "sluice-forward", "sluice-names"
OURS_WITHOUT_TUN, OURS_SERVING = "sluice-packet", "sluice-in"

# How much of the lab a run takes, each with all of the one before.
SMOKE, QUICK, WHOLE = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Threshold:
    """Ours against a yardstick: `at_least` or `at_most` that many times its figure."""

    against: str
    at_least: float | None = None
    at_most: float | None = None

    def passes(self, ratio):
        if self.at_least is not None:
            return ratio >= self.at_least
        return ratio <= self.at_most

    def __str__(self):
        sign, bound = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign}{bound:g}×{self.against}"


@dataclasses.dataclass(frozen=True)
class Cell:
    name: str
    unit: str
    measure: object  # measure(bench, engine name) → sample
    engines: tuple
    mtu: int = 1500
    # tcp, latency, udp, transfer, churn, start, memory, policy, packet, inbound, forward
    group: str = "tcp"
    better: str = "higher"  # Or "lower": which way the figure improves.
    thresholds: tuple = ()
    cpu_threshold: Threshold | None = None
    at_most: float | None = None  # An absolute bound on ours.
    # A cell without runs of its own: another number of that cell's samples, scaled.
    derived_from: str | None = None
    derived_key: str = ""
    derived_scale: float = 1.0
    direction: str | None = None  # out, in or bidir, as the guest sees it.
    streams: int | None = None
    congestion: str | None = None
    flows: int | None = None
    tier: int = QUICK  # The shortest run that has this cell.
    most_rounds: int | None = None  # For a cell that costs much and varies little.
    # Seconds of one sample in a whole run; None is that of a throughput run.
    cost: float | None = None
    needs: str | None = None  # A client program without which the cell is left out.

    @property
    def judged(self):
        """Whose figure the thresholds are about."""
        return {"forward": OURS_FORWARDING, "policy": OURS_NAMED,
                "packet": OURS_WITHOUT_TUN, "inbound": OURS_SERVING}.get(self.group, OURS)

    def comparisons(self):
        """(prefix, threshold, key of the samples) of each bound that is a ratio."""
        found = [("", threshold, "value") for threshold in self.thresholds]
        if self.cpu_threshold:
            found.append(("cpu ", self.cpu_threshold, "cpu_per_gb"))
        return found


class Bench:
    """The lab while it runs: network, places, lab server, sizes."""

    def __init__(self, network, options):
        self.network = network
        self.options = options
        self.spinners = []
        self._places = {}
        # Engines read the resolver of hst when they start, so it is there before them.
        network.resolver(network.hst, f"nameserver {network.SRV[options.family]}\n")
        self._start_lab_server()
        self._start_resolver()

    def _start_lab_server(self):
        path = os.path.join(self.options.clients, "lab-server")
        words = [path, "--echo", ECHO, "--echo", KEPT_ECHO, "--udp-echo", ECHO,
                 "--udp-sink", UDP_SINK, "--control", CONTROL]
        if self.has_client("transfer-client"):
            words += ["--transfer", TRANSFER]
        self._server = self.network.popen(self.network.srv, list(map(str, words)),
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._server.stdout.readline() != b"ready\n":
            raise processes.LabError(f"{path} does not start")

    def _start_resolver(self):
        self._resolver = self.python(self.network.srv, "resolver.py", DNS, SERVER_NAME,
                                     *self.network.SRV.values())
        self.network.listening(self._resolver, DNS, "udp")

    def python(self, namespace, script, *words, **options):
        """Starts a script of this folder in a namespace of the lab."""
        path = os.path.join(os.path.dirname(__file__), script)
        return self.network.popen(namespace, ["/usr/bin/python3", path, *map(str, words)],
                                  **options)

    def has_client(self, name):
        return os.path.exists(os.path.join(self.options.clients, name))

    def client(self, name, *words):
        return [os.path.join(self.options.clients, name), *map(str, words)]

    @property
    def family(self):
        return self.options.family

    def engine(self, name):
        return ENGINES[name]

    def path(self, name):
        return getattr(self.options, ENGINES[name].program)

    def place(self, engine, mtu):
        """Where clients of an engine run; engines start at the first use and stay.

        One that ended is told once by the sample that met it, and started again for the next.
        """
        key = (engine, mtu if engine in SERVED else 0)
        place = self._places.get(key)
        if place is None or (place.pid and not processes.is_alive(place.pid)):
            self._places[key] = place = self._make_place(engine, mtu)
        return place

    def _make_place(self, engine, mtu):
        if engine == "direct":
            return engines.Plain(engine, self.network, self.network.cli, self.network.SRV)
        if engine == "loopback":
            return engines.Plain(engine, self.network, self.network.srv, {4: "127.0.0.1", 6: "::1"})
        return self.fresh(engine, mtu)

    def fresh(self, engine, mtu=None):
        """An engine of its own for one sample. The caller stops it."""
        return self.engine(engine).start(self.network, self.path(engine), mtu, self.family)

    def spin(self, wanted):
        """One SCHED_IDLE spinner per core, so that latency does not measure a core waking up.

        The spinner yields all the time: under lazy preemption a loop that stays in user space
        keeps its core until the next tick even from a task that should displace it at once.
        """
        if wanted and not self.spinners:
            for core in sorted(os.sched_getaffinity(0)):
                self.spinners.append(self.network.popen(
                    self.network.hst,
                    ["taskset", "-c", str(core), "chrt", "-i", "0",
                     "/usr/bin/python3", "-c", SPIN]))
        elif not wanted:
            for spinner in self.spinners:
                self.network.stop(spinner)
            self.spinners = []
