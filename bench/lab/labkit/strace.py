"""System calls of running processes, counted by strace.

Tracing slows a process by much, so runs under it are runs of their own: their counts are used,
their times are not. A slower engine finds more waiting for it at each turn, so that a count per
MB is rather too low than too high.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile

from . import processes

# Names last, because they are what the rest of a line is.
SUMMARY = re.compile(r"^\s*(?P<calls>\d+)\s+(?P<errors>\d+\s+)?(?P<seconds>\d+\.\d+)\s+"
                     r"(?P<name>\w+)$")


def parse_summary(text):
    """[{"name", "calls", "errors", "seconds"}] of strace -c, the most calls first."""
    found = []
    for line in text.splitlines():
        match = SUMMARY.match(line)
        if match and match["name"] != "total":
            found.append({"name": match["name"], "calls": int(match["calls"]),
                          "errors": int(match["errors"] or 0),
                          "seconds": float(match["seconds"])})
    return sorted(found, key=lambda row: -row["calls"])


def _traced(pids):
    """Whether every thread of the processes has a tracer."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError):
                with open(f"/proc/{pid}/task/{task}/status", encoding="ascii",
                          errors="replace") as file:
                    if "TracerPid:\t0\n" in file.read():
                        return False
    return True


class SystemCalls:
    """strace -c of some processes while a `with` block runs; afterwards, `rows`.

    What the processes fork while it runs counts too.
    """

    def __init__(self, pids):
        self._pids = pids
        self.rows = None

    def __enter__(self):
        self._file = tempfile.NamedTemporaryFile("w+", prefix="sluice-strace-")
        self._log = tempfile.TemporaryFile("w+")
        self._strace = subprocess.Popen(
            ["strace", "-c", "-f", "-q", "-U", "calls,errors,time-total,name",
             "-o", self._file.name, "-p", ",".join(map(str, self._pids))],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True)
        try:
            processes.wait_until(self._attached, 10, "strace does not attach to all threads")
        except processes.LabError:
            self._strace.kill()
            raise
        return self

    def _attached(self):
        if self._strace.poll() is not None:
            self._log.seek(0)
            raise processes.LabError(f"strace failed: {self._log.read().strip()[-400:]}")
        return _traced(self._pids)

    def __exit__(self, kind, *_):
        self._strace.send_signal(signal.SIGINT)
        self._strace.wait(20)
        if kind is None:
            self._file.seek(0)
            self.rows = parse_summary(self._file.read())
        self._file.close()
        self._log.close()
        if kind is None and not self.rows:
            raise processes.LabError(f"strace counted nothing of process {self._pids[0]}")

    def counts(self):
        """{system call: how often}"""
        return {row["name"]: row["calls"] for row in self.rows}
