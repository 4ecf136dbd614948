"""Each source file has a unit test of its name, or names the tests that cover it."""

import os

from . import declarations

RECORD = "tests/style/untested.txt"


def sources_with_code(tree):
    """Every .cc, and each header without one that defines a function of more than a line."""
    for source in tree.of_src():
        if not source.is_header():
            yield source.path
        elif source.path[:-2] + ".cc" not in tree.known and any(
                function.lines > 1 for function in declarations.functions(source)
                if not function.declared_only):
            yield source.path


def test_of(tree, path):
    """The unit or property test that mirrors a file of src, or None."""
    inside = os.path.splitext(path)[0].removeprefix("src/")
    for kind in ("unit", "property"):
        if (test := f"tests/{kind}/{inside}_test.cc") in tree.known:
            return test
    return None


def recorded(tree):
    """{source: [tests]}; a source without any has a reason in the place of tests."""
    found = {}
    for line in tree.read(RECORD).splitlines() if RECORD in tree.known else ():
        if line.strip() and not line.startswith("#"):
            path, _, rest = line.partition(": ")
            found[path] = rest
    return found


def every_source_is_tested(tree):
    known = recorded(tree)
    sources = list(sources_with_code(tree))
    for path in sources:
        if test_of(tree, path) is None and path not in known:
            yield f"{path}: no {os.path.splitext(path)[0].replace('src', 'tests/unit', 1)}_test.cc"
    for path, rest in sorted(known.items()):
        if path not in sources:
            yield f"{RECORD}: {path}: there is no such source with code"
        elif (test := test_of(tree, path)) is not None:
            yield f"{RECORD}: {path} has {test}: take it out"
        if not rest.startswith("("):
            for test in rest.split():
                if test not in tree.known:
                    yield f"{RECORD}: {path}: there is no {test}"
        if not rest:
            yield f"{RECORD}: {path}: which tests cover it?"
