"""Sizes with limits. What is beyond one is recorded in sizes.txt, and may only shrink."""

import re

from . import declarations

FILE_LINES = 400
FUNCTION_LINES = 70
FOLDER_FILES = 25
PRIVATE_FUNCTIONS = 25
PARAMETERS = 4
# More than this is not recorded either, unless it was when the limit came.
PARAMETERS_MOST = 6

RECORD = "tests/style/sizes.txt"
HEADING = f"""# What is beyond a limit, with its size; it may only shrink. Limits: {FILE_LINES} lines \
of a file, {FUNCTION_LINES} of a
# function, {FOLDER_FILES} files of a folder, {PRIVATE_FUNCTIONS} private functions of a class, \
{PARAMETERS} parameters of a function (more than
# {PARAMETERS_MOST} are not recorded anew). Written by: tests/style/run --record
"""


def measured(tree):
    """{what: size} of all that is beyond its limit."""
    sizes = {}

    def note(what, size, limit):
        if size > limit:
            sizes[what] = max(size, sizes.get(what, 0))

    folders = {}
    declared = {}  # Functions that a header of the folder declares: counted there.
    for source in tree.of_src():
        folders[source.folder()] = folders.get(source.folder(), 0) + 1
        if source.is_header():
            declared.setdefault(source.folder(), set()).update(
                (function.name, function.parameters) for function in declarations.functions(source))
    for folder, files in folders.items():
        if folder:
            note(f"src/{folder}: files", files, FOLDER_FILES)
    for source in tree.of_src():
        note(f"{source.path}: lines", len(source.lines), FILE_LINES)
        private = {}
        times = {}
        for function in declarations.functions(source):
            if not function.declared_only:
                note(f"{source.path}: lines of {function.name}", function.lines, FUNCTION_LINES)
            if function.private:
                private[function.owner] = private.get(function.owner, 0) + 1
            if not source.is_header() and (
                    "::" in function.name and not function.owner or
                    (function.name, function.parameters) in declared.get(source.folder(), ())):
                continue
            if function.parameters > PARAMETERS:
                name = f"{function.owner}::{function.name}" if function.owner else function.name
                times[name] = times.get(name, 0) + 1
                again = f" ({times[name]})" if times[name] > 1 else ""
                note(f"{source.path}: parameters of {name}{again}", function.parameters, PARAMETERS)
        for owner, count in private.items():
            note(f"{source.path}: private functions of {owner}", count, PRIVATE_FUNCTIONS)
    return sizes


def recorded(tree):
    sizes = {}
    if RECORD in tree.known:
        for line in tree.read(RECORD).splitlines():
            if line.strip() and not line.startswith("#"):
                size, what = line.split(maxsplit=1)
                sizes[what] = int(size)
    return sizes


def limit_of(what):
    for kind, limit in ((r": files$", FOLDER_FILES), (r": lines$", FILE_LINES),
                        (r": lines of ", FUNCTION_LINES), (r": parameters of ", PARAMETERS)):
        if re.search(kind, what):
            return limit
    return PRIVATE_FUNCTIONS


def only_shrink(tree):
    known = recorded(tree)
    found = measured(tree)
    for what, size in sorted(found.items()):
        if what not in known:
            yield f"{what}: {size}, the limit is {limit_of(what)}: split it"
        elif size > known[what]:
            yield f"{what}: {size}, was {known[what]}: large ones only shrink"
        elif size < known[what]:
            yield f"{what}: shrank from {known[what]} to {size}: tests/style/run --record"
    for what in sorted(set(known) - set(found)):
        yield f"{what}: no longer too large: tests/style/run --record"


def record(tree):
    """The text of sizes.txt for today's sizes, and what cannot be recorded."""
    known = recorded(tree)
    lines, refused = [], []
    for what, size in sorted(measured(tree).items()):
        if ": parameters of " in what and size > max(PARAMETERS_MOST, known.get(what, 0)):
            refused.append(f"{what}: {size}, more than {PARAMETERS_MOST} are not recorded")
        else:
            lines.append(f"{size} {what}\n")
    return HEADING + "".join(lines), refused
