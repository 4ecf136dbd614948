"""Where two packages differ: a line for each part of them, down to the file."""

import pathlib
import subprocess
import tempfile


def _unpacked(package, folder):
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(folder)], check=True)
    listing = subprocess.run(["dpkg-deb", "--contents", str(package)], check=True, text=True,
                             capture_output=True).stdout.splitlines()
    # Mode, owner, day and time of each name.
    facts = {words[5]: (*words[:2], *words[3:5]) for words in map(str.split, listing)}
    return facts, [line.split()[5] for line in listing]


def _members(package):
    return subprocess.run(["ar", "tv", package], check=True, text=True,
                          capture_output=True).stdout.splitlines()


def between(first, second):
    if first.read_bytes() == second.read_bytes():
        return []
    found = [f"member: {one} and {other}"
             for one, other in zip(_members(first), _members(second)) if one != other]
    with tempfile.TemporaryDirectory() as folder:
        trees = [pathlib.Path(folder) / side for side in ("a", "b")]
        (facts_a, order_a), (facts_b, order_b) = map(_unpacked, (first, second), trees)
        for name in sorted(facts_a.keys() ^ facts_b.keys()):
            found.append(f"{name}: only in {(first if name in facts_a else second).parent}")
        for name in sorted(facts_a.keys() & facts_b.keys()):
            if facts_a[name] != facts_b[name]:
                found.append(f"{name}: {' '.join(facts_a[name])} and {' '.join(facts_b[name])}")
        if order_a != order_b and sorted(order_a) == sorted(order_b):
            found.append("the order of the files")
        found += _contents(*trees)
    return found or ["how the members are compressed"]


def _contents(first, second):
    for path in sorted(first.rglob("*")):
        twin = second / path.relative_to(first)
        if not path.is_file() or path.is_symlink() or not twin.is_file():
            continue
        one, other = path.read_bytes(), twin.read_bytes()
        if one == other:
            continue
        at = next((at for at, pair in enumerate(zip(one, other)) if pair[0] != pair[1]),
                  min(len(one), len(other)))
        yield (f"{path.relative_to(first)}: {len(one)} and {len(other)} bytes, apart from byte {at} "
               f"on: {one[at:at + 16]!r} and {other[at:at + 16]!r}")
