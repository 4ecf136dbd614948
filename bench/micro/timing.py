"""Timings of two builds, taken in turns.

Every sample is a process of its own, so that each one draws its own memory layout, and the two
builds run one benchmark directly after each other: what a neighbour on the machine takes for some
seconds, it then takes from both. The order within a pair alternates (A B, B A, A B, ...), and each
round visits the benchmarks in another order.
"""

import dataclasses
import json
import os
import random
import re
import subprocess

from .builds import Unusable

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
# The suffixes by which Google Benchmark tells that processor time is not the figure.
WALL_CLOCK = re.compile(r"/(real_time|manual_time)(/|$)")


@dataclasses.dataclass
class Samples:
    """Nanoseconds per operation of one benchmark, one value a process."""

    base: list = dataclasses.field(default_factory=list)
    new: list = dataclasses.field(default_factory=list)


def run(binary, words, timeout=300):
    try:
        return subprocess.run([os.path.abspath(binary), *words], capture_output=True, text=True,
                              timeout=timeout, check=False)
    except OSError as error:
        raise Unusable(f"cannot run {binary}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Unusable(f"{binary} {' '.join(words)} still runs after {timeout} s") from None


def names(binary, label):
    """The benchmarks of a program, in its order."""
    done = run(binary, ["--list"], timeout=60)
    found = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0 or not found:
        raise Unusable(f"{label}: its micro_bench has no --list, so it is older than this "
                       "comparison and cannot be compared; choose a newer revision")
    return found


def exactly(wanted):
    """A regular expression for these names and no other."""
    quoted = (re.sub(r"([.\[\]()*+?{}|^$\\])", r"\\\1", name) for name in wanted)
    return f"^({'|'.join(quoted)})$"


def allocations(binary, pattern):
    """{name: {"allocations": count of one operation}}, without callgrind."""
    done = run(binary, ["--allocations", "--filter", pattern])
    try:
        return {name: {"allocations": count} for name, count in json.loads(done.stdout).items()}
    except ValueError:
        raise Unusable(f"{binary} --allocations printed no JSON (exit status {done.returncode}): "
                       f"{done.stderr.strip()[-300:]}") from None


def nanoseconds(binary, name, min_time):
    """One sample: the time of one operation."""
    done = run(binary, ["--filter", exactly([name]), "--benchmark_format=json",
                        f"--benchmark_min_time={min_time:g}"])
    try:
        found = [entry for entry in json.loads(done.stdout)["benchmarks"]
                 if entry.get("run_type", "iteration") == "iteration"]
        entry = found[0]
        if entry.get("error_occurred"):
            raise Unusable(f"{binary}: {name}: {entry.get('error_message', 'failed')}")
        figure = "real_time" if WALL_CLOCK.search(name) else "cpu_time"
        return entry[figure] * NANOSECONDS[entry["time_unit"]]
    except (ValueError, LookupError):
        said = (done.stderr or done.stdout).strip()[-300:]
        raise Unusable(f"{binary} --filter {name} gave no time (exit status {done.returncode}): "
                       f"{said}") from None


def interleaved(base, new, wanted, rounds, min_time, progress, seed=1):
    """{name: Samples} for benchmarks that both sides have."""
    samples = {name: Samples() for name in wanted}
    order = list(wanted)
    shuffle = random.Random(seed).shuffle
    for number in range(rounds):
        shuffle(order)
        for done, name in enumerate(order):
            progress(f"round {number + 1} of {rounds}, {done + 1} of {len(order)}: {name}")
            pair = [(base, samples[name].base), (new, samples[name].new)]
            for binary, values in pair if number % 2 == 0 else reversed(pair):
                values.append(nanoseconds(binary, name, min_time))
    return samples
