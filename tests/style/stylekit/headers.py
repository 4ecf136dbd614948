"""Headers: what they open with, who includes them, and that each stands alone."""

import concurrent.futures
import os
import re
import subprocess


def opening_comment(tree):
    for source in tree.of_src():
        if source.is_header() and not source.text.startswith("//"):
            yield f"{source.path}: opens without a comment that says what it is for"


def own_header_first(tree):
    """So that compiling x.cc shows that x.h needs nothing before it."""
    for source in tree.of_src():
        own = source.path[:-3] + ".h"
        if source.is_header() or own not in tree.known:
            continue
        first = re.search(r"(?m)^#include\s+(\S+)", source.code)
        if first is None or first.group(1) != f'"{own[4:]}"':
            yield f'{source.path}: #include "{own[4:]}" must come first'


def no_dead_header(tree):
    """Another file than its own .cc includes it: of src, of the tests or of the benchmarks."""
    users = {}
    for source in tree.sources:
        for path, _ in source.includes():
            # As the compiler looks: beside the file, then in src, tests and bench.
            for folder in (os.path.dirname(source.path), "src", "tests", "bench", "bench/lab"):
                header = os.path.normpath(os.path.join(folder, path))
                if header in tree.known:
                    users.setdefault(header, set()).add(source.path)
                    break
    for source in tree.sources:
        if source.is_header() and not users.get(source.path, set()) - {source.path[:-2] + ".cc"}:
            yield f"{source.path}: nobody includes it"


def stand_alone(tree, compiler):
    """Headers without a .cc of their own are compiled alone."""
    alone = [source.path for source in tree.of_src()
             if source.is_header() and source.path[:-2] + ".cc" not in tree.known]

    def compile_alone(path):
        # Through the standard input, or #pragma once in a main file would warn.
        return path, subprocess.run(
            [compiler, "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
             "-DSLUICE_VERSION=\"0\"", "-iquote", os.path.join(tree.root, "src"),
             "-x", "c++", "-"],
            input=f'#include "{path[4:]}"\n', capture_output=True, text=True, check=False)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in pool.map(compile_alone, alone):
            if result.returncode != 0:
                yield f"{path} does not compile alone:\n{result.stderr.strip()}"
