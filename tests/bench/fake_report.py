"""Reports of a lab that never ran, seeded: what the views of a report are tested with."""

import random
import statistics

# Throughput in Gbit/s by MTU (out P1, in P1), CRR p50 in µs, CPU seconds per GB: their order of
# size is real, so that the plots made from a fake look like plots.
SPEEDS = {"direct": {1500: (60, 61), 9000: (62, 62), 65520: (63, 63)},
          "loopback": {1500: (70, 71), 9000: (71, 70), 65520: (72, 72)},
          "sluice": {1500: (37, 40), 9000: (38, 41), 65520: (38, 42)},
          "pasta": {1500: (1.8, 3.4), 9000: (5, 10), 65520: (17, 21)},
          "slirp4netns": {1500: (0.9, 5), 9000: (2, 7), 65520: (10, 11)}}
LATENCIES = {"direct": 74, "loopback": 60, "sluice": 120, "pasta": 180, "slirp4netns": 1178}
CPU = {"sluice": 0.12, "pasta": 0.3, "slirp4netns": 0.9}
RELAYS = {"direct": 62, "sluice-forward": 47, "rinetd": 15, "haproxy-splice": 27,
          "haproxy-copy": 29, "nginx-stream": 31, "socat": 28}
NAMESPACES = tuple(SPEEDS)


class Fake:
    """Builds a document cell by cell."""

    def __init__(self, seed=1, rounds=5, engines=(*NAMESPACES, *RELAYS), scale=1.0):
        self.random = random.Random(seed)
        self.rounds = rounds
        self.engines = engines
        self.scale = scale  # Of everything that our engine reaches.
        self.cells = []

    def sample(self, engine, value, keys):
        moved = self.random.uniform(0.95, 1.05)
        if engine.startswith("sluice"):
            moved *= self.scale
        return {"value": value * moved,
                **{key: number * self.random.uniform(0.95, 1.05) for key, number in keys.items()}}

    def add(self, name, group, unit, figures, keys=None, better="higher", **fields):
        """`figures` has a value for each engine, `keys` further numbers for some of them."""
        keys = keys or {}
        engines = [engine for engine in figures if engine in self.engines]
        samples = {engine: [self.sample(engine, figures[engine], keys.get(engine, {}))
                            for _ in range(self.rounds)] for engine in engines}
        cell = {"name": name, "group": group, "unit": unit, "better": better, "mtu": 1500,
                "direction": None, "streams": None, "congestion": None, "flows": None,
                "derived_from": None, "engines": engines, "samples": samples, "summary": {},
                "swing": 0.08 if "direct" in engines else None, "doubtful": False, "verdicts": []}
        self.cells.append(cell | fields)
        summarise(self.cells[-1])
        return self.cells[-1]

    def add_throughput(self, small):
        mtus = {"cubic": (1500, 65520) if small else (1500, 9000, 65520),
                "bbr": () if small else (1500, 65520)}
        for congestion, chosen in mtus.items():
            for mtu in chosen:
                for direction in ("out",) if small else ("out", "in", "bidir"):
                    for streams in (1, 8):
                        self.add_throughput_cell(congestion, mtu, direction, streams)

    def add_throughput_cell(self, congestion, mtu, direction, streams):
        side = 1 if direction == "in" else 0
        factor = (0.9 if streams == 8 else 1) * (0.8 if congestion == "bbr" else 1)
        cpu = {engine: {"cpu_user_per_gb": total * 0.2, "cpu_system_per_gb": total * 0.8,
                        "cpu_per_gb": total, "voluntary_switches": 5200,
                        "involuntary_switches": 40, "switches_per_gb": 1400, "drops": 0,
                        "rss_kib": 6000, "pss_kib": 5000} for engine, total in CPU.items()}
        name = f"tcp-{direction} mtu{mtu} P{streams}" + (" bbr" if congestion == "bbr" else "")
        cell = self.add(name, "tcp", "Gbit/s",
                        {engine: speeds[mtu][side] * factor for engine, speeds in SPEEDS.items()},
                        cpu, mtu=mtu, direction=direction, streams=streams, congestion=congestion)
        cell["verdicts"] = [{"asked": "≥1.2×pasta", "value": 1.9, "holds": True},
                            {"asked": "≥0.3×direct", "value": 0.2, "holds": False},
                            {"asked": "cpu ≤0.8×pasta", "value": None, "holds": None}]

    def add_latency(self):
        for kind, factor in (("rr", 0.2), ("crr", 1.0), ("udp-rr", 0.2), ("icmp-rr", 0.3),
                             ("tcp-rx one-way", 0.4)):
            for flows in (1, 8, 64) if kind in ("rr", "crr") else (1,):
                label = kind if flows == 1 else f"{kind}-{flows}"
                p50 = {engine: base * factor * flows ** 0.8 for engine, base in LATENCIES.items()}
                keys = {engine: {"p50_ns": value * 1e3, "p99_ns": value * 2.1e3,
                                 "p999_ns": value * 4e3} for engine, value in p50.items()}
                for engine in CPU:
                    keys.get(engine, {})["cpu_us_per_op"] = CPU[engine] * 100
                self.add(f"{label} p50", "latency", "µs", p50, keys, "lower", flows=flows)
                self.add(f"{label} p99", "latency", "µs",
                         {engine: value * 2.1 for engine, value in p50.items()}, None, "lower",
                         flows=flows, derived_from=f"{label} p50")

    def add_others(self):
        self.add("udp-out 1400", "udp", "Gbit/s", {"direct": 9, "sluice": 6, "pasta": 2.4},
                 {"sluice": {"cpu_per_gb": 0.4, "drops": 12, "engine_drops": 3}}, direction="out")
        self.add("churn 1000/s", "churn", "1/s", {"direct": 1000, "sluice": 998, "pasta": 999})
        self.add("start-up", "start", "ms", {"sluice": 9, "pasta": 17, "slirp4netns": 21}, None,
                 "lower", mtu=None)
        self.add("idle rss", "memory", "MiB", {"sluice": 6, "pasta": 15, "slirp4netns": 4}, None,
                 "lower", mtu=None)

    def add_forward(self):
        for streams in (1, 8):
            cpu = {engine: {"cpu_user_per_gb": 0.02, "cpu_system_per_gb": 0.2,
                            "cpu_per_gb": 0.22} for engine in RELAYS if engine != "direct"}
            self.add(f"fwd tcp-out P{streams}", "forward", "Gbit/s", RELAYS, cpu, mtu=None,
                     streams=streams, direction="out")
        self.add("fwd rr p50", "forward", "µs",
                 {engine: 1500 / speed for engine, speed in RELAYS.items()}, None, "lower",
                 mtu=None, flows=1)

    def document(self):
        return {
            "schema": 2, "taken": "2026-11-21T12:00:00Z",
            "command": ["bench/lab/run", "--json", "a file.json"],
            "machine": {"kernel": "6.12.1", "cpu": "Imagined CPU | 3.0 GHz", "cores": 2,
                        "memory_mib": 7800, "load": [0.1, 0.2, 0.3]},
            "versions": {"sluice": "sluice 0.1", "pasta": "0.0~git20230309", "iperf3": None,
                         "passt package": "0.0~git20230309.7c7625d-1"},
            "rounds": self.rounds, "seconds": 3, "family": 4, "swing_bound": 0.25,
            "default_congestion_before": "bbr", "duration_s": 1200.5, "cells": self.cells,
            "syscalls": [], "reference": {}, "errors": []}


