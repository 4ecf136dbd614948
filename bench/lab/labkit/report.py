"""A report as aligned text for a terminal."""

import os
import shlex
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
