"""A report as aligned text for a terminal."""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import unicodedata

from . import tables

COLOURS = {"good": "32", "bad": "31", "doubt": "33", "best": "1"}


def print_text(document, out=None):
    """Prints every table of a document; in colour on a terminal, unless NO_COLOR is set."""
    out = out or sys.stdout
    colour = wants_colour(out)
    for line in tables.machine_lines(document):
        print(line, file=out)
    print(f"Command: {shlex.join(document['command'])}", file=out)
    for _, table in tables.all_tables(document):
        print_titled(table, out, colour)
    print(file=out)
    for line, mark in tables.outcome_lines(document):
        print_line(line, mark, out, colour)
    for error in document["errors"]:
        print_line(f"! {error}", "bad", out, colour)


def wants_colour(out):
    return out.isatty() and not os.environ.get("NO_COLOR")


def print_line(text, mark, out, colour):
    print(_paint(text, mark, colour), file=out)


def print_titled(table, out, colour):
    print(file=out)
    print_line(table.title, "best", out, colour)
    for note in table.notes:
        print(note, file=out)
    print_table(table, out, colour)


def print_table(table, out, colour):
    head = [tables.plain(text) for text in table.head]
    widths = [max(_width(row[column]) for row in [head, *table.rows])
              for column in range(len(head))]
    for row in [head, *table.rows]:
        texts = []
        for column, spans in enumerate(row):
            painted = "".join(_paint(text, mark, colour) for text, mark in spans)
            padding = " " * (widths[column] - _width(spans))
            texts.append(painted + padding if column in table.left else padding + painted)
        print("  ".join(texts).rstrip(), file=out)


def _paint(text, mark, colour):
    return f"\033[{COLOURS[mark]}m{text}\033[0m" if colour and mark in COLOURS else text


def _width(spans):
    return sum(0 if unicodedata.combining(char) else 1 for text, _ in spans for char in text)


SWING = 0.25  # A yardstick that moves more than this makes its cell doubtful.


def paint(text, code):
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"\033[{code}m{text}\033[0m"


def median_of(samples, key="value"):
    values = [sample[key] for sample in samples if key in sample]
    return statistics.median(values) if values else None


def spread_of(samples):
    values = [sample["value"] for sample in samples]
    return min(values), max(values)


