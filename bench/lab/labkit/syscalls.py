"""The runs of a lab that count system calls: what an engine asks of the kernel for a workload."""

import json

from . import iperf, latency, strace
from .cells import ECHO, QUICK, WHOLE
from .workload import run_client

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
    with strace.SystemCalls([place.pid]) as traced:
        moved = workload(bench, place)
    calls = traced.counts()
    total = sum(calls.values())
    return {"cell": cell, "engine": engine, "seconds": None, **moved, "calls": calls,
            "per_mb": total / (moved["bytes"] / 1e6) if moved["bytes"] else None,
            "per_op": total / moved["operations"] if moved["operations"] else None}
