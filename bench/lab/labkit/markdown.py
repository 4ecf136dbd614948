"""A report as Markdown, for docs/benchmarks.md."""

import shlex

from . import tables


def render(document):
    parts = [_machine(document)]
    for group, table in tables.all_tables(document):
        parts.append(f"### {table.title}")
        parts.append(_escape(" ".join(table.notes)))
        parts.append(_table(table))
        if group:
            cells = [cell for cell in document["cells"] if cell["group"] == group]
            parts.append(_list(map(_escape, tables.peers_ahead(cells))))
    outcome = [_escape(line) for line, _ in tables.outcome_lines(document)]
    if outcome:
        parts.append("### Outcome")
        parts.append(_list(outcome))
    if document["errors"]:
        parts.append("### Errors")
        parts.append(_list(map(_escape, document["errors"])))
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(document):
    lines = [_escape(line) for line in tables.machine_lines(document)]
    command = shlex.join(document["command"])
    return "\n".join(lines) + f"\n\n```\n{command}\n```"


def _table(table):
    rules = [":--" if column in table.left else "--:" for column in range(len(table.head))]
    rows = [_row(map(_escape, table.head)), _row(rules)]
    rows += [_row("".join(_span(text, mark) for text, mark in spans) for spans in row)
             for row in table.rows]
    return "\n".join(rows)


def _row(texts):
    return f"| {' | '.join(texts)} |"


def _span(text, mark):
    text = _escape(text)
    return f"**{text}**" if mark in ("best", "bad") and text else text


def _list(lines):
    return "\n".join(f"- {line}" for line in lines)


def _escape(text):
    """Characters that Markdown would take as its own inside a table or a line."""
    for char in "\\|*_`<~":
        text = text.replace(char, "\\" + char)
    return text.replace("\n", " ")
