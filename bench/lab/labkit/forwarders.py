"""The port forwarders' cells: ours beside rinetd, HAProxy, nginx stream and socat."""

import contextlib
import json
import os
import select
import shutil
import statistics
import subprocess

from . import cells as lab_cells
from . import forwarder_configs, forwarder_place, forwarder_sweep, iperf, processes
from .cells import Cell, Threshold
from .forwarder_configs import KINDS, OURS

FORWARDERS = tuple(KINDS)
PEERS = tuple(name for name in KINDS if name != OURS)
ALL = ("direct", *FORWARDERS)
BEST_PEER = "best-peer"
IDLE_CONNECTIONS = 20_000
IDLE_CONNECTIONS_SHORT = 2000  # Of a quick run.


def why_missing(name, options):
    """One line that says why a forwarder cannot be measured here, or None when it can."""
    kind = KINDS[name]
    if name == OURS:
        if not options.sluice or not shutil.which(options.sluice):
            return f"no {name}: no sluice at {options.sluice}"
        asked = subprocess.run([options.sluice, "forward", "--help"], capture_output=True,
                               stdin=subprocess.DEVNULL, check=False, timeout=10)
        if asked.returncode != 0:
            return f"no {name}: {options.sluice} has no `forward` yet"
        return None
    path = forwarder_configs.program_of(options, kind.program)
    if not shutil.which(path):
        where = f" at {path}" if os.sep in path else ""
        return f"no {name}{where}: apt-get install {kind.package}"
    if name == "nginx-stream" and not os.path.exists(forwarder_configs.NGINX_MODULE):
        return f"no {name}: apt-get install {kind.package}"
    return None


def missing(options):
    """{forwarder: one line why} of those that cannot be measured here."""
    found = {name: why_missing(name, options) for name in FORWARDERS}
    return {name: line for name, line in found.items() if line}


def best_peer(samples_by_engine, better, key="value"):
    """The best median of `key` among the peers, or None without samples.

    `samples_by_engine` may hold yardsticks and ours too: they do not count. Processor time is
    always better lower, whatever the cell's own figure is.
    """
    medians = []
    for engine in PEERS:
        values = [sample[key] for sample in samples_by_engine.get(engine, ()) if key in sample]
        if values:
            medians.append(statistics.median(values))
    if not medians:
        return None
    return max(medians) if better == "higher" else min(medians)


class Fleet:
    """The forwarders of a lab, each started at its first use. They live as long as the network.

    One that ended is told by the sample that met it, and started again for the next.
    """

    def __init__(self):
        self._places = {}

    def place(self, bench, engine):
        key = (bench.network, engine)
        place = self._places.get(key)
        if place is not None and place.has_ended():
            place.stop()
            place = None
        if place is None:
            self._places[key] = place = start(bench, engine)
        return place


def start(bench, engine, **setting):
    if engine == "direct":
        return forwarder_place.Direct(bench.network, lab_cells.ECHO)
    return forwarder_place.Forwarder(engine, bench.network, bench.options, lab_cells.ECHO,
                                     **setting)


def throughput(fleet, direction, streams):
    def measure(bench, engine):
        bench.spin(False)
        place = fleet.place(bench, engine)
        return measured_throughput(bench, place, direction, streams)

    return measure


def measured_throughput(bench, place, direction, streams):
    before = place.cpu_seconds() if place.pid else None
    sample = iperf.measure(bench.network, place, bench.options.family, direction, streams,
                           bench.options.seconds, port=place.iperf_port)
    result = {"value": sample["gbit"], "congestion": sample["congestion"]}
    if before:
        place.check_alive()
        after = place.cpu_seconds()
        gigabytes = sample["bytes"] / 1e9
        result["cpu_user_per_gb"] = (after[0] - before[0]) / gigabytes
        result["cpu_system_per_gb"] = (after[1] - before[1]) / gigabytes
        result["cpu_per_gb"] = result["cpu_user_per_gb"] + result["cpu_system_per_gb"]
    return result


