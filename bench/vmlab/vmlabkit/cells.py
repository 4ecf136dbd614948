"""The cells of bench/vmlab/run: what is measured of each row, and what is asked of ours.

A sample is a dict with `value`; what its engine took of the processor stands beside it.
"""

import dataclasses
import json
import time

from labkit import iperf, processes
from labkit.cells import Threshold

from machines import testpmd
from .exits import Exits
from .rows import ROWS

ECHO, UDP_SINK, CONTROL = 7007, 7011, 7012
MTUS = (1500, 65520)
LATENCY_MTU = 1500
PACKET = 1400


@dataclasses.dataclass(frozen=True)
class Bound:
    """One row's figure against another's."""

    judged: str
    threshold: Threshold
    key: str = "value"

    def __str__(self):
        what = "" if self.key == "value" else f"{self.key} "
        return f"{self.judged}: {what}{self.threshold}"


def more(judged, factor, against):
    return Bound(judged, Threshold(against, at_least=factor))


def less(judged, factor, against, key="value"):
    return Bound(judged, Threshold(against, at_most=factor), key)


@dataclasses.dataclass(frozen=True)
class Cell:
    name: str
    unit: str
    measure: object  # measure(lab, place) → sample; None where derived.
    rows: tuple
    group: str = "tcp"
    better: str = "higher"
    bounds: tuple = ()
    derived_from: str | None = None
    derived_key: str = ""
    derived_scale: float = 1.0
    mtu: int | None = None
    direction: str | None = None
    streams: int | None = None
    flows: int | None = None
    smoke: bool = False


LINUX = tuple(name for name, row in ROWS.items() if row.machine is not testpmd.Testpmd)
KVM = tuple(name for name, row in ROWS.items() if row.on_kvm)
RAW = tuple(name for name, row in ROWS.items() if row.machine is testpmd.Testpmd)


def all_cells():
    return [*_streams(), *_round_trips(), *_cycles(), *_datagrams(), *_packets()]


class Meter:
    """Processor seconds of an engine's process between two looks."""

    def __init__(self, place):
        self._pid = place.pid
        self._before = processes.run_seconds(self._pid) if self._pid else 0.0

    def per(self, key, units):
        if not self._pid or not units:
            return {}
        return {key: (processes.run_seconds(self._pid) - self._before) / units}


def _streams():
    for mtu in MTUS:
        for direction in ("out", "in"):
            for count in (1, 8):
                bounds = ()
                if count == 1:
                    bounds = (more("qemu sluice", 1.1, "qemu passt"),)
                    if mtu == 1500:
                        bounds += (more("kvm box", 2, "kvm passt"),
                                   more("qemu sluice-vhost", 3, "qemu passt"),
                                   more("uml sluice-vhost", 2, "uml passt-vhost"),
                                   less("uml sluice-vhost", 0.4, "uml passt-vhost", "cpu_per_gb"))
                yield Cell(f"tcp-{direction} mtu{mtu} P{count}", "Gbit/s",
                           _stream(direction, count, mtu), LINUX, bounds=bounds, mtu=mtu,
                           direction=direction, streams=count,
                           smoke=(mtu, count, direction) == (1500, 1, "out"))


def _stream(direction, count, mtu):
    def measure(lab, place):
        place.set_mtu(mtu)
        meter = Meter(place)
        sample = iperf.measure(lab.network, place, 4, direction, count, lab.options.seconds)
        return {"value": sample["gbit"], "bytes": sample["bytes"],
                **meter.per("cpu_per_gb", sample["bytes"] / 1e9)}

    return measure


def _with_tail(label, measure, extra=(), **fields):
    """A cell of medians in µs, and cells of other numbers of the same runs."""
    source = Cell(f"{label} p50", "µs", measure, LINUX, "latency", "lower", mtu=LATENCY_MTU,
                  **fields)
    yield source
    for name, unit, better, key, scale in (("p99", "µs", "lower", "p99_ns", 1e-3), *extra):
        yield Cell(f"{label} {name}", unit, None, LINUX, "latency", better, mtu=LATENCY_MTU,
                   derived_from=source.name, derived_key=key, derived_scale=scale,
                   flows=source.flows, smoke=source.smoke)


def _round_trips():
    yield from _with_tail("rr", _latency("rr-client", 4000, 1), flows=1)
    yield from _with_tail("udp-rr", _latency("udp-rr-client", 4000, 1), flows=1)


