"""What two builds differ in, benchmark by benchmark, and whether that is a regression.

Instructions are counted by callgrind and are the same on every run, so a growth beyond the
threshold is one, however busy the machine. Allocations must not grow at all. Time is shown with
its significance and decides nothing: machines are shared.
"""

import dataclasses
import statistics

from . import ranksum

SIGNIFICANT = 0.05
# A count per operation is a mean over the run: less than this is the rest of a division.
ALLOCATION_SLACK = 0.01


@dataclasses.dataclass
class Row:
    name: str
    side: str = "both"  # Or "new", "gone": the only side that has it.
    base_ns: list = dataclasses.field(default_factory=list)
    new_ns: list = dataclasses.field(default_factory=list)
    base_counts: dict = dataclasses.field(default_factory=dict)
    new_counts: dict = dataclasses.field(default_factory=dict)

    @property
    def p(self):
        if not self.base_ns or not self.new_ns:
            return None
        return ranksum.p_value(self.base_ns, self.new_ns)

    def time(self, side):
        values = self.base_ns if side == "base" else self.new_ns
        return statistics.median(values) if values else None

    def count(self, side, kind):
        return (self.base_counts if side == "base" else self.new_counts).get(kind)

    def regressions(self, threshold):
        """What got worse, as words; empty when nothing did."""
        words = []
        before, after = (self.count(side, "instructions") for side in ("base", "new"))
        if before is not None and after is not None:
            growth = percent(before, after)
            if growth > threshold:
                words.append(f"instructions {before:,.0f} → {after:,.0f} ({growth:+.1f} %)")
        before, after = (self.count(side, "allocations") for side in ("base", "new"))
        if before is not None and after is not None and after > before + ALLOCATION_SLACK:
            words.append(f"allocations {before:.2f} → {after:.2f}")
        return words


def rows(base_names, new_names, samples, base_counts, new_counts):
    """One row a benchmark: in the new side's order, then what is gone."""
    found = []
    for name in [*new_names, *(name for name in base_names if name not in set(new_names))]:
        row = Row(name)
        if name not in base_names:
            row.side = "new"
        elif name not in new_names:
            row.side = "gone"
        if name in samples:
            row.base_ns, row.new_ns = samples[name].base, samples[name].new
        row.base_counts = base_counts.get(name, {})
        row.new_counts = new_counts.get(name, {})
        found.append(row)
    return found


def percent(before, after):
    """The change in per cent; from nothing to something it is infinite."""
    if before == after:
        return 0.0
    return (after - before) * 100 / before if before else float("inf")


def time_words(nanoseconds):
    if nanoseconds is None:
        return ""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}" if nanoseconds < 1000 * size else \
                f"{nanoseconds / size:.0f} {unit}"
    return f"{nanoseconds:.3g} ns"


def _percent_words(before, after):
    return "" if before is None or after is None else f"{percent(before, after):+.1f}"


def _number_words(value, form):
    return "" if value is None else format(value, form)


HEAD = ("benchmark", "time base", "new", "Δ%", "p", "instr base", "new", "Δ%", "alloc base", "new")


def _cells(row):
    if row.side == "new":
        return [row.name, "new: only the new side has it"]
    if row.side == "gone":
        return [row.name, "gone: only the base has it"]
    instructions = [row.count(side, "instructions") for side in ("base", "new")]
    allocations = [row.count(side, "allocations") for side in ("base", "new")]
    p = row.p
    mark = "" if p is None else f"{p:.3f}" + ("*" if p < SIGNIFICANT else " ")
    return [row.name, time_words(row.time("base")), time_words(row.time("new")),
            _percent_words(row.time("base"), row.time("new")), mark,
            *(_number_words(value, ",.0f") for value in instructions),
            _percent_words(*instructions),
            *(_number_words(value, ".2f") for value in allocations)]


def table(found, threshold, colours=False):
    """Aligned lines: names to the left, numbers to the right."""
    cells = [_cells(row) for row in found]
    full = [line for line in cells if len(line) == len(HEAD)]
    # A column that nobody filled, such as times that were skipped, takes no room.
    columns = [0] + [at for at in range(1, len(HEAD)) if any(line[at] for line in full)]
    widths = [max(len(line[at]) for line in [HEAD, *full]) for at in range(len(HEAD))]
    widths[0] = max(len(line[0]) for line in [HEAD, *cells])

    def aligned(line):
        rest = [f"{line[at]:>{widths[at]}}" for at in columns[1:]]
        return "  ".join([f"{line[0]:<{widths[0]}}", *rest]).rstrip()

    lines = [aligned(HEAD)]
    for row, line in zip(found, cells):
        text = aligned(line) if len(line) == len(HEAD) else f"{line[0]:<{widths[0]}}  {line[1]}"
        if colours and row.regressions(threshold):
            text = f"\x1b[31m{text}\x1b[0m"
        lines.append(text)
    return lines


def document(found, threshold, facts):
    """The same as JSON."""
    benchmarks = []
    for row in found:
        entry = {"name": row.name, "side": row.side, "base_ns": row.base_ns, "new_ns": row.new_ns,
                 "base_median_ns": row.time("base"), "new_median_ns": row.time("new"), "p": row.p,
                 "regressions": row.regressions(threshold)}
        for kind in ("instructions", "allocations"):
            entry[f"base_{kind}"] = row.count("base", kind)
            entry[f"new_{kind}"] = row.count("new", kind)
        benchmarks.append(entry)
    return {"schema": 1, **facts, "threshold_percent": threshold, "benchmarks": benchmarks,
            "regressed": [row.name for row in found if row.regressions(threshold)]}
