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
    notes = [_figures_note(cells, document["rounds"])]
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


def _figures_note(cells, rounds):
    if rounds == 1:
        return "One round: single figures, without a spread."
    fewer = any(entry["n"] < rounds for cell in cells for entry in cell["summary"].values())
    return f"Medians [minimum–maximum] of {'at most ' if fewer else ''}{rounds} rounds."


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
    """CPU of the serving processes, by bytes and by operations; the forwarders' tables apart."""
    for suffix, title, note in (
            ("_per_gb", "CPU per GB", "CPU seconds of the serving process per GB (10⁹ bytes)"),
            ("_us_per_op", "CPU per operation", "CPU time of the serving process in µs per "
                                                "operation")):
        for forwards in (False, True):
            cells = [cell for cell in document["cells"] if not cell["derived_from"]
                     and (cell["group"] == "forward") == forwards
                     and any("cpu" + suffix in entry for entry in cell["summary"].values())]
            if cells:
                named = title + (" of port forwarders" if forwards else "")
                yield _cpu_table(named, title, note, cells, suffix)


def _cpu_table(title, quantity, note, cells, suffix):
    key = "cpu" + suffix
    engines = _with_key(cells, key)
    ours = next((engine for engine in engines if figures.is_ours(engine)), None)
    peers = [engine for engine in engines if ours and engine != ours]
    rows = []
    for cell in cells:
        row = [plain(cell["name"])]
        row += [plain(_cpu_text(cell["summary"].get(engine, {}), suffix)) for engine in engines]
        row += [plain(times(ratio(median(cell, ours, key), median(cell, peer, key))))
                for peer in peers]
        rows.append(row)
    notes = [f"{note}: total = user + system, each a median of its own; the total alone where "
             "the run was too short to tell them apart."]
    if peers:
        notes.append(f"/X is {ours} divided by X: × {quantity}, below 1 is better.")
    return Table(title, notes, ["cell", *engines, *(f"/{peer}" for peer in peers)], rows)


def _with_key(cells, key):
    """Engines whose summaries have a key, in any of the cells."""
    return ordered({engine for cell in cells for engine, entry in cell["summary"].items()
                    if key in entry})


def _cpu_text(entry, suffix):
    total, user, system = (entry.get(f"cpu{part}{suffix}") for part in ("", "_user", "_system"))
    if total is None or user is None or system is None:
        return _small(total)
    return f"{_small(total)} = {_small(user)} + {_small(system)}"


def _small(value):
    return "–" if value is None else f"{value:.3f}" if value < 1 else number(value)


def _of_texts(document, title, notes, key, text):
    """text(summary) of each engine whose summary has a key, for each cell that has one."""
    cells = [cell for cell in document["cells"] if not cell["derived_from"]
             and any(key in entry for entry in cell["summary"].values())]
    if not cells:
        return None
    engines = _with_key(cells, key)
    rows = [[plain(cell["name"])] +
            [plain(text(cell["summary"][engine]) if key in cell["summary"].get(engine, {})
                   else "–") for engine in engines] for cell in cells]
    return Table(title, notes, ["cell", *engines], rows)


def _joined(entry, keys, scale):
    values = (entry.get(key) for key in keys)
    return " / ".join(number(None if value is None else value * scale) for value in values)


def of_tails(document):
    keys = ("p50_ns", "p99_ns", "p999_ns")
    return _of_texts(document, "Latency tails", ["Medians of p50 / p99 / p99.9, in µs."],
                     keys[0], lambda entry: _joined(entry, keys, 1e-3))


def of_switches(document):
    def text(entry):
        each = f"{number(entry['voluntary_switches'])} + " \
               f"{number(entry.get('involuntary_switches'))}"
        for key, unit in (("switches_per_gb", "GB"), ("switches_per_op", "operation")):
            if key in entry:
                return f"{number(entry[key])} per {unit} ({each})"
        return each

    return _of_texts(document, "Context switches",
                     ["Of the serving process; in brackets voluntary + involuntary in a whole "
                      "run, medians."], "voluntary_switches", text)


def of_drops(document):
    def text(entry):
        own = entry.get("engine_drops")
        return number(entry["drops"]) + ("" if own is None else f" ({number(own)})")

    return _of_texts(document, "Drops",
                     ["Packets that interfaces dropped during a run; in brackets those that the "
                      "engine itself counted, where it counts. Medians."], "drops", text)


def of_memory(document):
    keys = ("rss_kib", "pss_kib")
    return _of_texts(document, "Memory under load",
                     ["RSS / PSS of the serving process at the end of a run, in MiB, medians."],
                     keys[0], lambda entry: _joined(entry, keys, 1 / 1024))


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
                         plain(number(entry["per_op"])), plain(_calls_text(entry["calls"]))])
    return Table("System calls per MB",
                 ["Calls of the serving process per MB (10⁶ bytes) or per operation, counted in a "
                  "run of its own; then the share of each call, most frequent first."],
                 ["cell", "engine", "per MB", "per operation", "calls"], rows,
                 frozenset({0, 1, 4}))


def _calls_text(calls, most=5):
    total = sum(calls.values())
    if not total:
        return "none"
    ranked = sorted(calls.items(), key=lambda item: (-item[1], item[0]))[:most]
    return ", ".join(f"{name} {count / total:.0%}" for name, count in ranked if count)


def of_reference(document):
    """The report of a micro-VM's network, field by field, filled by every engine."""
    engines = ordered(document["reference"])
    names = dict.fromkeys(name for engine in engines for name in document["reference"][engine])
    rows = [[plain(name)] + [plain(number(document["reference"][engine].get(name)))
                             for engine in engines] for name in names]
    if not any(number is not None for engine in engines
               for number in document["reference"][engine].values()):
        return None
    return Table("The fields of a micro-VM's report", ["Its own field names; the unit is in each name."],
                 ["field", *engines], rows)


def all_tables(document):
    """(group or None, table): the groups' first, then what is measured beside them."""
    yield from of_groups(document)
    beside = [of_tails(document), *of_cpu(document), of_switches(document), of_drops(document),
              of_memory(document), of_syscalls(document), of_reference(document)]
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