def _cycles():
    """The one-process client for one flow, the same with several."""
    for flows in (1, 2, 4, 8):
        bounds = ()
        if flows == 1:
            bounds = (less("qemu sluice", 0.7, "qemu passt"),
                      less("qemu sluice-vhost", 0.55, "qemu passt"),
                      less("qemu sluice-vhost", 1.0, "qemu slirp"),
                      less("kvm box", 0.6, "kvm passt"), less("kvm box", 0.9, "kvm slirp"))
        yield from _with_tail(f"crr-{flows}", _latency("crr-client", 2000, flows),
                              (("rate", "cycles/s", "higher", "rate_per_s", 1.0),), flows=flows,
                              bounds=bounds, smoke=flows == 1)
        for name, key in (("exits", "exits_per_op"), ("exits to the monitor", "told_per_op")):
            yield Cell(f"crr-{flows} {name}", "a cycle", None, KVM, "latency", "lower",
                       mtu=LATENCY_MTU, derived_from=f"crr-{flows} p50", derived_key=key,
                       flows=flows)


def _latency(program, count, flows):
    """`count` operations in all, a quarter of it where the guest's processor is emulated, and an
    eighth with --slow."""

    def measure(lab, place):
        place.set_mtu(LATENCY_MTU)
        wanted = count // (8 if lab.options.slow else 4 if place.row.emulated else 1) // flows
        if lab.options.smoke:
            wanted = max(10, wanted // 20)
        client = [place.client(program), place.server(4), str(ECHO)]
        flags = ["--concurrency", str(flows), "--json"]
        start = _start_of(place, client, flags)
        meter, exits = Meter(place), Exits(place.monitor)
        result = _json(place.run([*client, str(wanted), *flags], 120), program)
        if result["lost"]:
            raise processes.LabError(f"{program}: {result['lost']} of {result['n']} lost")
        # A single flow has no rate of its own.
        result["rate_per_s"] = result.get("rate_per_s") or flows * 1e9 / result["mean_ns"]
        return {"value": result["p50_ns"] / 1e3, **_numbers(result),
                **meter.per("cpu_us_per_op", result["n"] / 1e6),
                **exits.per(result["n"] - flows, without=start)}

    return measure


def _start_of(place, client, flags):
    """The exits of a client that does one operation a flow, which is there already: the second of
    two, as the first reads its files."""
    for _ in range(2):
        exits = Exits(place.monitor)
        if not exits.counts():
            return {}
        _json(place.run([*client, "1", *flags], 120), client[0])
    return exits.taken()


def _datagrams():
    def measure(lab, place):
        place.set_mtu(LATENCY_MTU)
        meter = Meter(place)
        done = place.run([place.client("udp-rate-client"), place.server(4), str(UDP_SINK),
                          str(CONTROL), "--size", str(PACKET), "--seconds",
                          str(lab.options.seconds), "--json"], 60)
        result = _json(done, "udp-rate-client")
        sink = result["sink"]
        seconds = max(result["seconds"], sink["seconds"])
        return {"value": sink["bytes"] * 8 / 1e9 / seconds,
                "loss": 1 - sink["received"] / result["sent"],
                "packets_per_s": sink["received"] / seconds,
                **meter.per("cpu_per_gb", sink["bytes"] / 1e9)}

    yield Cell(f"udp-out {PACKET}", "Gbit/s", measure, LINUX, "udp", mtu=1500, direction="out")


def _packets():
    """What reaches srv of all that fills the rings."""

    def measure(lab, place):
        sender = testpmd.Testpmd(lab.network, lab.places.folder, place.engine.link())
        try:
            sender.start(place.server(4), UDP_SINK, PACKET)
            time.sleep(1)
            meter = Meter(place)
            before = testpmd.received_datagrams(lab.network, lab.network.srv)
            started = time.monotonic()
            time.sleep(lab.options.seconds)
            seconds = time.monotonic() - started
            came = testpmd.received_datagrams(lab.network, lab.network.srv) - before
            cost = meter.per("cpu_per_gb", came * PACKET / 1e9)
            told = sender.finish()
        finally:
            sender.close()
        if not came:
            raise processes.LabError("no packet of testpmd arrives")
        return {"value": came / seconds / 1e3, **told, **cost}

    yield Cell(f"testpmd {PACKET}", "kpackets/s", measure, RAW, "udp", direction="out", mtu=1500,
               bounds=(more("testpmd sluice-vhost", 3, "testpmd passt-vhost"),))


def _json(done, program):
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-300:]
        raise processes.LabError(f"{program} ended with status {done.returncode}, saying: {said}")
    return json.loads(done.stdout)


def _numbers(result):
    return {key: value for key, value in result.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)}
