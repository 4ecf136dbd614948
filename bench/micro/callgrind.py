"""Instructions and allocations of one operation of each micro-benchmark.

micro_bench runs under callgrind and writes one dump a benchmark, labelled
"name|operations|allocations". The counts do not depend on the load of the machine: the same
program gives the same numbers.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEFAULT_BINARY = os.path.join(ROOT, "build/release/bench/micro_bench")

LABEL = re.compile(r"^desc: Trigger: Client Request: (?P<name>[^|\n]+)\|(?P<operations>\d+)"
                   r"\|(?P<allocations>\d+)$", re.MULTILINE)
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class MeasureError(Exception):
    """Why there are no counts, and how to mend it."""


class FilterError(MeasureError):
    """The pattern is wrong, or no benchmark has such a name."""


def names(binary, pattern=None):
    """The names that micro_bench --list prints."""
    if not os.access(binary, os.X_OK):
        raise MeasureError(f"{binary}: no such program: ninja -C build/release micro_bench")
    command = [os.path.realpath(binary), "--list"] + filter_arguments(pattern)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise FilterError(done.stderr.splitlines()[0].removeprefix("micro_bench: "))
    if done.returncode != 0:
        raise MeasureError(f"{binary} --list failed ({done.returncode}):\n{done.stderr.strip()}")
    return done.stdout.splitlines()


def filter_arguments(pattern):
    return [] if pattern is None else ["--filter", pattern]


def measure(binary, pattern=None, timeout=600):
    """{name: {"instructions": float, "allocations": float}} of one operation, in the order of
    micro_bench --list. `pattern` is a regular expression: only names that have a match."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise MeasureError("valgrind is missing: apt-get install valgrind")
    wanted = names(binary, pattern)
    with tempfile.TemporaryDirectory(prefix="sluice-callgrind-") as folder:
        command = [valgrind, "--tool=callgrind", "--quiet", "--collect-atstart=no",
                   "--instr-atstart=no", "--callgrind-out-file=out.%p",
                   os.path.realpath(binary), "--instructions"] + filter_arguments(pattern)
        try:
            # Nothing of the environment may tune the C library.
            done = subprocess.run(command, cwd=folder, env={"PATH": "/usr/bin:/bin"},
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise MeasureError(f"{binary} did not end under callgrind within {timeout} s; "
                               "choose fewer benchmarks by --filter") from error
        if done.returncode != 0:
            text = (done.stderr + done.stdout).strip()
            raise MeasureError(f"{binary} failed under callgrind ({done.returncode}):\n{text}")
        found = read_dumps(folder)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise MeasureError(f"callgrind wrote no dump of {', '.join(missing)}")
    return {name: found[name] for name in wanted}


def read_dumps(folder):
    """The counts of every dump in the folder that a benchmark labelled."""
    found = {}
    for path in glob.glob(os.path.join(folder, "out.*")):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        label = LABEL.search(text)
        if label is None:
            continue  # What callgrind writes when a process ends.
        total = TOTAL.search(text)
        if total is None:
            raise MeasureError(f"callgrind wrote no total for {label['name']}")
        operations = int(label["operations"])
        found[label["name"]] = {"instructions": int(total[1]) / operations,
                                "allocations": int(label["allocations"]) / operations}
    return found
