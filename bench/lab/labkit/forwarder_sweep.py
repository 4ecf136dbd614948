"""The sweep of buffer sizes: throughput and system calls per MB, for ours and for socat.

It shows why a relay is as fast as it is: bytes per system call times calls per second. System
calls are counted in a run of their own, because strace slows what it watches many times over.
"""

import sys
import time

from . import iperf, processes, strace
from .forwarder_configs import OURS

SIZES_KIB = (8, 16, 64, 256)


def settings():
    """(engine, label, what its commands() takes), in the order of the table."""
    for kib in SIZES_KIB:
        words = ("--relay=copy", "--buffer-size", str(kib * 1024))
        yield OURS, f"copy {kib} KiB", {"extra": words}
    yield OURS, "splice", {"extra": ("--relay=splice",)}
    for kib in SIZES_KIB:
        yield "socat", f"copy {kib} KiB", {"buffer": kib * 1024}


def sweep(bench, start, missing, out=sys.stdout):
    """`start(bench, engine, **setting)` → a place; engines in `missing` are left out, with why."""
    rows = []
    for line in missing.values():
        if line == missing.get(OURS) or line == missing.get("socat"):
            print(f"lab: {line}: left out", file=sys.stderr)
    for engine, label, setting in settings():
        if engine in missing:
            continue
        place = start(bench, engine, **setting)
        try:
            rows.append({"engine": engine, "setting": label, **measure(bench, place)})
        finally:
            place.stop()
    print_table(rows, out)
    return rows


def measure(bench, place):
    def run(streams):
        return iperf.measure(bench.network, place, bench.options.family, "out", streams,
                             bench.options.seconds, port=place.iperf_port)

    figures = {f"gbit_p{streams}": run(streams)["gbit"] for streams in (1, 8)}
    served = place.listener(bench.options.family, place.iperf_port)
    # socat's processes of connections that have ended stay for half a second.
    time.sleep(1)
    with strace.SystemCalls(processes.descendants(served)) as traced:
        moved = run(1)["bytes"]
    place.check_alive()
    figures["calls"] = traced.counts()
    figures["calls_per_mb"] = sum(figures["calls"].values()) / (moved / 1e6)
    return figures


def print_table(rows, out):
    head = ("forwarder", "setting", "P1 Gbit/s", "P8 Gbit/s", "calls/MB", "most frequent")
    lines = [head]
    for row in rows:
        often = sorted(row["calls"], key=row["calls"].get, reverse=True)[:3]
        lines.append((row["engine"], row["setting"], f"{row['gbit_p1']:.1f}",
                      f"{row['gbit_p8']:.1f}", f"{row['calls_per_mb']:.1f}", ", ".join(often)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [text.ljust(width) if column in (0, 1, 5) else text.rjust(width)
                 for column, (text, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip(), file=out)
