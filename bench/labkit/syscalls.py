"""System calls of an engine's process under a workload, counted by strace.

Tracing slows an engine by much, so these are runs of their own: their counts are used, their times
are not. A slower engine finds more waiting for it at each turn, so that a count per MB is rather
too low than too high.
"""

import json
import re
import signal
import tempfile

from . import iperf, latency, processes
from .cells import ECHO, QUICK, WHOLE
from .workload import run_client

# % time, seconds, usecs/call, calls, errors or nothing, name.
ROW = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE)
SECONDS = 1


def _bulk(direction):
    def run(bench, place):
        sample = iperf.measure(bench.network, place, bench.family, direction, 1, SECONDS)
        return {"bytes": sample["bytes"], "operations": None}

    return run


def _operations(program, count):
    def run(bench, place):
        wanted = count // 5 if bench.options.quick else count
        result = json.loads(run_client(bench, place, program, ECHO, wanted, "--json"))
        return {"bytes": None, "operations": result["n"]}

    return run


# (cell, MTU, workload, the shortest run that has it)
WORKLOADS = (
    ("tcp-out mtu1500 P1", 1500, _bulk("out"), QUICK),
    ("tcp-in mtu1500 P1", 1500, _bulk("in"), QUICK),
    ("tcp-out mtu65520 P1", 65520, _bulk("out"), WHOLE),
    ("tcp-in mtu65520 P1", 65520, _bulk("in"), WHOLE),
    ("rr p50", latency.MTU, _operations("rr-client", 2000), WHOLE),
    ("crr p50", latency.MTU, _operations("crr-client", 1000), QUICK),
)


def chosen(cells, tier):
    """The workloads whose cells a run has."""
    names = {cell.name for cell in cells}
    return [work for work in WORKLOADS if work[0] in names and work[3] <= tier]


def measure(bench, cell, mtu, workload, engine):
    """One entry of the document's `syscalls`."""
    bench.spin(False)
    place = bench.place(engine, mtu)
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as table:
        tracer = bench.network.popen(
            bench.network.hst, ["strace", "-c", "-f", "-q", "-o", table.name, "-p", str(place.pid)])
        try:
            processes.wait_until(lambda: processes.tracer_of(place.pid), 5,
                                 "strace does not attach")
            moved = workload(bench, place)
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(5)
            finally:
                bench.network.stop(tracer)
        calls = {name: int(count) for count, name in ROW.findall(table.read()) if name != "total"}
    if not calls:
        raise processes.LabError("strace printed no table")
    total = sum(calls.values())
    return {"cell": cell, "engine": engine, "seconds": None, **moved, "calls": calls,
            "per_mb": total / (moved["bytes"] / 1e6) if moved["bytes"] else None,
            "per_op": total / moved["operations"] if moved["operations"] else None}
