"""What an engine does while it is profiled. Each workload says how much it did, in its own unit."""

import dataclasses
import json
import os
import time

from labkit import cells, forwarders, iperf, processes


@dataclasses.dataclass(frozen=True)
class Work:
    amount: float  # In the workload's unit.
    said: str  # The same for people.


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    what: str
    unit: str  # Of what system calls and allocations are counted per.
    run: object  # run(bench, place, seconds) → Work
    mtu: int = 1500
    forward: bool = False


def _throughput(direction, streams):
    def run(bench, place, seconds):
        sample = iperf.measure(bench.network, place, bench.options.family, direction, streams,
                               seconds, port=getattr(place, "iperf_port", None))
        return Work(sample["bytes"] / 1e6, f"{sample['gbit']:.2f} Gbit/s")

    return run


def _client(bench, place, program, *words):
    done = place.run(bench.client(program, place.server(bench.options.family), *words), 120)
    if done.returncode != 0:
        raise processes.LabError(f"{program}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _cycles(program, batch, flows):
    """Batches of cycles until the time is over: every client takes a count."""

    def run(bench, place, seconds):
        port = getattr(place, "echo_port", cells.ECHO)
        started = time.monotonic()
        done, medians = 0, []
        while not done or time.monotonic() < started + seconds:
            result = _client(bench, place, program, port, batch, "--concurrency", flows, "--json")
            done += batch * flows
            medians.append(result["p50_ns"])
        rate = done / (time.monotonic() - started)
        median = sorted(medians)[len(medians) // 2] / 1e3
        return Work(done, f"{rate:,.0f} a second, p50 {median:.0f} µs")

    return run


def _udp_out(bench, place, seconds):
    result = _client(bench, place, "udp-rate-client", cells.UDP_SINK, cells.CONTROL,
                     "--size", 1400, "--seconds", seconds)
    received = result["sink"]["bytes"]
    return Work(received / 1e6, f"{received * 8 / 1e9 / result['seconds']:.2f} Gbit/s arrived")


def _idle(_bench, _place, seconds):
    time.sleep(seconds)
    return Work(seconds, f"idle for {seconds} s")


def _tcp(prefix, forward):
    for name, what, direction, streams in (
            ("tcp-out", "iperf3, one stream from the client", "out", 1),
            ("tcp-in", "iperf3, one stream to the client", "in", 1),
            ("tcp-out-p8", "iperf3, eight streams from the client", "out", 8),
            ("tcp-in-p8", "iperf3, eight streams to the client", "in", 8)):
        yield Workload(prefix + name, what, "MB", _throughput(direction, streams), forward=forward)
    for name, what, program, batch, flows in (
            ("rr", "one byte there and back on one connection", "rr-client", 2000, 1),
            ("crr", "connect, one byte there and back, close", "crr-client", 500, 1),
            ("crr-64", "crr in 64 flows at once", "crr-client", 20, 64)):
        yield Workload(prefix + name, what, "cycle", _cycles(program, batch, flows), 65520,
                       forward)


ALL = (
    *_tcp("", False),
    Workload("udp-out", "datagrams of 1,400 bytes as fast as they go", "MB", _udp_out),
    Workload("udp-rr", "one datagram there and back", "cycle",
             _cycles("udp-rr-client", 2000, 1), 65520),
    Workload("idle", "a guest that does nothing", "second", _idle),
    *_tcp("forward-", True),
)
BY_NAME = {workload.name: workload for workload in ALL}


class Places:
    """Where a workload's client runs, by engine or by forwarder."""

    def __init__(self, bench):
        self._bench = bench
        self._fleet = forwarders.Fleet()

    def place(self, workload, engine, mtu=None):
        if workload.forward:
            return self._fleet.place(self._bench, engine)
        return self._bench.place(engine, mtu or workload.mtu)


def serving(place):
    """The processes that serve a place: all of the engine's, not what it was asked to run."""
    if hasattr(place, "pids"):
        return place.pids
    program = _program(place.pid)
    return [pid for pid in processes.descendants(place.pid) if _program(pid) == program]


def _program(pid):
    """The device and inode of a process's program, or None when it is gone."""
    try:
        found = os.stat(f"/proc/{pid}/exe")
    except OSError:
        return None
    return found.st_dev, found.st_ino
