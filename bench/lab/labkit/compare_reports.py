"""`lab report OLD NEW`: what changed between two reports, figure by figure.

A figure has changed when the ranges [minimum–maximum] of the two reports have no value in common.
Machines drift, so a change counts only when it is also there after both sides were divided by their
own report's yardstick (direct, or pasta where direct has no such figure); between two machines that
quotient is all that is judged. Only figures of ours decide the exit status.
"""

import dataclasses
import math
import sys

from . import figures, report, schema
from .figures import number, times
from .tables import Table, plain

VERDICTS = {"better": "good", "worse": "bad", "worse in doubt": "doubt",
            "with the yardstick": "", "within noise": "", "not judged": "doubt"}
NORMALISERS = ("direct", "pasta")


@dataclasses.dataclass(frozen=True)
class Range:
    median: float
    low: float
    high: float

    def over(self, divisor):
        return Range(*(value / divisor for value in (self.median, self.low, self.high)))

    def meets(self, other):
        return self.low <= other.high and other.low <= self.high

    def __str__(self):
        if self.low == self.high:
            return number(self.median)
        return f"{number(self.median)} [{number(self.low)}–{number(self.high)}]"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number of the samples that is compared; `key` is its name there."""

    key: str
    unit: str
    quantity: str
    better: str


@dataclasses.dataclass
class Change:
    """One figure of one engine in both reports."""

    cell: str
    engine: str
    metric: Metric
    old: Range
    new: Range
    over: dict  # {yardstick: (old quotient, new quotient)}, of medians
    verdict: str = ""

    @property
    def ratio(self):
        return self.new.median / self.old.median if self.old.median else None


def main(old_path, new_path, out=None):
    """Prints the comparison. 0: nothing of ours is worse; 1: something is; 2: no comparison."""
    out = out or sys.stdout
    try:
        old, new = schema.read(old_path), schema.read(new_path)
    except schema.BadReport as error:
        print(f"lab report: {error}", file=sys.stderr)
        return 2
    changes = compare(old, new)
    if not any(figures.is_ours(change.engine) for change in changes):
        print(f"lab report: no figure of ours is in both {old_path} and {new_path}",
              file=sys.stderr)
        return 2
    _print(old, new, changes, (old_path, new_path), out)
    worse = [change for change in changes
             if figures.is_ours(change.engine) and change.verdict == "worse"]
    return 1 if worse else 0


def other_machine(old, new):
    """What of the machine differs, as text; what both reports share is left out."""
    return [f"{key}: {old['machine'][key]} → {new['machine'][key]}"
            for key in ("cpu", "cores", "kernel") if old["machine"][key] != new["machine"][key]]


def warnings(old, new):
    differs = other_machine(old, new)
    if differs:
        yield (f"The machines differ ({'; '.join(differs)}): only quotients by a yardstick are "
               "judged.")
    for key, what in (("family", "IP versions"), ("seconds", "lengths of a run"),
                      ("rounds", "numbers of rounds")):
        if old[key] != new[key]:
            yield f"The {what} differ: {old[key]} → {new[key]}."
    for name in sorted(old["versions"].keys() | new["versions"].keys()):
        before, after = old["versions"].get(name), new["versions"].get(name)
        if before != after:
            yield f"Version of {name}: {before or 'none'} → {after or 'none'}."


def compare(old, new):
    """All figures that both reports have, judged."""
    newer = {cell["name"]: cell for cell in new["cells"]}
    bound = max(old["swing_bound"], new["swing_bound"])
    elsewhere = bool(other_machine(old, new))
    changes = []
    for before in old["cells"]:
        after = newer.get(before["name"])
        if not after or (before["unit"], before["better"]) != (after["unit"], after["better"]):
            continue
        doubtful = before["doubtful"] or after["doubtful"]
        for metric in _metrics(before):
            for engine in figures.ordered(set(before["summary"]) & set(after["summary"])):
                change = _change(before, after, engine, metric, bound)
                if change:
                    change.verdict = _judge(change, elsewhere, doubtful)
                    changes.append(change)
    return changes


def _metrics(cell):
    return (Metric("value", cell["unit"], figures.quantity(cell["unit"]), cell["better"]),
            Metric("cpu_per_gb", "s/GB", "CPU per GB", "lower"),
            Metric("cpu_us_per_op", "µs CPU", "CPU per operation", "lower"))


def _range(cell, engine, metric, bound):
    """Of a single sample the spread is unknown: the bound for a quiet yardstick stands in."""
    values = [sample[metric.key] for sample in cell["samples"].get(engine, [])
              if isinstance(sample.get(metric.key), (int, float))]
    if not values:
        return None
    if metric.key == "value":
        middle = cell["summary"][engine]["median"]
    else:
        middle = cell["summary"][engine].get(metric.key)
    if middle is None:
        return None
    if len(values) == 1:
        return Range(middle, middle * (1 - bound), middle * (1 + bound))
    return Range(middle, min(values), max(values))


def _change(before, after, engine, metric, bound):
    old, new = (_range(cell, engine, metric, bound) for cell in (before, after))
    if not old or not new:
        return None
    over = {}
    for yardstick in NORMALISERS:
        divisors = [_range(cell, yardstick, metric, bound) for cell in (before, after)]
        if yardstick != engine and all(divisor and divisor.median for divisor in divisors):
            over[yardstick] = tuple(divisor.median for divisor in divisors)
    return Change(before["name"], engine, metric, old, new, over)


def _direction(old, new, better):
    if old.meets(new):
        return "within noise"
    return "better" if (new.median > old.median) == (better == "higher") else "worse"


def _judge(change, elsewhere, doubtful):
    """One of VERDICTS."""
    better = change.metric.better
    verdict = _direction(change.old, change.new, better)
    divisors = next(iter(change.over.values()), None)
    if divisors:
        beside = _direction(change.old.over(divisors[0]), change.new.over(divisors[1]), better)
        if elsewhere:
            verdict = beside
        elif verdict != "within noise" and verdict != beside:
            verdict = "with the yardstick"
    elif elsewhere:
        return "not judged"
    return "worse in doubt" if verdict == "worse" and doubtful else verdict


def _print(old, new, changes, paths, out):
    colour = report.wants_colour(out)
    for name, path, document in zip(("Old", "New"), paths, (old, new)):
        print(f"{name}: {path}, taken {document['taken']}, {document['rounds']} rounds, "
              f"Linux {document['machine']['kernel']}", file=out)
    for line in warnings(old, new):
        report.print_line(f"! {line}", "doubt", out, colour)
    for line in _unpaired(old, new):
        print(line, file=out)
    ours = [change for change in changes if figures.is_ours(change.engine)]
    others = [change for change in changes if not figures.is_ours(change.engine)]
    notes = ["Medians [minimum–maximum]; the ratio is new/old and names what it is a ratio of.",
             "/X: ours divided by X in the same report, old → new."]
    if 1 in (old["rounds"], new["rounds"]):
        bound = max(old["swing_bound"], new["swing_bound"])
        notes.append(f"A single sample has no spread: it is taken as ±{bound:.0%}.")
    report.print_titled(_table("Ours", notes, ours, NORMALISERS), out, colour)
    if others:
        notes = ["/direct: theirs divided by direct in the same report, old → new."]
        report.print_titled(_table("Peers and yardsticks, which decide nothing", notes, others,
                                   ("direct",)), out, colour)
    print(file=out)
    for line, mark in _summary(ours):
        report.print_line(line, mark, out, colour)


def _unpaired(old, new):
    """Cells that only one report has, or that mean different things."""
    sides = [{cell["name"]: cell for cell in document["cells"]} for document in (old, new)]
    for name, mine, theirs in (("OLD", *sides), ("NEW", *reversed(sides))):
        alone = [cell for cell in mine if cell not in theirs]
        if alone:
            yield f"Only in {name}: {', '.join(alone)}."
    for cell in sides[0].keys() & sides[1].keys():
        kinds = [(side[cell]["unit"], side[cell]["better"]) for side in sides]
        if kinds[0] != kinds[1]:
            yield f"Not compared: {cell} is in {kinds[0][0]} in OLD and {kinds[1][0]} in NEW."


def _table(title, notes, changes, normalisers):
    used = [name for name in normalisers if any(name in change.over for change in changes)]
    rows = []
    for change in changes:
        row = [plain(change.cell), plain(change.engine), plain(change.metric.unit),
               plain(str(change.old)), plain(str(change.new)),
               plain(f"{times(change.ratio)} {change.metric.quantity}")]
        row += [plain(_over_text(change, name)) for name in used]
        rows.append([*row, plain(change.verdict, VERDICTS[change.verdict])])
    head = ["cell", "engine", "unit", "old", "new", "new/old", *(f"/{name}" for name in used),
            "verdict"]
    return Table(title, notes, head, rows, frozenset({0, 1, 2, len(head) - 1}))


def _over_text(change, yardstick):
    if yardstick not in change.over:
        return ""
    old, new = change.over[yardstick]
    return f"{times(change.old.median / old)} → {times(change.new.median / new)}"


def _summary(ours):
    """Counts of verdicts, and the geometric mean of each quantity's ratios."""
    counts = {verdict: sum(change.verdict == verdict for change in ours) for verdict in VERDICTS}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()
                     if count or verdict in ("better", "worse"))
    mark = "bad" if counts["worse"] else "good"
    kinds = sorted({(change.metric.quantity, change.metric.better) for change in ours})
    for kind in kinds:
        ratios = [change.ratio for change in ours if change.ratio
                  and (change.metric.quantity, change.metric.better) == kind]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            side = "above" if kind[1] == "higher" else "below"
            yield (f"{kind[0]}: {times(mean)} in the geometric mean of {len(ratios)} "
                   f"({side} 1 is better)", "")
    if counts["worse in doubt"]:
        yield ("In doubt is what got worse where the yardstick itself swung: run again on a "
               "quiet machine.", "doubt")
    if counts["with the yardstick"]:
        yield ("With the yardstick moved what changed no more than the direct path or pasta "
               "did.", "")
    yield f"{len(ours)} figures of ours: {told}.", mark
