"""UDP one way: what arrives of as much as the client can send."""

import json

from . import usage
from .cells import CONTROL, UDP_SINK
from .workload import run_client


def one_way(size, mtu):
    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, mtu)
        meter = usage.Meter(bench, place)
        result = json.loads(run_client(
            bench, place, "udp-rate-client", UDP_SINK, CONTROL, "--size", size,
            "--seconds", bench.options.seconds, "--json", timeout=60))
        sink = result["sink"]
        # What arrived, over the time that was spent sending: late arrivals count, time does not.
        gbit = sink["bytes"] * 8 / 1e9 / max(result["seconds"], sink["seconds"])
        return {"value": gbit, "loss": 1 - sink["received"] / result["sent"],
                "reordered": sink["reordered"], **meter.per_gb(sink["bytes"])}

    return measure
