"""Lines and words."""

import re

COLUMNS = 100


def line_length(tree):
    for source in tree.sources:
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS:
                yield f"{source.path}:{number}: {len(line)} columns, the limit is {COLUMNS}"


def unfinished(tree):
    for source in tree.sources:
        for number, line in enumerate(source.lines, 1):
            match = re.search(r"\b(TODO|FIXME|HACK)\b", line)
            if match:
                yield f"{source.path}:{number}: {match.group(0)}: finish it or open an issue"


def no_value_calls(tree):
    for source in tree.of_src():
        for match in re.finditer(r"(?:\.|->)value\(\)", source.code):
            yield (f"{source.path}:{source.line_of(match.start())}: .value() throws; test the "
                   "result, then use * or ->")


# What a reader of the tree does not have.
OUTSIDE = re.compile(r"\b([Tt]he issue\b|[Ii]ssue \d+\b|[Tt]he reference(?! implementation)\b"
                     r"|[Rr]eference engine\b)")


def nothing_outside(tree):
    """No text leans on a ticket, or on a program that is called "the reference"."""
    for path, text in tree.texts():
        if path.startswith("tests/style/") or path == "CHANGELOG.md":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = OUTSIDE.search(line)
            if match:
                yield f'{path}:{number}: "{match.group(0)}": a reader does not have it'
