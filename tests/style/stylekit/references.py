"""What a text names is there: documents, paths, headings."""

import fnmatch
import functools
import os
import re

# Links of Markdown, to files beside the document.
LINK = re.compile(r"\]\(([^()\s]+)\)")
# The folders of the root, and those of src, which texts name without "src/".
ROOTS = ("src", "tests", "bench", "docs", "examples", "man", "packaging", "cmake", "completions",
         ".ci", ".githooks")
PIECE = r"[\w.*{},+-]"
DOCUMENT = re.compile(r"(?<![\w/.*-])(?:\w[\w.-]*/)*[\w-]+\.md\b")
# Names that look like files of ours, and are the system's, made by a program, or an example.
ELSEWHERE = ("build/", "sys/", "linux/", "net/", "asm/", "sdt.h", "new.md", "whole.md", "util.h",
             "flow_key.h")
FILE_NAME = re.compile(r"(?<![\w/.*<$}-])(\w+\.(?:h|cc|py|cmake))\b(?!\()")


def braces(path):
    """a.{h,cc} is a.h and a.cc; a-{}.1 is whatever a program puts in there."""
    path = path.replace("{}", "*")
    match = re.search(r"\{([^{}]*)\}", path)
    if not match:
        return [path]
    return [name for part in match.group(1).split(",")
            for name in braces(path[:match.start()] + part + path[match.end():])]


class Index:
    """Which paths there are, from wherever a text may count."""

    def __init__(self, tree):
        self.known = tree.known
        self.names = {os.path.basename(path) for path in tree.known}
        self.rooms = sorted({source.room() for source in tree.of_src() if source.room()})

    @functools.lru_cache(maxsize=None)
    def has(self, path):
        path = os.path.normpath(path)
        if "*" in path:
            return any(fnmatch.fnmatchcase(known, path) or fnmatch.fnmatchcase(known, path + ".*")
                       for known in self.known)
        return path in self.known or any(path + end in self.known for end in (".h", ".cc", ".py"))

    def named_from(self, path, where):
        """A path as texts name it: from the root, from src, from tests or bench, or beside them."""
        starts = ["", "src", "tests", "bench", "docs", "tests/unit", where, os.path.dirname(where)]
        return all(any(self.has(os.path.join(start, name)) for start in starts)
                   for name in braces(path))


def headings(text):
    """The anchors of a document's headings, as forges make them."""
    found = set()
    for line in re.findall(r"(?m)^#+ +(.*)$", text):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", line).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def links(tree):
    """Links of documents lead to files that are there, and to headings that are in them."""
    for path, text in tree.texts():
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                other = path
                if name:
                    other = os.path.normpath(os.path.join(os.path.dirname(path), name))
                if other not in tree.known:
                    yield f"{path}:{number}: {target}: there is no {other}"
                elif anchor and other.endswith(".md") and anchor not in headings(tree.read(other)):
                    yield f"{path}:{number}: {other} has no heading {anchor}"


def prose(tree):
    """(path, text in which only prose is left): documents, comments, and scripts as they are."""
    sources = {source.path: source for source in tree.sources}
    for path, text in tree.texts():
        if path in sources:
            yield path, sources[path].comments()
        elif path.endswith(".md"):
            # A command's output and a file that it writes are no names of ours.
            yield path, re.sub(r"(?ms)^```console$.*?^```$",
                               lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
        elif path.startswith("tests/style/"):
            continue  # Its own examples are planted.
        else:
            yield path, text


def named_paths(tree):
    """Paths and documents that any text names."""
    index = Index(tree)
    rooted = re.compile(
        rf"(?<![\w/.$}}*<-])((?:{'|'.join(map(re.escape, ROOTS))})/(?:{PIECE}+/)*{PIECE}*\w[*}}]*)")
    of_src = re.compile(
        rf"(?<![\w/.$}}*<-])((?:{'|'.join(index.rooms)})/(?:{PIECE}+/)*{PIECE}*\w[*}}]*)")
    for path, text in prose(tree):
        where = os.path.dirname(path)
        is_prose = path.endswith((".md", ".h", ".cc"))
        for number, line in enumerate(text.splitlines(), 1):
            named = {match.group(0) for match in DOCUMENT.finditer(line)}
            if not path.endswith((".sh", ".txt", ".toml", ".conf")):
                named |= {match.group(1) for match in rooted.finditer(line)}
            if is_prose:
                named |= {match.group(1) for match in of_src.finditer(line)}
                named |= {match.group(1) for match in FILE_NAME.finditer(line)
                          if match.group(1) not in index.names}
            for name in sorted(named):
                if name.count("{") != name.count("}") or name.startswith(ELSEWHERE):
                    continue
                if not index.named_from(name, where):
                    yield f"{path}:{number}: {name}: there is no such file"
