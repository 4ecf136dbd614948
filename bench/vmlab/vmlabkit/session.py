"""One run of bench/vmlab/run: options, rounds of interleaved samples, and the document of them."""

import argparse
import datetime
import os
import subprocess
import sys
import time

from labkit import document, install, netns, processes, report, versions

from machines import kit as kits
from . import cells, rows

DIRECT = "direct"
VERSIONS = ("python", "sluice", "iperf3", "passt package")


def parse(words, text):
    parser = argparse.ArgumentParser(
        "vmlab", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(install.BUILD, "sluice"))
    parser.add_argument("--passt", default="passt",
                        help="one that knows --vhost-user has rows of its own")
    parser.add_argument("--pasta", default="pasta")
    parser.add_argument("--clients", metavar="FOLDER", default=install.clients_folder())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of a throughput sample")
    parser.add_argument("--slow", action="store_true",
                        help="fewer operations, as where the processor itself is emulated")
    parser.add_argument("--only", metavar="PART", action="append",
                        help="cells whose names contain this; may be given often")
    parser.add_argument("--rows", metavar="PART", action="append",
                        help="rows whose names contain this; may be given often")
    parser.add_argument("--smoke", action="store_true",
                        help="a few cells, one short round: whether the lab works")
    parser.add_argument("--json", metavar="FILE", help="write the report")
    parser.add_argument("--no-judge", action="store_true",
                        help="status 0 though a bound does not hold")
    parser.add_argument("--list", action="store_true", help="name cells and rows, and end")
    options = parser.parse_args(words)
    if options.smoke:
        options.rounds, options.seconds = 1, 1
    # What labkit's versions look for.
    options.family = 4
    return options


