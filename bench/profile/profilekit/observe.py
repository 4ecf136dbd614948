"""Looking at running processes from outside: samples of their stacks, counts of their calls."""

import os
import signal
import subprocess
import tempfile

from labkit import processes

from . import stacks

FREQUENCY = 997  # A prime, so that it beats with no timer.
# Enough of the stack to unwind through sluice's deepest frames.
STACK_BYTES = 16384
UNWINDERS = {"dwarf": f"dwarf,{STACK_BYTES}", "fp": "fp"}


def targets(pids):
    return ",".join(map(str, pids))


class Samples:
    """perf record of some processes while a `with` block runs; afterwards, `stacks`."""

    def __init__(self, pids, unwinder):
        self._pids = pids
        self._unwinder = unwinder
        self.stacks = None

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-perf-")
        self._data = os.path.join(self._folder.name, "perf.data")
        # perf starts disabled and says over a pipe when it has begun: nothing is missed.
        control, self._control = os.pipe()
        self._acknowledged, acknowledge = os.pipe()
        self._log = tempfile.TemporaryFile("w+")
        self._perf = subprocess.Popen(
            # There are no hardware counters in many virtual machines: the clock serves all.
            ["perf", "record", "-e", "cpu-clock", "-F", str(FREQUENCY), "-D", "-1",
             "--call-graph", UNWINDERS[self._unwinder], "--control",
             f"fd:{control},{acknowledge}", "-o", self._data, "-p", targets(self._pids)],
            pass_fds=(control, acknowledge), stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, start_new_session=True)
        os.close(control)
        os.close(acknowledge)
        self._order(b"enable\n")
        return self

    def _order(self, word):
        os.write(self._control, word)
        if not os.read(self._acknowledged, 16):
            self._perf.wait()
            raise processes.LabError(f"perf record failed: {self._said()}")

    def _said(self):
        self._log.seek(0)
        return self._log.read().strip()[-400:]

    def __exit__(self, kind, *_):
        if kind is None:
            self._order(b"disable\n")
        self._perf.send_signal(signal.SIGINT)
        self._perf.wait(60)
        if kind is None:
            self.stacks = self._read()
        os.close(self._control)
        os.close(self._acknowledged)
        self._folder.cleanup()

    def _read(self):
        if not os.path.exists(self._data):
            raise processes.LabError(f"perf record wrote nothing: {self._said()}")
        # In a PID namespace of its own, perf cannot look for an engine's libraries in the empty
        # root that the engine sandboxed itself into, and takes ours. Without --no-inline each
        # frame would take a debugger's time.
        command = ["unshare", "--pid", "--fork", "--mount-proc",
                   "perf", "script", "-i", self._data, "--no-inline", "-F", "comm,tid,ip,sym,dso"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, errors="replace") as perf:
            return stacks.parse(perf.stdout)
