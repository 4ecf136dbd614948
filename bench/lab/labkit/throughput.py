"""Bulk data: iperf3 streams, and whole files that are checked."""

import json

from . import congestion, iperf, usage
from .cells import TRANSFER
from .workload import run_client


def streams(direction, count, mtu, control=congestion.DEFAULT):
    """`count` TCP streams of iperf3 for the seconds of the run."""

    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, mtu)
        with congestion.used(bench.network, place, control):
            meter = usage.Meter(bench, place)
            sample = iperf.measure(bench.network, place, bench.family, direction, count,
                                   bench.options.seconds, control)
            return {"value": sample["gbit"], "congestion": sample["congestion"],
                    **meter.per_gb(sample["bytes"])}

    return measure


def transfer(direction, size):
    """One file from its first byte to the check of its last, by transfer-client.

    Its end is a half-close. pasta of Debian 12 never completes it, whatever the size, so the time
    for it is short.
    """

    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, 65520)
        count = size // 8 if bench.options.quick else size
        meter = usage.Meter(bench, place)
        done = run_client(bench, place, "transfer-client", TRANSFER, "--bytes", count,
                          "--direction", direction, "--json",
                          timeout=6 if bench.options.quick else 20)
        result = json.loads(done)
        return {"value": result["gbit"], "bytes": count, "seconds": result["seconds"],
                **meter.per_gb(count)}

    return measure
