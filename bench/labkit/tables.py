"""The tables of a report, without a look: text (report.py) and Markdown (markdown.py) print them.

A table's cell is a list of spans (text, mark). Marks: "best", "good", "bad", "doubt" or "".
"""

import dataclasses

from . import figures
from .figures import YARDSTICKS, median, number, ordered, ratio, times


@dataclasses.dataclass
class Table:
    title: str
    notes: list  # Sentences that say what the figures are and what the ratios mean.
    head: list
    rows: list
    left: frozenset = frozenset({0})  # Columns of words; the others are numbers.


def plain(text, mark=""):
    return [(text, mark)]


def of_groups(document):
    """One table of figures, ratios and verdicts for each group that has a figure."""
    for group, title in figures.GROUP_TITLES.items():
        cells = [cell for cell in document["cells"] if cell["group"] == group]
        if any(cell["summary"] for cell in cells):
            yield group, _group_table(title, cells, document)


def _measured(cells):
    """Engines with a figure in at least one of the cells."""
    return ordered({engine for cell in cells for engine in cell["summary"]})


def _group_table(title, cells, document):
    engines = _measured(cells)
    ours = next((engine for engine in engines if figures.is_ours(engine)), None)
    peers = [engine for engine in engines if ours and engine != ours]
    judged = any(cell["verdicts"] for cell in cells)
    head = ["cell", "unit", *engines, *(f"/{peer}" for peer in peers)]
    rows = [_figures_row(cell, engines, ours, peers) for cell in cells if cell["summary"]]
    if judged:
        head.append("asked")
        for row, cell in zip(rows, (cell for cell in cells if cell["summary"])):
            row.append(_verdict_spans(cell["verdicts"]))
    left = {0, 1, len(head) - 1} if judged else {0, 1}
    notes = [_figures_note(document)]
    if peers:
        notes.append(_ratio_note(cells, ours))
    missing = [cell["name"] for cell in cells if not cell["summary"]]
    if missing:
        notes.append(f"Without a sample: {', '.join(missing)}.")
    unmeasured = ordered({engine for cell in cells for engine in cell["engines"]} - set(engines))
    if unmeasured:
        notes.append(f"Not measured: {', '.join(unmeasured)}.")
    return Table(title, notes, head, rows, frozenset(left))


def _figures_row(cell, engines, ours, peers):
    best = figures.best_engines(cell)
    row = [plain(cell["name"] + ("~" if cell["doubtful"] else ""),
                 "doubt" if cell["doubtful"] else ""), plain(cell["unit"])]
    for engine in engines:
        row.append(plain(figures.with_spread(cell["summary"].get(engine)),
                         "best" if engine in best else ""))
    for peer in peers:
        row.append(plain(times(ratio(median(cell, ours), median(cell, peer)))))
    return row


def _figures_note(document):
    rounds = document["rounds"]
    if rounds == 1:
        return "One round: single figures, without a spread."
    return f"Medians [minimum–maximum] of {rounds} rounds."


def _ratio_note(cells, ours):
    kinds = {(cell["unit"], cell["better"]) for cell in cells}
    meanings = [f"× {figures.quantity(unit)} ({unit}), {'above' if better == 'higher' else 'below'}"
                " 1 is better" for unit, better in sorted(kinds)]
    return f"/X is {ours} divided by X in the same cell: {'; '.join(meanings)}."


def _verdict_spans(verdicts):
    spans = []
    for verdict in verdicts:
        if spans:
            spans.append((", ", ""))
        asked, value = verdict["asked"], verdict["value"]
        if verdict["holds"] is None:
            spans.append((f"{asked} not judged", "doubt"))
        elif verdict["holds"]:
            spans.append((f"{asked} ok", "good"))
        else:
            spans.append((f"{asked} FAILS at {number(value)}", "bad"))
    return spans


def of_cpu(document):
    """CPU seconds per GB of the serving processes: the engines' table, then the forwarders'."""
    for title, forwards in (("CPU per GB", False), ("CPU per GB of port forwarders", True)):
        cells = [cell for cell in document["cells"] if (cell["group"] == "forward") == forwards
                 and any("cpu_per_gb" in entry for entry in cell["summary"].values())]
        if cells:
            yield _cpu_table(title, cells)


def _cpu_table(title, cells):
    engines = ordered({engine for cell in cells for engine, entry in cell["summary"].items()
                       if "cpu_per_gb" in entry})
    ours = next((engine for engine in engines if figures.is_ours(engine)), None)
    peers = [engine for engine in engines if ours and engine != ours]
    rows = []
    for cell in cells:
        row = [plain(cell["name"])]
        row += [plain(_cpu_text(cell["summary"].get(engine, {}))) for engine in engines]
        for peer in peers:
            value = ratio(median(cell, ours, "cpu_per_gb"), median(cell, peer, "cpu_per_gb"))
            row.append(plain(times(value)))
        rows.append(row)
    notes = ["CPU seconds of the serving process per GB (10⁹ bytes): total = user + system, "
             "each a median of its own."]
    if peers:
        notes.append(f"/X is {ours} divided by X: × CPU per GB, below 1 is better.")
    return Table(title, notes, ["cell", *engines, *(f"/{peer}" for peer in peers)], rows)


def _cpu_text(entry):
    total, user, system = (entry.get(f"cpu_{part}per_gb") for part in ("", "user_", "system_"))
    if total is None:
        return "–"
    if user is None or system is None:
        return f"{total:.3f}"
    return f"{total:.3f} = {user:.3f} + {system:.3f}"


