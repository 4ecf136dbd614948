"""Documents of attacks name tests that are there, and leave no attack out."""

import os
import re

DOCUMENTS = {"docs/attacks.md": 52, "docs/box_attacks.md": 27}
WORD = re.compile(r"`([^`]+)`")


def is_defined(text, path, name):
    if path.endswith(".py"):
        return re.search(rf"(?m)^def {re.escape(name)}\(", text) is not None
    suite, _, case = name.partition(".")
    return re.search(rf"(?m)^TEST(_F|_P)?\({re.escape(suite)},\s*{re.escape(case)}\)", text) is not None


def of_row(tree, cell):
    """What is wrong with the tests of a row: words between backticks are files, and then their tests."""
    path = None
    for word in WORD.findall(cell):
        if "/" in word:
            path = os.path.join("tests", word)
            if path not in tree.known:
                yield f"there is no {path}"
                path = None
        elif path is not None and not is_defined(tree.read(path), path, word):
            yield f"{path} has no test {word}"


def name_their_tests(tree):
    for document, count in DOCUMENTS.items():
        if document in tree.known:
            yield from of_document(tree, document, count)


def of_document(tree, document, count):
    found = []
    for number, line in enumerate(tree.read(document).splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or not re.fullmatch(r"\d+|\+", cells[0]):
            continue
        if cells[0] != "+":
            found.append(int(cells[0]))
        if len(cells) != 4 or not (WORD.search(cells[3]) or "](" in cells[2]):
            yield f"{document}:{number}: attack {cells[0]} has neither a test nor a document"
            continue
        for what in of_row(tree, cells[3]):
            yield f"{document}:{number}: {what}"
    for missing in sorted(set(range(1, count + 1)) - set(found)):
        yield f"{document}: attack {missing} is missing"
