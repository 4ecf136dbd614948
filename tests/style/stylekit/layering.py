"""Who may include whom, in the sources and in CMake's link lists; what the core must not touch."""

import re

SANS_IO_HEADERS = re.compile(
    r"#include <(sys/|linux/|net/|netinet/|asm/|unistd\.h|fcntl\.h|poll\.h|sched\.h|pthread|"
    r"time\.h|ctime|random|thread|mutex|condition_variable|future|fstream|iostream|filesystem|"
    r"cstdio|stdio\.h)[^\n]*")
SANS_IO_CALLS = re.compile(
    r"(_clock::now\b|\bclock_gettime\b|\bgettimeofday\b|\bgetrandom\b|\brandom_device\b|"
    r"\b(?:std::)?rand\s*\(|\bgetenv\b|(?<![:\w])::(?:read|write|open|close|socket|send|recv)\()")


def folder_of(path):
    return path.rpartition("/")[0]


def allowed(rooms, folder, other):
    """Whether the rule lets `folder` include from `other`. A room's name stands for its wings, too,
    but within the room for its root only."""
    if folder == other:
        return True
    row = rooms.MAY_INCLUDE[folder]
    room = other.split("/")[0]
    return other in row or room != folder.split("/")[0] and room in row


def include_rule(tree, rooms):
    for source in tree.of_src():
        folder = source.folder()
        if not folder:
            continue
        if folder not in rooms.MAY_INCLUDE:
            yield f"{source.path}: the include rule does not know src/{folder}"
            continue
        for path, line in source.includes():
            other = folder_of(path)
            if other and not allowed(rooms, folder, other):
                yield f"{source.path}:{line}: {folder} must not include {other}"
    folders = {source.folder() for source in tree.of_src()}
    for folder in sorted(set(rooms.MAY_INCLUDE) - folders):
        yield f"the include rule names src/{folder}, which has no source"


def rule_has_no_circle(tree, rooms):
    """A folder is reached from itself by no way, wings included."""
    del tree
    reached = {}

    def visit(folder, way):
        if folder in way:
            circle = way[way.index(folder):] + [folder]
            yield f"the include rule goes in a circle: {' → '.join(circle)}"
            return
        if folder in reached:
            return
        for other in sorted(rooms.MAY_INCLUDE):
            if other != folder and allowed(rooms, folder, other):
                yield from visit(other, way + [folder])
        reached[folder] = True

    for folder in sorted(rooms.MAY_INCLUDE):
        yield from visit(folder, [])


def document_has_the_rule(tree, rooms):
    """The table of ARCHITECTURE.md says for each room what all its wings may include together."""
    where = "ARCHITECTURE.md"
    told = {}
    for line in tree.read(where).splitlines():
        match = re.match(r"\| `(?:src/)?(\w+)` \|.*\| ([^|]*) \|$", line)
        if match:
            told.setdefault(match.group(1), match.group(2))
    rule = {}
    for folder, row in rooms.MAY_INCLUDE.items():
        room = folder.split("/")[0]
        rule.setdefault(room, set()).update({other.split("/")[0] for other in row} - {room})
    for room, others in sorted(rule.items()):
        if room not in told:
            yield f"{where}: the table of folders has no {room}"
        elif told[room] != "all above":
            named = set(re.findall(r"\w+", told[room]))
            differ = ", ".join(sorted(named ^ others))
            if differ:
                yield f"{where}: {room}: {differ}: not as in the include rule"


def doors(tree, rooms):
    """What others include of a room are its doors, and each of them is there and used."""
    used = {room: set() for room in rooms.DOORS}
    for source in tree.of_src():
        for path, line in source.includes():
            room, _, header = path.partition("/")
            if room not in rooms.DOORS or source.room() == room:
                continue
            used[room].add(header)
            if header not in rooms.DOORS[room]:
                yield f"{source.path}:{line}: {path} is no door of {room}"
    for room, headers in sorted(rooms.DOORS.items()):
        for header in sorted(headers):
            if f"src/{room}/{header}" not in tree.known:
                yield f"{room}/{header}: named as a door, but there is no such header"
            elif header not in used[room]:
                yield f"{room}/{header}: named as a door, but nobody outside includes it"


def link_lists(text):
    """{room: [rooms it links]} of src/CMakeLists.txt."""
    found = {}
    for match in re.finditer(r"(?m)^sluice_library\((\w+)([^)]*)\)", text):
        found[match.group(1)] = re.findall(r"\bsluice_(\w+)", match.group(2))
    return found


def link_lists_follow_the_rule(tree, rooms):
    where = "src/CMakeLists.txt"
    linked = link_lists(tree.read(where))

    def reach(room, seen):
        for other in linked.get(room, ()):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen

    included = {}
    for source in tree.of_src():
        if source.room():
            others = {path.split("/")[0] for path, _ in source.includes() if "/" in path}
            included.setdefault(source.room(), set()).update(others - {source.room()})
    for room in sorted(set(included) - set(linked)):
        yield f"{where}: src/{room} has no library"
    for room in sorted(set(linked) - set(included)):
        yield f"{where}: sluice_{room} has no folder with sources"
    for room, others in sorted(linked.items()):
        may = {folder.split("/")[0] for name, row in rooms.MAY_INCLUDE.items()
               if name.split("/")[0] == room for folder in row}
        for other in others:
            if other not in may:
                yield f"{where}: {room} links {other}, which the include rule forbids"
        for other in sorted(included.get(room, set()) - reach(room, set())):
            yield f"{where}: {room} includes {other} and does not link it"


def core_makes_no_system_call(tree, rooms):
    for source in tree.of_src():
        if source.room() not in rooms.SANS_IO:
            continue
        for pattern in (SANS_IO_HEADERS, SANS_IO_CALLS):
            for match in pattern.finditer(source.code):
                yield (f"{source.path}:{source.line_of(match.start())}: {match.group(0).strip()}: "
                       "no system call, clock or randomness here")


def no_shared_ownership(tree, rooms):
    for source in tree.of_src():
        if source.room() not in rooms.NO_SHARED_OWNERSHIP:
            continue
        for match in re.finditer(r"\b(?:shared_ptr|make_shared|weak_ptr)\b", source.code):
            yield (f"{source.path}:{source.line_of(match.start())}: no shared ownership on the "
                   "data path")
