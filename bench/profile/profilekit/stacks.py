"""Stacks out of `perf script`: frames with the place that their code is from, merged to a tree."""

import collections
import dataclasses
import os
import re

# perf script -F comm,tid,ip,sym,dso: one line a frame, the innermost first.
FRAME = re.compile(r"^\s+[0-9a-f]+ (?P<symbol>.*?) \((?P<object>[^()]*(?: \(deleted\))?)\)$")
LIBRARY = re.compile(r"(^|/)(lib[^/]*\.so|ld-linux)")
ANONYMOUS = "(anonymous namespace)::"
# The namespace that all of ours is in says nothing in a narrow box.
OURS = "sluice::"
# A call operator's name ends in what looks like arguments.
CALL_OPERATOR = "operator()"

KINDS = ("engine", "library", "kernel", "unknown")


@dataclasses.dataclass(frozen=True)
class Frame:
    name: str
    kind: str  # One of KINDS.

    @property
    def label(self):
        return short_name(self.name)


def kind_of(symbol, where):
    if where.startswith("[") and where not in ("[unknown]", "[vdso]"):
        return "kernel"
    if where.endswith(".ko") or ".ko." in where:
        return "kernel"
    if LIBRARY.search(where) or where == "[vdso]":
        return "library"
    return "unknown" if where == "[unknown]" else "engine"


def short_name(name):
    """A C++ function without arguments, template arguments and the type that it returns."""
    name = name.replace(ANONYMOUS, "").replace(CALL_OPERATOR, "operator\0")
    kept, depth = [], 0
    for position, letter in enumerate(name):
        if letter in "<(" and not name[:position].endswith("operator"):
            depth += 1
        elif letter in ">)" and depth:
            depth -= 1
        elif not depth:
            kept.append(letter)
    text = "".join(kept).removesuffix(" const").strip()
    if "operator " not in text:
        text = text.rpartition(" ")[2]
    return text.removeprefix(OURS).replace("\0", "()") or name


def parse(lines):
    """Counter of stacks: tuples of frames, the outermost first."""
    found = collections.Counter()
    stack = []
    for line in lines:
        line = line.rstrip("\n")
        if line.strip():
            match = FRAME.match(line)
            if match:
                stack.append(_frame(match["symbol"], match["object"]))
            continue
        if stack:
            found[tuple(_trimmed(stack))] += 1
        stack = []
    if stack:
        found[tuple(_trimmed(stack))] += 1
    return found


def _frame(symbol, where):
    kind = kind_of(symbol, where)
    if symbol == "[unknown]":
        symbol = f"[{os.path.basename(where)}]" if where != "[unknown]" else "[unknown]"
    return Frame(symbol, kind)


def _trimmed(innermost_first):
    """Without what lies outside the first frame that is known: the end of a lost trail."""
    frames = list(reversed(innermost_first))
    while len(frames) > 1 and frames[0].kind == "unknown":
        frames.pop(0)
    return frames


def folded(stacks):
    """The lines that other tools for flame graphs read: frames joined by ';', then the count."""
    return [";".join(frame.label.replace(";", ":") for frame in stack) + f" {count}"
            for stack, count in sorted(stacks.items(), key=lambda item: -item[1])]


def hottest(stacks, limit=25):
    """[(frame, samples in itself, samples with what it calls)], the most in itself first."""
    own, total = collections.Counter(), collections.Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for frame in set(stack):
            total[frame] += count
    return [(frame, count, total[frame]) for frame, count in own.most_common(limit)]


def by_kind(stacks):
    """Samples by the kind of the innermost frame."""
    found = dict.fromkeys(KINDS, 0)
    for stack, count in stacks.items():
        found[stack[-1].kind] += count
    return found
