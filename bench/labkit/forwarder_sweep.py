"""The sweep of buffer sizes: throughput and system calls per MB, for ours and for socat.

It shows why a relay is as fast as it is: bytes per system call times calls per second. System
calls are counted in a run of their own, because strace slows what it watches many times over.
"""

import os
import signal
import sys
import tempfile
import time

from . import iperf, processes
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
    with Counter(bench, place) as counter:
        moved = run(1)["bytes"]
    place.check_alive()
    figures["calls"] = counter.calls
    figures["calls_per_mb"] = sum(counter.calls.values()) / (moved / 1e6)
    return figures


class Counter:
    """Counts the system calls of the process that serves a place's iperf3 port, while it lasts."""

    def __init__(self, bench, place):
        self._network = bench.network
        self._pid = place.listener(bench.options.family, place.iperf_port)
        # socat's processes of connections that have ended stay for half a second.
        time.sleep(1)
        self._served = processes.descendants(self._pid)
        self._file = tempfile.NamedTemporaryFile("r", prefix="sluice-lab-", encoding="ascii")
        self.calls = {}

    def __enter__(self):
        attach = [word for pid in self._served for word in ("-p", str(pid))]
        self._strace = self._network.popen(
            self._network.hst, ["strace", "-c", "-f", "-q", "--summary-columns=calls,name",
                                "-o", self._file.name, *attach])
        processes.wait_until(self._attached, 10, f"strace does not attach to process {self._pid}")
        return self

    def _attached(self):
        if self._strace.poll() is not None:
            raise processes.LabError("strace ended at its start")
        return all(_tracer_of(pid) == self._strace.pid for pid in self._served
                   if processes.is_alive(pid))

    def __exit__(self, failure, *_):
        if self._strace.poll() is None:
            # It lets go of what it watches, and writes its summary.
            os.kill(self._strace.pid, signal.SIGINT)
            self._strace.wait(10)
        self._network.stop(self._strace)
        self.calls = parse(self._file.read())
        self._file.close()
        if not self.calls and failure is None:
            raise processes.LabError(f"strace counted nothing of process {self._pid}")


def _tracer_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("TracerPid:"))


def parse(text):
    """{system call: count} of strace's summary with the columns calls and name."""
    calls = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and words[1] != "total":
            calls[words[1]] = int(words[0])
    return calls


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
