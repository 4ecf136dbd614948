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

    def per(self, operations):
        """exits_per_op and told_per_op; nothing where KVM counts for no machine of ours."""
        if not self._machines or not operations:
            return {}
        now = self._read()
        return {f"{key}_per_op": (now[key] - self._before[key]) / operations for key in now}

    def _read(self):
        return {key: sum(_number(f"{path}/{name}") for path in self._machines for name in names)
                for key, names in COUNTERS.items()}


def _number(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())