def figure(value):
    """Three significant digits, never an exponent."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def cell_text(samples):
    if not samples:
        return "-"
    low, high = spread_of(samples)
    return f"{figure(median_of(samples))} [{figure(low)}–{figure(high)}]"


def ratio(ours, theirs):
    return ours / theirs if ours is not None and theirs else None


def swings(samples):
    low, high = spread_of(samples)
    middle = median_of(samples)
    return middle > 0 and (high - low) / middle > SWING


class Judge:
    """Holds all samples and decides what passed."""

    def __init__(self, cells):
        self.cells = cells
        self.samples = {cell.name: {engine: [] for engine in cell.engines} for cell in cells}
        self.errors = []

    def of(self, cell, engine):
        return self.samples.get(cell.name, {}).get(engine, [])

    def derive(self):
        """Fills the cells that only show another number of a measured cell."""
        for cell in self.cells:
            if cell.derived_from:
                for engine, samples in self.samples[cell.derived_from].items():
                    self.samples[cell.name][engine] = [
                        {"value": sample[cell.derived_key] * cell.derived_scale}
                        for sample in samples]

    def ours_against(self, cell, engine, key="value"):
        """Ours divided by a yardstick's figure. The direct path's is always its P1."""
        name = cell.name
        if engine == "direct" and name.endswith(" P8") and name[:-1] + "1" in self.samples:
            name = name[:-1] + "1"
        theirs = self.samples[name].get(engine, [])
        return ratio(median_of(self.of(cell, "sluice"), key), median_of(theirs, key))

    def verdicts(self, cell):
        """(what was asked, the ratio, whether it holds) for each threshold of a cell."""
        found = []
        for threshold in cell.thresholds:
            value = self.ours_against(cell, threshold.against)
            found.append((str(threshold), value, value is not None and threshold.passes(value)))
        if cell.cpu_threshold:
            value = self.ours_against(cell, cell.cpu_threshold.against, "cpu_per_gb")
            holds = value is not None and cell.cpu_threshold.passes(value)
            found.append((f"cpu {cell.cpu_threshold}", value, holds))
        if cell.at_most is not None:
            ours = median_of(self.of(cell, "sluice"))
            found.append((f"≤{cell.at_most:g} {cell.unit}", ours,
                          ours is not None and ours <= cell.at_most))
        return found

    def doubtful(self, cell):
        samples = self.of(cell, "direct")
        return bool(samples) and swings(samples)


def _rows(judge):
    for cell in judge.cells:
        row = [cell.name + ("~" if judge.doubtful(cell) else ""), cell.unit]
        row += [cell_text(judge.of(cell, engine))
                for engine in ("direct", "loopback", "pasta", "sluice")]
        row += [_ratio_text(judge, cell, "pasta"), _ratio_text(judge, cell, "direct")]
        yield row, _verdict_text(judge, cell)


def _ratio_text(judge, cell, engine):
    if engine not in cell.engines:
        return ""
    value = judge.ours_against(cell, engine)
    return "-" if value is None else f"{value:.2f}"


def _verdict_text(judge, cell):
    words = []
    for asked, value, holds in judge.verdicts(cell):
        if value is None:
            words.append(f"{asked} ?")
        elif holds:
            words.append(paint(f"{asked} ok", "32"))
        else:
            words.append(paint(f"{asked} FAIL ({value:.2f})", "31"))
    return ", ".join(words)


def _cpu_rows(judge):
    for cell in judge.cells:
        if not cell.cpu_threshold:
            continue
        row = [cell.name]
        for engine in ("pasta", "sluice"):
            samples = judge.of(cell, engine)
            total = median_of(samples, "cpu_per_gb")
            user = median_of(samples, "cpu_user_per_gb")
            system = median_of(samples, "cpu_system_per_gb")
            row.append("-" if total is None else f"{total:.3f} = {user:.3f} + {system:.3f}")
        value = judge.ours_against(cell, "pasta", "cpu_per_gb")
        yield [*row, "-" if value is None else f"{value:.2f}"], ""


def _text_width(text):
    return sum(0 if unicodedata.combining(char) else 1 for char in text)


def _print_table(head, rows, out):
    rows = list(rows)
    widths = [max(_text_width(row[i]) for row in [head, *(row for row, _ in rows)])
              for i in range(len(head))]
    for row, tail in [(head, ""), *rows]:
        cells = [row[0].ljust(widths[0])] + [text.rjust(w) for text, w in zip(row[1:], widths[1:])]
        print(("  ".join(cells) + ("  " + tail if tail else "")).rstrip(), file=out)


def print_report(judge, out=sys.stdout):
    print("Medians [minimum–maximum]. Ratios are ours/theirs; ours/direct is to the direct P1.\n",
          file=out)
    _print_table(["cell", "unit", "direct", "loopback", "pasta", "sluice", "/pasta", "/direct"],
                 _rows(judge), out)
    cpu = list(_cpu_rows(judge))
    if cpu:
        print("\nCPU seconds of the serving process per GB = user + system\n", file=out)
        _print_table(["cell", "pasta", "sluice", "/pasta"], cpu, out)
    verdicts = [v for cell in judge.cells for v in judge.verdicts(cell)]
    passed = sum(1 for _, value, holds in verdicts if holds)
    open_ = sum(1 for _, value, _ in verdicts if value is None)
    print(f"\n{passed} of {len(verdicts)} thresholds hold, {open_} could not be judged.", file=out)
    doubtful = [cell.name for cell in judge.cells if judge.doubtful(cell)]
    if doubtful:
        print(f"~ the direct path swung by more than {SWING:.0%} in: {', '.join(doubtful)}; "
              "judge these with care or run again on a quiet machine.", file=out)
    for error in judge.errors:
        print(paint(f"! {error}", "33"), file=out)
    return passed == len(verdicts) and not judge.errors


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(file.readline().split()[1])
    return {"kernel": platform.release(), "cpu": models[0] if models else platform.machine(),
            "cores": os.cpu_count(), "memory_mib": memory_kib // 1024,
            "load": os.getloadavg(),
            "iperf3": _first_line(["iperf3", "--version"]),
            "passt": _first_line(["dpkg-query", "-W", "-f", "${Version}", "passt"])}


def _first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return (done.stdout.splitlines() or [None])[0]


def write_json(path, judge, options, versions, congestion):
    document = {
        "schema": 1, "machine": machine(), "versions": versions,
        "command": sys.argv, "rounds": options.rounds, "seconds": options.seconds,
        "family": options.family, "default_congestion_before": congestion,
        "cells": [
            {"name": cell.name, "unit": cell.unit, "mtu": cell.mtu,
             "doubtful": judge.doubtful(cell),
             "samples": judge.samples[cell.name],
             "medians": {engine: median_of(judge.of(cell, engine)) for engine in cell.engines},
             "verdicts": [{"asked": asked, "value": value, "holds": holds}
                          for asked, value, holds in judge.verdicts(cell)]}
            for cell in judge.cells],
        "errors": judge.errors,
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
