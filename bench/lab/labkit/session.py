"""One run of the lab: rounds of interleaved samples, then the system calls, then the document."""

import os
import sys
import time
import types

from . import (catalogue, document, forwarders, install, markdown, netns, processes, report,
               syscalls, usage)
from .cells import NAMESPACE, WHOLE, Bench
from .options import YARDSTICKS
from .registry import ENGINES

DESCRIPTORS = 65536
# Seconds beside the workload itself: iperf3 at both ends, counters, ip.
AROUND = 0.4
# A short run makes a tenth of the operations, and still starts every client.
SHORT_SHARE = 0.25
START_S = 0.3  # Of an engine at one MTU.


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Progress:
    """One line that is rewritten on a terminal, and lines elsewhere."""

    def __init__(self):
        self._started = time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self._started

    def show(self, text, last=False):
        line = f"[{self.seconds:4.0f} s] {text}"
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def estimate(cells, available, works, options):
    """Seconds that a run will take."""
    total = 0.0
    for cell in cells:
        if cell.derived_from:
            continue
        engines = [name for name in cell.engines if name in available]
        rounds = min(options.rounds, cell.most_rounds or options.rounds)
        total += sample_cost(cell, options) * len(engines) * rounds
    served = [name for name in ENGINES if name in available]
    mtus = {cell.mtu for cell in cells if cell.mtu and cell.group != "forward"}
    return total + len(served) * (START_S * len(mtus) + 2.0 * len(works))


def sample_cost(cell, options):
    if cell.cost is None:
        return options.seconds + AROUND
    return cell.cost * (SHORT_SHARE if options.quick else 1) + AROUND / 2


class Session:
    def __init__(self, options):
        self.options = options
        self.cells = catalogue.of_run(
            options.tier if not options.only else WHOLE, options.only, options.family,
            lambda name: bool(options.clients) and
            os.path.exists(os.path.join(options.clients, name)))
        if not self.cells:
            raise processes.LabError(f"no cell's name contains {' or '.join(options.only)}; "
                                     "bench/lab/run --list names them all")
        missing = install.missing_peers(options)
        yardsticks = ("direct",) if options.smoke else YARDSTICKS
        self.available = {*yardsticks, *(name for name in options.wanted if name not in missing)}
        self._leave_out_family()
        self.works = [] if options.no_syscalls else syscalls.chosen(
            self.cells, options.tier if not options.only else WHOLE)
        self.results = document.Results(self.cells, self.available)
        self.progress = Progress()

    def _leave_out_family(self):
        for name, engine in ENGINES.items():
            if name in self.available and self.options.family not in engine.families:
                say(f"{name} has no IPv{self.options.family} that works here: left out")
                self.available.discard(name)

    def run(self):
        """Measures everything; returns the document."""
        seconds = estimate(self.cells, self.available, self.works, self.options)
        say(f"{len(self.cells)} cells, {self.options.rounds} round(s) of {self.options.seconds} s: "
            f"about {_duration(seconds)}")
        usage.raise_descriptor_limit(DESCRIPTORS)
        with netns.CubicDefault() as congestion, netns.Network() as network:
            network.wait_ready()
            bench = Bench(network, self.options)
            for number in range(self.options.rounds):
                self._round(bench, number)
            self._system_calls(bench)
            before = congestion.before
        self.progress.show("measured", last=True)
        self.results.derive()
        return document.build(self.results, self.options, before, self.progress.seconds)

    def _round(self, bench, number):
        for cell in self.cells:
            if cell.derived_from or number >= (cell.most_rounds or self.options.rounds):
                continue
            usable = [engine for engine in cell.engines if engine in self.available]
            # Rotated, so that no engine always runs after the same one.
            turn = number % max(1, len(usable))
            for engine in usable[turn:] + usable[:turn]:
                if number > 0 and not self.results.samples[cell.name][engine]:
                    continue  # It could not be done twice in the first round.
                where = f"{cell.name}, {engine}, round {number + 1}"
                self.progress.show(f"{where} of {self.options.rounds}")
                sample = self._attempt(where, cell.measure, bench, engine)
                if sample is not None:
                    self.results.samples[cell.name][engine].append(sample)

    def _system_calls(self, bench):
        for cell, mtu, workload, _ in self.works:
            for engine in NAMESPACE:
                if engine in self.available:
                    self.progress.show(f"system calls: {cell}, {engine}")
                    entry = self._attempt(f"system calls: {cell}, {engine}", syscalls.measure,
                                          bench, cell, mtu, workload, engine)
                    if entry is not None:
                        self.results.syscalls.append(entry)

    def _attempt(self, where, measure, *arguments):
        """A sample, or None. A run that failed is told in the end, and made once more."""
        for attempt in ("made again", "given up"):
            try:
                return measure(*arguments)
            # The others are a client that printed something else than it should.
            except (processes.LabError, OSError, ValueError, KeyError) as error:
                self.results.errors.append(f"{where}: {error or type(error).__name__} ({attempt})")
        return None


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def deliver(options, found):
    """Everything that a run prints and writes."""
    report.print_text(found, sys.stdout)
    if options.json:
        document.write(options.json, found)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:
            file.write(markdown.render(found))
    if options.plots:
        # Only here, because matplotlib is needed by nothing else.
        from . import plots

        for path in plots.write(found, options.plots):
            say(f"wrote {path}")


def main(options):
    if options.list:
        options.clients = options.clients or install.clients_folder()
        print("\n".join(cell.name for cell in Session(options).cells))
        return 0
    for line in install.prepare(options):
        say(line)
    netns.raise_on_signals()
    found = Session(options).run()
    deliver(options, found)
    return 0 if options.no_judge or document.holds(found) else 1


def agree(options):
    """Only the direct path is used, so that no engine has to be there."""
    # Only here, because nothing else needs what it checks against.
    from . import agreement

    _require_root()
    options.clients = options.clients or install.clients_folder()
    if not options.clients:
        raise processes.LabError("the clients are not built: bench/lab/run --build")
    return agreement.command(options)


def sweep(options):
    """The forwarders' buffer sizes need iperf3 and strace, and no client of the lab's."""
    _require_root()
    with netns.CubicDefault(), netns.Network() as network:
        network.wait_ready()
        rows = forwarders.sweep(types.SimpleNamespace(network=network, options=options))
    return 0 if rows else 1


def _require_root():
    if os.geteuid() != 0:
        raise processes.LabError("namespaces need root: run it with sudo")