class Session:
    def __init__(self, options):
        self.options = options
        self.cells = chosen_cells(options)
        self.rows = {}
        for name, row in rows.ROWS.items():
            if options.rows and not any(part in name for part in options.rows):
                continue
            why = rows.missing(row, options)
            if why:
                say(f"without {name}: {why}")
            else:
                self.rows[name] = row
        self.samples = {cell.name: {name: [] for name in cell.rows if name in self.rows}
                        for cell in self.cells}
        self.errors = []
        self._started = time.monotonic()

    def run(self):
        made_kit = kits.build(self.options.clients)
        with netns.CubicDefault() as congestion, netns.Network() as self.network:
            self.network.wait_ready()
            self.network.resolver(self.network.hst, f"nameserver {self.network.SRV[4]}\n")
            self._start_server()
            self.places = rows.Places(self.network, self.options, made_kit)
            try:
                for number in range(self.options.rounds):
                    self._round(number)
            finally:
                self.places.close()
            before = congestion.before
        self._derive()
        return self._document(before)

    def _start_server(self):
        words = [os.path.join(self.options.clients, "lab-server"), "--echo", cells.ECHO,
                 "--udp-echo", cells.ECHO, "--udp-sink", cells.UDP_SINK,
                 "--control", cells.CONTROL]
        server = self.network.popen(self.network.srv, list(map(str, words)),
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if server.stdout.readline() != b"ready\n":
            raise processes.LabError(f"{words[0]} does not start")

    def _round(self, number):
        for cell in self.cells:
            usable = [] if cell.derived_from else list(self.samples[cell.name])
            # Rotated, so that no row always runs after the same one.
            turn = number % max(1, len(usable))
            for name in usable[turn:] + usable[:turn]:
                if number > 0 and not self.samples[cell.name][name]:
                    continue  # It could not be done twice in the first round.
                where = f"{cell.name}, {name}, round {number + 1} of {self.options.rounds}"
                say(f"[{time.monotonic() - self._started:4.0f} s] {where}")
                sample = self._attempt(where, cell, self.rows[name])
                if sample is not None:
                    self.samples[cell.name][name].append(sample)

    def _attempt(self, where, cell, row):
        """A sample, or None. A run that failed is told in the end, and made once more."""
        for attempt in ("made again", "given up"):
            try:
                return cell.measure(self, self.places.of(row))
            # The others are a client that printed something else than it should.
            except (processes.LabError, OSError, ValueError, KeyError) as error:
                self.errors.append(f"{where}: {error or type(error).__name__} ({attempt})")
        return None

    # The document: schema 2 of labkit, as docs/lab_report.md has it.

    def _derive(self):
        for cell in self.cells:
            if cell.derived_from:
                for name in self.samples[cell.name]:
                    self.samples[cell.name][name] = [
                        {"value": sample[cell.derived_key] * cell.derived_scale}
                        for sample in self.samples[cell.derived_from][name]
                        if cell.derived_key in sample]

    def _verdicts(self, cell):
        for bound in cell.bounds:
            if bound.judged not in self.rows or bound.threshold.against not in self.rows:
                continue
            ours, theirs = (document.median_of(self.samples[cell.name][name], bound.key)
                            for name in (bound.judged, bound.threshold.against))
            value = ours / theirs if ours is not None and theirs else None
            yield {"asked": str(bound), "value": value,
                   "holds": None if value is None else bound.threshold.passes(value)}

    def _entry(self, cell):
        taken = self.samples[cell.name]
        yardstick = [sample["value"] for sample in taken.get(DIRECT, [])]
        swing = (max(yardstick) / min(yardstick) - 1 if len(yardstick) > 1 and min(yardstick)
                 else None)
        return {
            "name": cell.name, "group": cell.group, "unit": cell.unit, "better": cell.better,
            "mtu": cell.mtu, "direction": cell.direction, "streams": cell.streams,
            "congestion": "cubic" if cell.streams else None, "flows": cell.flows,
            "derived_from": cell.derived_from, "engines": list(taken), "samples": taken,
            "summary": {name: document.summary(samples) for name, samples in taken.items()
                        if samples},
            "swing": swing, "doubtful": swing is not None and swing > document.SWING,
            "verdicts": list(self._verdicts(cell)),
        }

    def _document(self, congestion_before):
        now = datetime.datetime.now(datetime.timezone.utc)
        known = {name: version for name, version in versions.collect(self.options).items()
                 if name in VERSIONS}
        for name, row in self.rows.items():
            if row.machine:
                known.setdefault(row.machine.__name__.lower(), row.machine.version())
        return {
            "schema": document.SCHEMA, "taken": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "command": sys.argv, "machine": document.machine(), "versions": known,
            "rounds": self.options.rounds, "seconds": self.options.seconds, "family": 4,
            "swing_bound": document.SWING, "default_congestion_before": congestion_before,
            "duration_s": round(time.monotonic() - self._started, 1),
            "cells": [self._entry(cell) for cell in self.cells], "syscalls": [], "reference": {},
            "errors": self.errors,
        }


def chosen_cells(options):
    known = cells.all_cells()
    if options.only:
        names = {cell.name for cell in known if any(part in cell.name for part in options.only)}
    else:
        names = {cell.name for cell in known if cell.smoke or not options.smoke}
    names |= {cell.derived_from for cell in known if cell.name in names}
    return [cell for cell in known if cell.name in names]


def say(text):
    print(f"vmlab: {text}", file=sys.stderr, flush=True)


def main(words, text):
    options = parse(words, text)
    if options.list:
        print("\n".join([*(cell.name for cell in chosen_cells(options)), "", *rows.ROWS]))
        return 0
    if os.geteuid() != 0:
        raise processes.LabError("namespaces need root: run it with sudo")
    netns.raise_on_signals()
    try:
        session = Session(options)
        if not session.cells or not session.rows:
            raise processes.LabError("nothing to measure; --list names the cells and the rows")
        found = session.run()
    except kits.Missing as why:
        raise processes.LabError(str(why)) from None
    report.print_text(found, sys.stdout)
    if options.json:
        document.write(options.json, found)
    verdicts = [verdict for cell in found["cells"] for verdict in cell["verdicts"]]
    return 0 if options.no_judge or all(verdict["holds"] for verdict in verdicts) else 1