def summarise(cell):
    """Fills a cell's summary from its samples, as the lab does."""
    cell["summary"] = {}
    for engine, samples in cell["samples"].items():
        if samples:
            values = [sample["value"] for sample in samples]
            cell["summary"][engine] = {
                "median": statistics.median(values), "min": min(values), "max": max(values),
                "n": len(values), **{key: statistics.median(sample[key] for sample in samples)
                                     for key in samples[0] if key != "value"}}


def whole(small=False, **options):
    """A report with every group, a doubtful cell, a cell without samples, nulls and errors."""
    fake = Fake(**options)
    fake.add_throughput(small)
    fake.add_latency()
    fake.add_others()
    fake.add_forward()
    doubtful = fake.cells[0]
    doubtful.update(swing=0.4, doubtful=True)
    empty = fake.cells[1]
    empty["samples"] = {engine: [] for engine in empty["engines"]}
    summarise(empty)
    document = fake.document()
    document["syscalls"] = [
        {"cell": doubtful["name"], "engine": engine, "per_mb": per_mb, "per_op": None,
         "seconds": None, "bytes": 10**9, "operations": None,
         "calls": {"splice": 900, "epoll_wait": 100, "read": 0}}
        for engine, per_mb in (("pasta", 31.5), ("sluice", 2.25)) if engine in fake.engines]
    document["reference"] = {
        engine: {"tcp_throughput_g2h_mbps": 37000.0, "udp_dns_qps": None}
        for engine in ("sluice", "pasta") if engine in fake.engines}
    document["errors"] = ["rr p50, pasta, round 2: rr-client: timed out"]
    return document