def latency(fleet, program, count, flows, *words):
    """The client's whole result as the sample. `value` is the median of one flow in µs, and the
    rate of many, of which each would wait for the others."""

    def measure(bench, engine):
        bench.spin(flows == 1)
        place = fleet.place(bench, engine)
        cycles = max(1, count // 10) if bench.options.quick else count
        done = place.run(bench.client(program, place.server(bench.options.family),
                                      place.echo_port, cycles, "--concurrency", flows, "--json",
                                      *words), 120)
        if place.pid:
            place.check_alive()
        if done.returncode != 0:
            raise processes.LabError(f"{program}: {done.stderr.strip()}")
        result = json.loads(done.stdout)
        if result["lost"]:
            raise processes.LabError(f"{program}: {result['lost']} of {result['n']} lost")
        value = result["p50_ns"] / 1e3 if flows == 1 else result["rate_per_s"]
        return {"value": value, **result}

    return measure


def idle_memory(bench, engine):
    """KiB of PSS for each of many connections that have carried one byte and now wait.

    Of a forwarder of its own, because memory that another cell made it allocate would be reused
    here and look free. Some cannot hold as many: their samples say how many they had.
    """
    bench.spin(False)
    wanted = IDLE_CONNECTIONS_SHORT if bench.options.quick else IDLE_CONNECTIONS
    count = min(wanted, KINDS[engine].most_connections)
    with contextlib.ExitStack() as stack:
        place = start(bench, engine)
        stack.callback(place.stop)
        before = place.memory_kib()
        client = bench.network.popen(
            bench.network.cli,
            bench.client("idle-client", place.server(bench.options.family), place.echo_port, count,
                         "--ping-first"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        stack.callback(bench.network.stop, client)
        _expect(client, f"open {count}", engine)
        after = place.memory_kib()
        client.stdin.close()
        _expect(client, f"alive {count} of {count}", engine)
        place.check_alive()
        client.stdout.close()
    return {"value": (after - before) / count, "connections": count, "total_kib": after,
            "idle_kib": before}


def _expect(client, line, engine):
    ready, _, _ = select.select([client.stdout], [], [], 120)
    said = client.stdout.readline().decode(errors="replace").strip() if ready else "nothing"
    if said != line:
        raise processes.LabError(f"idle connections through {engine}: expected {line!r}, "
                                 f"idle-client said {said!r}")


def cells(family=4):
    """The cells of the group `forward`. Each call has forwarders of its own."""
    datagrams = ("direct", *(name for name, kind in KINDS.items() if family in kind.udp))
    fleet = Fleet()
    found = []
    for direction in ("out", "in"):
        for streams, over_peers in ((1, 1.5), (8, 1.3)):
            thresholds = (Threshold(BEST_PEER, at_least=over_peers),)
            if streams == 1:
                thresholds += (Threshold("direct", at_least=0.65),)
            found.append(_cell(f"fwd tcp-{direction} P{streams}", "Gbit/s",
                               throughput(fleet, direction, streams), ALL, "higher", thresholds,
                               cpu_threshold=Threshold(BEST_PEER, at_most=0.7),
                               direction=direction, streams=streams, congestion="cubic"))
    size = ("--size", 64)
    found += _with_p99("fwd rr p50", latency(fleet, "rr-client", 20000, 1, *size), 1,
                       (Threshold(BEST_PEER, at_most=1.0),))
    found += _with_p99("fwd rr-64 rate", latency(fleet, "rr-client", 1000, 64, *size), 64,
                       (Threshold(BEST_PEER, at_least=1.0),))
    found += _with_p99("fwd crr p50", latency(fleet, "crr-client", 4000, 1), 1)
    found += _with_p99("fwd crr-64 rate", latency(fleet, "crr-client", 100, 64), 64,
                       (Threshold(BEST_PEER, at_least=1.15),))
    found += _with_p99("fwd udp-rr p50", latency(fleet, "udp-rr-client", 10000, 1, *size), 1,
                       engines=datagrams)
    memory = _cell("fwd idle memory", "KiB", idle_memory, FORWARDERS, "lower", at_most=1.5,
                   cost=2.5, most_rounds=3)
    found += [memory, _derived(memory, "fwd idle total", "MiB", "total_kib", 1 / 1024)]
    return found


def _cell(name, unit, measure, engines, better, thresholds=(), **more):
    return Cell(name, unit, measure, engines, mtu=1500, group="forward", better=better,
                thresholds=thresholds, **more)


def _derived(source, name, unit, key, scale):
    return _cell(name, unit, None, source.engines, "lower", derived_from=source.name,
                 derived_key=key, derived_scale=scale, flows=source.flows)


def _with_p99(name, measure, flows, thresholds=(), engines=ALL):
    """A cell of a median in µs or of a rate, and the p99 of the same runs."""
    label, _, figure = name.rpartition(" ")
    unit, better = ("µs", "lower") if figure == "p50" else ("operations/s", "higher")
    source = _cell(name, unit, measure, engines, better, thresholds, flows=flows, cost=1.5)
    return [source, _derived(source, f"{label} p99", "µs", "p99_ns", 1e-3)]


def sweep(bench):
    """Prints how figures follow the buffer's size, and returns the rows."""
    return forwarder_sweep.sweep(bench, start, missing(bench.options))
