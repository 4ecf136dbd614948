"""The states of TCP in the code and in the tables of its document."""

import re

DOCUMENT = "docs/tcp_relay.md"
VARIANT = re.compile(r"\busing TcpState =\s*std::variant<([^>]*)>")


def section(text, title):
    """The lines under a heading, to the next one."""
    match = re.search(rf"(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text)
    return match.group(1).splitlines() if match else []


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def stand_in_the_document(tree):
    states = None
    for source in tree.of_src():
        match = VARIANT.search(source.code)
        if match:
            states = {name.strip().split("::")[-1] for name in match.group(1).split(",")}
    if states is None:
        yield "no file of src has `using TcpState =\s*std::variant<…>`"
        return
    text = tree.read(DOCUMENT)
    rows = {match.group(1) for line in section(text, "States")
            if (match := re.match(r"\| `(\w+)` \|", line))}
    table = [line for line in section(text, "States × events") if line.startswith("|")]
    columns = set(cells(table[0])[1:]) if table else set()
    for what, named in (("table of states", rows), ("table of events", columns)):
        for state in sorted(states - named):
            yield f"{DOCUMENT}: {state} is missing in the {what}"
        for state in sorted(named - states):
            yield f"{DOCUMENT}: {state} in the {what} is no state of TcpState"
    for line in table:
        if len(cells(line)) != len(cells(table[0])):
            yield f"{DOCUMENT}: not as many cells as there are states: {line}"
