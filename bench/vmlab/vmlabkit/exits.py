"""How often a machine of KVM left its guest, by KVM's own counters (debugfs).

`exits` are all; `told` those that came to the monitor: accesses to registers (mmio_exits) and ports
(io_exits). A file `exits` is the sum of the processors of one machine.
"""

import glob

from labkit import processes

FOLDER = "/sys/kernel/debug/kvm"
COUNTERS = {"exits": ("exits",), "told": ("mmio_exits", "io_exits")}


class Exits:
    """Of the machines of a process and those below it, from here on; none where it is None."""

    def __init__(self, pid, folder=FOLDER):
        pids = processes.descendants(pid) if pid else []
        self._machines = [path for each in pids for path in glob.glob(f"{folder}/{each}-*")]
        self._before = self._read()

    def counts(self):
        """Whether KVM counts for a machine of ours."""
        return bool(self._machines)

    def taken(self):
        """So far, by the names of COUNTERS."""
        return {key: now - self._before[key] for key, now in self._read().items()}

    def per(self, operations, without=None):
        """exits_per_op and told_per_op, of what is beyond `without`; nothing where none counts."""
        if not self.counts() or not operations:
            return {}
        without = without or {}
        return {f"{key}_per_op": (taken - without.get(key, 0)) / operations
                for key, taken in self.taken().items()}

    def _read(self):
        return {key: sum(_number(f"{path}/{name}") for path in self._machines for name in names)
                for key, names in COUNTERS.items()}


def _number(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())
