"""What is measured: each cell is one workload, run by every engine in every round.

A sample is a dict of numbers. `value` is the cell's figure; cells of an engine that serves also
have the processor time of the serving process, in seconds per 10^9 bytes.
"""

import dataclasses
import json
import os
import subprocess
import time

from . import engines, iperf, processes

ECHO, UDP_SINK, CONTROL = 7007, 7011, 7012
SPIN = "import os\nyield_ = os.sched_yield\nwhile True: yield_()"


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
    group: str = "tcp"  # tcp, latency, udp, transfer, churn, start, memory, forward
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
    judged: str = "sluice"  # Whose figure the thresholds are about.

    def comparisons(self):
        """(prefix, threshold, key of the samples) of each bound that is a ratio."""
        found = [("", threshold, "value") for threshold in self.thresholds]
        if self.cpu_threshold:
            found.append(("cpu ", self.cpu_threshold, "cpu_per_gb"))
        return found


ALL = ("direct", "loopback", "pasta", "sluice")
ROUTED = ("direct", "pasta", "sluice")
SERVED = ("pasta", "sluice")


class Bench:
    """The lab while it runs: network, places, lab server, sizes."""

    def __init__(self, network, options):
        self.network = network
        self.options = options
        self.spinners = []
        self._places = {}
        self._start_lab_server()

    def _start_lab_server(self):
        path = os.path.join(self.options.clients, "lab-server")
        self._server = self.network.popen(
            self.network.srv,
            [path, "--echo", str(ECHO), "--udp-echo", str(ECHO), "--udp-sink", str(UDP_SINK),
             "--control", str(CONTROL)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._server.stdout.readline() != b"ready\n":
            raise processes.LabError(f"{path} does not start")

    def client(self, name, *words):
        return [os.path.join(self.options.clients, name), *map(str, words)]

    def command(self, engine, command, mtu=None):
        build = {"pasta": engines.pasta_command, "sluice": engines.sluice_command}[engine]
        return build(getattr(self.options, engine), command, mtu)

    def place(self, engine, mtu):
        """Where clients of an engine run; engines start at the first use and stay."""
        key = (engine, mtu if engine in SERVED else 0)
        if key not in self._places:
            self._places[key] = self._make_place(engine, mtu)
        return self._places[key]

    def _make_place(self, engine, mtu):
        if engine == "direct":
            return engines.Plain(engine, self.network, self.network.cli, self.network.SRV)
        if engine == "loopback":
            return engines.Plain(engine, self.network, self.network.srv, {4: "127.0.0.1", 6: "::1"})
        launch = self.command(engine, engines.IDLE, mtu)
        return engines.Guest(engine, self.network, launch)

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


def throughput(direction, streams, mtu):
    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, mtu)
        before = processes.cpu_seconds(place.pid) if place.pid else None
        sample = iperf.measure(bench.network, place, bench.options.family, direction, streams,
                               bench.options.seconds)
        result = {"value": sample["gbit"], "congestion": sample["congestion"]}
        if before:
            gigabytes = sample["bytes"] / 1e9
            after = processes.cpu_seconds(place.pid)
            result["cpu_user_per_gb"] = (after[0] - before[0]) / gigabytes
            result["cpu_system_per_gb"] = (after[1] - before[1]) / gigabytes
            result["cpu_per_gb"] = result["cpu_user_per_gb"] + result["cpu_system_per_gb"]
        return result

    return measure


def latency(program, count, flows):
    def measure(bench, engine):
        # Many flows keep the cores awake by themselves, and would share them with the spinners.
        bench.spin(flows == 1)
        place = bench.place(engine, 65520)
        cycles = max(1, count // 10) if bench.options.quick else count
        done = place.run(bench.client(program, place.server(bench.options.family), ECHO, cycles,
                                      "--concurrency", flows, "--json"), 120)
        if done.returncode != 0:
            raise processes.LabError(f"{program}: {done.stderr.strip()}")
        result = json.loads(done.stdout)
        if result["lost"]:
            raise processes.LabError(f"{program}: {result['lost']} of {result['n']} lost")
        return {"value": result["p50_ns"] / 1e3, **result}

    return measure


def udp_out(bench, engine):
    bench.spin(False)
    place = bench.place(engine, 1500)
    before = processes.cpu_seconds(place.pid) if place.pid else None
    done = place.run(bench.client("udp-rate-client", place.server(bench.options.family), UDP_SINK,
                                  CONTROL, "--size", 1400, "--seconds", bench.options.seconds), 60)
    if done.returncode != 0:
        raise processes.LabError(f"udp-rate-client: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    # What arrived, over the time that was spent sending: late arrivals count, time does not.
    gbit = result["sink"]["bytes"] * 8 / 1e9 / max(result["seconds"], result["sink"]["seconds"])
    sample = {"value": gbit, "loss": 1 - result["sink"]["received"] / result["sent"],
              "reordered": result["sink"]["reordered"]}
    if before and result["sink"]["bytes"]:
        after = processes.cpu_seconds(place.pid)
        sample["cpu_per_gb"] = (sum(after) - sum(before)) / (result["sink"]["bytes"] / 1e9)
    return sample


def start_up(bench, engine):
    """One start of `true`, timed in hst by a process that does nothing else (startup.py)."""
    bench.spin(True)
    helper = os.path.join(os.path.dirname(__file__), "startup.py")
    done = bench.network.run(
        bench.network.hst, ["/usr/bin/python3", helper, "5", *bench.command(engine, ["true"])],
        nobody=True)
    if done.returncode != 0:
        raise processes.LabError(f"{engine} -- true: {done.stderr.strip()}")
    times = json.loads(done.stdout)
    return {"value": sorted(times)[len(times) // 2] * 1e3, "all_ms": [t * 1e3 for t in times]}


def idle_memory(bench, engine):
    guest = engines.Guest(engine, bench.network, bench.command(engine, engines.IDLE))
    time.sleep(0.3)
    memory = processes.memory_kib(guest.pid)
    guest.stop()
    return {"value": memory["rss"] / 1024, **memory}


def all_cells():
    cells = []
    for mtu in (1500, 65520):
        for direction in ("out", "in", "bidir"):
            for streams in (1, 8):
                cells.append(_throughput_cell(direction, streams, mtu))
    faster = (Threshold("pasta", at_most=1.0),)
    for label, program, count, flows, thresholds in (("rr", "rr-client", 20000, 1, faster),
                                                     ("crr", "crr-client", 4000, 1, faster),
                                                     ("crr-64", "crr-client", 100, 64, faster),
                                                     ("udp-rr", "udp-rr-client", 10000, 1, ())):
        source = Cell(f"{label} p50", "µs", latency(program, count, flows), ALL, 65520, "latency",
                      "lower", thresholds, flows=flows)
        cells.append(source)
        cells.append(Cell(f"{label} p99", "µs", None, ALL, 65520, "latency", "lower",
                          derived_from=source.name, derived_key="p99_ns", derived_scale=1e-3,
                          flows=flows))
    cells.append(Cell("udp-out 1400", "Gbit/s", udp_out, ALL, 1500, "udp",
                      thresholds=(Threshold("pasta", at_least=1.5),), direction="out", streams=1))
    cells.append(Cell("start-up", "ms", start_up, SERVED, 0, "start", "lower", faster))
    memory = Cell("idle rss", "MiB", idle_memory, SERVED, 0, "memory", "lower", at_most=8.0)
    cells.append(memory)
    cells.append(Cell("idle pss", "MiB", None, SERVED, 0, "memory", "lower",
                      derived_from=memory.name, derived_key="pss", derived_scale=1 / 1024))
    return cells


def _throughput_cell(direction, streams, mtu):
    thresholds = ()
    if direction != "bidir":
        over_pasta = 4.0 if (direction, mtu) == ("in", 1500) else 1.2
        thresholds = (Threshold("pasta", at_least=over_pasta),
                      Threshold("direct", at_least=0.30))
    places = ALL if streams == 1 and direction != "bidir" else ROUTED
    return Cell(f"tcp-{direction} mtu{mtu} P{streams}", "Gbit/s",
                throughput(direction, streams, mtu), places, mtu, thresholds=thresholds,
                cpu_threshold=Threshold("pasta", at_most=0.8), direction=direction,
                streams=streams, congestion="cubic")
