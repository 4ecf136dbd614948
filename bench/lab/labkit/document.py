"""The lab's one output: a JSON document, schema 2, that every table and plot is made from.

Samples are collected in Results while the lab runs. build() turns them into the document: medians,
the swing of the yardstick, the verdicts on the thresholds. Nothing that prints knows more than the
document says.
"""

import datetime
import json
import os
import platform
import statistics
import sys

from . import forwarders, reference, versions
from .registry import ENGINES

SCHEMA = 2
YARDSTICK = "direct"
OURS = ("sluice", "sluice-names", "sluice-in", "sluice-forward")
SWING = 0.25  # A yardstick that moves more than this makes its cell doubtful.


def median_of(samples, key="value"):
    values = [sample[key] for sample in samples if is_number(sample.get(key))]
    return statistics.median(values) if values else None


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Results:
    """All samples of a run, by cell and engine, and what went wrong."""

    def __init__(self, cells, asked):
        self.cells = cells
        self.asked = set(asked)  # The engines that this run was to measure.
        self.samples = {cell.name: {engine: [] for engine in cell.engines if engine in self.asked}
                        for cell in cells}
        self.errors = []
        self.syscalls = []

    def derive(self):
        """Fills the cells that only show another number of a measured cell."""
        for cell in self.cells:
            if cell.derived_from:
                for engine, samples in self.samples[cell.derived_from].items():
                    self.samples[cell.name][engine] = [
                        {"value": sample[cell.derived_key] * cell.derived_scale}
                        for sample in samples if is_number(sample.get(cell.derived_key))]

    def median(self, cell, engine, key="value"):
        return median_of(self.samples.get(cell, {}).get(engine, []), key)

    def ours_against(self, cell, threshold, key="value"):
        """Ours divided by a yardstick's figure. The direct path's is always its P1."""
        name = cell.name
        if threshold.against == YARDSTICK and name.endswith(" P8") and name[:-1] + "1" in \
                self.samples:
            name = name[:-1] + "1"
        ours = self.median(cell.name, cell.judged, key)
        if threshold.against == forwarders.BEST_PEER:
            theirs = forwarders.best_peer(self.samples[name], cell.better if key == "value"
                                          else "lower", key)
        else:
            theirs = self.median(name, threshold.against, key)
        return ours / theirs if ours is not None and theirs else None

    def verdicts(self, cell):
        """Of each threshold whose engines were asked for: what it wants, the value, if it holds."""
        found = []
        for label, threshold, key in cell.comparisons():
            if cell.judged in self.asked and self._is_asked(threshold.against):
                value = self.ours_against(cell, threshold, key)
                found.append(_verdict(f"{label}{threshold}", value, threshold.passes))
        if cell.at_most is not None and cell.judged in self.asked:
            value = self.median(cell.name, cell.judged)
            found.append(_verdict(f"≤{cell.at_most:g} {cell.unit}", value,
                                  lambda ours: ours <= cell.at_most))
        return found

    def _is_asked(self, engine):
        if engine == forwarders.BEST_PEER:
            return not self.asked.isdisjoint(forwarders.PEERS)
        return engine in self.asked

    def swing(self, cell):
        values = [sample["value"] for sample in self.samples[cell.name].get(YARDSTICK, [])]
        middle = statistics.median(values) if len(values) > 1 else 0
        return (max(values) - min(values)) / middle if middle > 0 else None


def _verdict(asked, value, passes):
    """`holds` is null where a figure is missing, so that nothing can be judged."""
    return {"asked": asked, "value": value, "holds": None if value is None else passes(value)}


def summary(samples):
    values = [sample["value"] for sample in samples]
    keys = dict.fromkeys(key for sample in samples for key, value in sample.items()
                         if key != "value" and is_number(value))
    # The summary's own keys come last: a client's sample has an `n` too, of its cycles.
    return {**{key: median_of(samples, key) for key in keys},
            "median": statistics.median(values), "min": min(values), "max": max(values),
            "n": len(values)}


def _cell_entry(results, cell):
    samples = results.samples[cell.name]
    swing = results.swing(cell)
    return {
        "name": cell.name, "group": cell.group, "unit": cell.unit, "better": cell.better,
        "mtu": cell.mtu or None, "direction": cell.direction, "streams": cell.streams,
        "congestion": cell.congestion, "flows": cell.flows, "derived_from": cell.derived_from,
        "engines": list(samples), "samples": samples,
        "summary": {engine: summary(taken) for engine, taken in samples.items() if taken},
        "swing": swing, "doubtful": swing is not None and swing > SWING,
        "verdicts": results.verdicts(cell),
    }


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(file.readline().split()[1])
    return {"kernel": platform.release(), "cpu": models[0] if models else platform.machine(),
            "cores": os.cpu_count(), "memory_mib": memory_kib // 1024,
            "load": list(os.getloadavg())}


def build(results, options, congestion_before, duration):
    cells = [_cell_entry(results, cell) for cell in results.cells]
    fielded = [engine for engine in (YARDSTICK, *ENGINES) if engine in results.asked]
    return {
        "schema": SCHEMA,
        "taken": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": sys.argv, "machine": machine(), "versions": versions.collect(options),
        "rounds": options.rounds, "seconds": options.seconds, "family": options.family,
        "swing_bound": SWING, "default_congestion_before": congestion_before,
        "duration_s": round(duration, 1),
        "cells": cells,
        "syscalls": results.syscalls,
        "reference": reference.fields(cells, fielded),
        "errors": results.errors,
    }


def write(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def holds(document):
    """Whether every threshold was judged and holds, and ours has a figure wherever it was asked."""
    verdicts = [verdict for cell in document["cells"] for verdict in cell["verdicts"]]
    empty = [cell["name"] for cell in document["cells"]
             for ours in OURS if ours in cell["engines"] and ours not in cell["summary"]]
    return not empty and all(verdict["holds"] for verdict in verdicts)
