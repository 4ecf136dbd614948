"""Whether a document is one of the lab's reports: schema 2, as docs/lab_report.md describes it.

A shape is a type, a tuple of shapes that are all allowed, or one of the classes below. Every
problem names the path inside the document, what was expected and what stands there instead.
"""

import dataclasses
import json

SCHEMA = 2
GROUPS = ("tcp", "latency", "udp", "transfer", "churn", "start", "memory", "policy",
          "packet", "inbound", "forward")


class BadReport(Exception):
    """A file cannot be used as a report; the message names the file and the mend."""


@dataclasses.dataclass(frozen=True)
class OneOf:
    values: tuple


@dataclasses.dataclass(frozen=True)
class ListOf:
    item: object


@dataclasses.dataclass(frozen=True)
class MapOf:
    """An object whose names are free and whose values all have one shape."""

    value: object


@dataclasses.dataclass(frozen=True)
class Record:
    """An object with named fields. All are required; others only where `more` gives their shape."""

    fields: dict
    more: object = None


class Anything:
    pass


NUMBER = (int, float)
MAYBE_NUMBER = (int, float, None)
# Beside its figure a sample carries what its workload knows: counts, a name, all the times taken.
SAMPLE = Record({"value": NUMBER}, more=Anything)
SUMMARY = Record({"median": NUMBER, "min": NUMBER, "max": NUMBER, "n": int}, more=MAYBE_NUMBER)
VERDICT = Record({"asked": str, "value": MAYBE_NUMBER, "holds": (bool, None)})
CELL = Record({
    "name": str, "group": OneOf(GROUPS), "unit": str, "better": OneOf(("higher", "lower")),
    "mtu": (int, None), "direction": OneOf(("out", "in", "bidir", None)), "streams": (int, None),
    "congestion": (str, None), "flows": (int, None), "derived_from": (str, None),
    "engines": ListOf(str), "samples": MapOf(ListOf(SAMPLE)), "summary": MapOf(SUMMARY),
    "swing": MAYBE_NUMBER, "doubtful": bool, "verdicts": ListOf(VERDICT)})
SYSCALLS = Record({"cell": str, "engine": str, "calls": MapOf(int), "seconds": MAYBE_NUMBER,
                   "bytes": (int, None), "operations": (int, None), "per_mb": MAYBE_NUMBER,
                   "per_op": MAYBE_NUMBER})
MACHINE = Record({"kernel": str, "cpu": str, "cores": int, "memory_mib": int}, more=Anything)
DOCUMENT = Record({
    "schema": OneOf((SCHEMA,)), "taken": str, "command": ListOf(str), "machine": MACHINE,
    "versions": MapOf((str, None)), "rounds": int, "seconds": NUMBER, "family": OneOf((4, 6)),
    "swing_bound": NUMBER, "default_congestion_before": (str, None), "duration_s": NUMBER,
    "cells": ListOf(CELL), "syscalls": ListOf(SYSCALLS), "reference": MapOf(MapOf(MAYBE_NUMBER)),
    "errors": ListOf(str)})

NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false",
         None: "null", Anything: "anything"}


def problems(document):
    """What is wrong with a document, one line each; empty when it is a report of this lab."""
    if not isinstance(document, dict):
        return [f"the document: expected an object, found {_found(document)}"]
    if document.get("schema") != SCHEMA:
        return [f"schema: expected {SCHEMA}, found {_found(document.get('schema'))}"]
    return list(_check(document, DOCUMENT, "")) or list(_contradictions(document))


def read(path):
    """The report in a file; BadReport when it is none, with at most five of its problems."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise BadReport(f"{path}: {error.strerror}; bench/lab/run --json FILE writes a report") \
            from error
    except ValueError as error:
        raise BadReport(f"{path}: not JSON: {error}") from error
    found = problems(document)
    if found:
        lines = [f"{path}: {line}" for line in found[:5]]
        if len(found) > 5:
            lines.append(f"{path}: and {len(found) - 5} more like these")
        lines.append("This lab reads the reports that it writes (docs/lab_report.md): "
                     "take this one again with bench/lab/run --json FILE.")
        raise BadReport("\n".join(lines))
    return document


def _check(value, shape, path):
    if isinstance(shape, Record):
        yield from _check_record(value, shape, path)
    elif isinstance(shape, MapOf):
        if not isinstance(value, dict):
            yield _problem(path, "an object", value)
            return
        for key, item in value.items():
            yield from _check(item, shape.value, _join(path, key))
    elif isinstance(shape, ListOf):
        if not isinstance(value, list):
            yield _problem(path, "a list", value)
            return
        for index, item in enumerate(value):
            yield from _check(item, shape.item, f"{path}[{index}]")
    elif isinstance(shape, OneOf):
        if not any(value is wanted or (value == wanted and not isinstance(value, bool))
                   for wanted in shape.values):
            yield _problem(path, " or ".join(map(json.dumps, shape.values)), value)
    elif not _is(value, shape):
        kinds = shape if isinstance(shape, tuple) else (shape,)
        # "A whole number or a number" says no more than "a number".
        named = [NAMES[kind] for kind in kinds if kind is not int or float not in kinds]
        yield _problem(path, " or ".join(named), value)


def _check_record(value, shape, path):
    if not isinstance(value, dict):
        yield _problem(path, "an object", value)
        return
    for key, wanted in shape.fields.items():
        if key in value:
            yield from _check(value[key], wanted, _join(path, key))
        else:
            yield f"{_join(path, key)}: is missing"
    for key in sorted(value.keys() - shape.fields.keys()):
        if shape.more is None:
            yield f"{_join(path, key)}: schema {SCHEMA} has no such field"
        else:
            yield from _check(value[key], shape.more, _join(path, key))


def _is(value, shape):
    if isinstance(shape, tuple):
        return any(_is(value, one) for one in shape)
    if shape is Anything:
        return True
    if shape is None:
        return value is None
    if isinstance(value, bool):  # A bool is an int to Python and none to a reader of JSON.
        return shape is bool
    return isinstance(value, shape)


def _contradictions(document):
    """What has the right shape and still cannot be."""
    names = [cell["name"] for cell in document["cells"]]
    for index, cell in enumerate(document["cells"]):
        path = f"cells[{index}]"
        if names.count(cell["name"]) > 1:
            yield f"{path}.name: two cells are called {cell['name']!r}"
        if cell["derived_from"] is not None and cell["derived_from"] not in names:
            yield f"{path}.derived_from: no cell is called {cell['derived_from']!r}"
        for key in ("samples", "summary"):
            for engine in sorted(cell[key].keys() - set(cell["engines"])):
                yield f"{path}.{key}.{engine}: is not among the cell's engines"
        for engine, summary in cell["summary"].items():
            taken = len(cell["samples"].get(engine, []))
            if summary["n"] != taken:
                yield f"{path}.summary.{engine}.n: expected {taken}, found {summary['n']}"
            if not summary["min"] <= summary["median"] <= summary["max"]:
                yield f"{path}.summary.{engine}: expected min ≤ median ≤ max"
    for index, entry in enumerate(document["syscalls"]):
        if entry["cell"] not in names:
            yield f"syscalls[{index}].cell: no cell is called {entry['cell']!r}"


def _join(path, key):
    return f"{path}.{key}" if path else key


def _problem(path, expected, value):
    return f"{path}: expected {expected}, found {_found(value)}"


def _found(value):
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
