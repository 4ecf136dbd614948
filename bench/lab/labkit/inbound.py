"""Clients that come to a guest by a published port, and connections between two loopbacks."""

import json

from . import iperf, latency, usage
from .cells import ECHO, WHOLE, Cell, Threshold
from .processes import LabError
from .workload import checked

OURS, PEER = "sluice-in", "pasta-in"
YARDSTICK = {"inbound": "direct", "lo-in": "loopback", "lo-out": "loopback"}
CYCLES = 4000


def cells():
    """Bulk and connect cycles, each way."""
    for mtu, least in ((1500, 4.0), (65520, 1.2)):
        yield _bulk("inbound", f"inbound mtu{mtu}", mtu, (Threshold(PEER, at_least=least),))
    for way in ("lo-in", "lo-out"):
        yield _bulk(way, way, latency.MTU, (Threshold(PEER, at_least=1.15),
                                            Threshold("loopback", at_least=0.75)))
    for way in ("inbound", "lo-in", "lo-out"):
        yield Cell(f"{way} crr p50", "µs", _cycles(way), (YARDSTICK[way], PEER, OURS), latency.MTU,
                   "inbound", "lower", (Threshold(PEER, at_most=1.0),), flows=1, tier=WHOLE,
                   cost=1.5)


def _bulk(way, name, mtu, thresholds):
    return Cell(name, "Gbit/s", _stream(way, mtu), (YARDSTICK[way], PEER, OURS), mtu, "inbound",
                thresholds=thresholds, direction="out" if way == "lo-out" else "in", streams=1,
                congestion="cubic", tier=WHOLE)


def _stream(way, mtu):
    """One stream of iperf3, from the client to its server."""

    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, mtu)
        meter = usage.Meter(bench, place)
        seconds = bench.options.seconds
        if engine in YARDSTICK.values():
            sample = iperf.measure(bench.network, place, bench.family, "out", 1, seconds)
        else:
            sample = _through(bench, place.way(way), seconds)
        return {"value": sample["gbit"], "congestion": sample["congestion"],
                **meter.per_gb(sample["bytes"])}

    return measure


def _through(bench, way, seconds):
    server = way.bulk_server()
    try:
        done = way.run(["iperf3", "-c", way.server(bench.family), "-p", str(way.bulk_port), "-t",
                        str(seconds), "-J", "-C", "cubic"], seconds + 20)
    finally:
        bench.network.stop(server)
    return iperf.evaluate(done.stdout, "out")


def _cycles(way):
    """Connect, a byte there and back, close; one after the other. The value is the median in µs."""

    def measure(bench, engine):
        bench.spin(True)
        place = bench.place(engine, latency.MTU)
        client, port = place, ECHO
        if engine not in YARDSTICK.values():
            place.serve_echoes(bench)
            client = place.way(way)
            port = client.echo_port
        count = CYCLES // 10 if bench.options.quick else CYCLES
        meter = usage.Meter(bench, place)
        words = bench.client("crr-client", client.server(bench.family), port, count,
                             "--concurrency", 1, "--json")
        result = json.loads(checked(client.run(words, 120), "crr-client"))
        if result["lost"]:
            raise LabError(f"crr-client: {result['lost']} of {result['n']} lost")
        return {"value": result["p50_ns"] / 1e3, **result, **meter.per_op(result["n"])}

    return measure
