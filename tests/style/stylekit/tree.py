"""What is checked: the files of a checkout, and C++ without comments and literals."""

import os
import re

# Not ours to word, or not text: build products, kept runs, inputs of fuzz targets.
NOT_READ = ("build", ".git", ".cache", "__pycache__", "bench/results", "docs/plots",
            "tests/fuzz/corpus")
NO_TEXT = (".svg", ".png", ".pcap", ".json", ".pyc")


class Source:
    """A C++ file, its path from the root, and its text without comments and literals."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.splitlines()
        self.code = strip(text)

    def folder(self):
        """"flow", or "flow/tcp" where folders of src have wings; "" outside of src."""
        parts = self.path.split("/")
        return "/".join(parts[1:-1]) if parts[0] == "src" else ""

    def room(self):
        return self.folder().split("/")[0]

    def is_header(self):
        return self.path.endswith(".h")

    def line_of(self, position):
        return self.code.count("\n", 0, position) + 1

    def includes(self):
        """(path, line) of each quoted #include."""
        for match in re.finditer(r'(?m)^#include "([^"]+)"', self.code):
            yield match.group(1), self.line_of(match.start())

    def comments(self):
        """The text with everything blank but comments; lines and columns stay."""
        return "".join(char if char == "\n" or bare == " " else " "
                       for char, bare in zip(self.text, self.code))


class Tree:
    """All files below `root`."""

    def __init__(self, root):
        self.root = root
        self.paths = []
        for where, names, files in os.walk(root):
            inside = os.path.relpath(where, root)
            names[:] = sorted(
                name for name in names if name not in ("__pycache__", ".git")
                and os.path.normpath(os.path.join(inside, name)) not in ("build", ".cache"))
            self.paths += [os.path.normpath(os.path.join(inside, name)) for name in sorted(files)]
        self.known = set(self.paths)
        for path in self.paths:
            while (path := os.path.dirname(path)):
                self.known.add(path)
        self.sources = [Source(path, self.read(path)) for path in self.paths
                        if re.match(r"(src|tests|bench)/.*\.(h|cc)$", path)]

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def texts(self):
        """(path, text) of all that people read and write, C++ included."""
        for path in self.paths:
            if path.startswith(NOT_READ) or path.endswith(NO_TEXT):
                continue
            try:
                yield path, self.read(path)
            except UnicodeDecodeError:
                continue

    def of_src(self):
        return [source for source in self.sources if source.path.startswith("src/")]


def strip(text):
    """Comments and literals become spaces, so that line numbers and columns stay."""
    pattern = re.compile(
        r"//[^\n]*|/\*.*?\*/|R\"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)\"|"
        r"\"(?:\\.|[^\"\\\n])*\"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.DOTALL)

    def blank(match):
        word = match.group(0)
        # The name in an #include is needed.
        start = text.rfind("\n", 0, match.start()) + 1
        if text.startswith("#include", start) and not word.startswith("//"):
            return word
        return re.sub(r"[^\n]", " ", word)

    return pattern.sub(blank, text)