def _of_keys(document, title, notes, keys, scale=1):
    """Medians of some keys of the samples, joined by a slash, where an engine has the first."""
    cells = [cell for cell in document["cells"] if not cell["derived_from"]
             and any(keys[0] in entry for entry in cell["summary"].values())]
    engines = ordered({engine for cell in cells for engine, entry in cell["summary"].items()
                       if keys[0] in entry})
    if not engines:
        return None
    rows = []
    for cell in cells:
        row = [plain(cell["name"])]
        for engine in engines:
            values = [median(cell, engine, key) for key in keys]
            texts = [number(None if value is None else value * scale) for value in values]
            row.append(plain("–" if values[0] is None else " / ".join(texts)))
        rows.append(row)
    return Table(title, notes, ["cell", *engines], rows)


def of_tails(document):
    return _of_keys(document, "Latency tails", ["Medians of p50 / p99 / p99.9, in µs."],
                    ("p50_ns", "p99_ns", "p999_ns"), 1e-3)


def of_switches(document):
    return _of_keys(document, "Context switches",
                    ["Voluntary / involuntary switches of the serving process during a run, "
                     "medians."], ("voluntary_switches", "involuntary_switches"))


def of_drops(document):
    return _of_keys(document, "Drops", ["Packets dropped during a run, medians."], ("drops",))


def of_syscalls(document):
    """System calls per MB, and which calls they are."""
    entries = document["syscalls"]
    if not entries:
        return None
    rows = []
    for cell in dict.fromkeys(entry["cell"] for entry in entries):
        here = {entry["engine"]: entry for entry in entries if entry["cell"] == cell}
        for engine in ordered(here):
            entry = here[engine]
            rows.append([plain(cell), plain(engine), plain(number(entry["per_mb"])),
                         plain(_calls_text(entry["calls"]))])
    return Table("System calls per MB",
                 ["Calls of the serving process per MB (10⁶ bytes), counted in a run of its own; "
                  "then the share of each call, most frequent first."],
                 ["cell", "engine", "calls per MB", "calls"], rows, frozenset({0, 1, 3}))


def _calls_text(calls, most=5):
    total = sum(calls.values())
    if not total:
        return "none"
    ranked = sorted(calls.items(), key=lambda item: (-item[1], item[0]))[:most]
    return ", ".join(f"{name} {count / total:.0%}" for name, count in ranked if count)


def of_reference(document):
    """The report of the reference engine, field by field, filled by every engine."""
    engines = ordered(document["reference"])
    names = dict.fromkeys(name for engine in engines for name in document["reference"][engine])
    rows = [[plain(name)] + [plain(number(document["reference"][engine].get(name)))
                             for engine in engines] for name in names]
    if not rows:
        return None
    return Table("The reference's report", ["Its own field names; the unit is in each name."],
                 ["field", *engines], rows)


def all_tables(document):
    """(group or None, table): the groups' first, then what is measured beside them."""
    yield from of_groups(document)
    beside = [of_tails(document), *of_cpu(document), of_switches(document), of_drops(document),
              of_syscalls(document), of_reference(document)]
    yield from ((None, table) for table in beside if table)


def peers_ahead(cells):
    """A sentence for each cell where a peer's median is better than ours."""
    for cell in cells:
        ours = figures.ours_of(cell)
        mine = cell["summary"].get(ours)
        if not mine:
            continue
        for engine in ordered(set(cell["summary"]) - {*YARDSTICKS, ours}):
            theirs = cell["summary"][engine]
            ahead = (theirs["median"] > mine["median"] if cell["better"] == "higher"
                     else theirs["median"] < mine["median"])
            if figures.is_ours(engine) or not ahead:
                continue
            close = "; the ranges overlap" if figures.overlap(mine, theirs) else ""
            yield (f"{engine} is better than {ours} in {cell['name']}: {number(theirs['median'])} "
                   f"against {number(mine['median'])} {cell['unit']}{close}.")


def machine_lines(document):
    machine = document["machine"]
    versions = ", ".join(_version(name, version)
                         for name, version in document["versions"].items() if version)
    rounds = f"{document['rounds']} round" + ("" if document["rounds"] == 1 else "s")
    lines = [f"Taken {document['taken']} in {document['duration_s']:.0f} s: {rounds}, "
             f"{document['seconds']:g} s a throughput run, IPv{document['family']}.",
             f"Machine: {machine['cpu']}, {machine['cores']} cores, "
             f"{machine['memory_mib'] / 1024:.1f} GiB, Linux {machine['kernel']}."]
    if versions:
        lines.append(f"Versions: {versions}.")
    return lines


def _version(name, version):
    return version if version.startswith(name) else f"{name} {version}"


def outcome_lines(document):
    """How many thresholds hold, and which yardsticks are in doubt: (line, mark)."""
    verdicts = [verdict for cell in document["cells"] for verdict in cell["verdicts"]]
    if verdicts:
        held = sum(verdict["holds"] is True for verdict in verdicts)
        unjudged = sum(verdict["holds"] is None for verdict in verdicts)
        failed = len(verdicts) - held - unjudged
        yield (f"{held} of {len(verdicts)} thresholds hold, {failed} fail, "
               f"{unjudged} could not be judged.", "bad" if failed else "good" if held else "")
    doubtful = [cell for cell in document["cells"] if cell["doubtful"]]
    if doubtful:
        named = ", ".join(f"{cell['name']} ({cell['swing']:.0%})" for cell in doubtful)
        yield (f"~ The direct path itself swung by more than {document['swing_bound']:.0%} in "
               f"{named}: judge these with care, or run again on a quiet machine.", "doubt")
