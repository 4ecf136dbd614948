"""What a workload cost: processor time, context switches, memory and dropped packets.

A Meter is made before a workload and asked after it. The time comes from the scheduler, in
nanoseconds; how it splits into user and system comes from ticks of 10 ms, and is left out where
the workload was shorter than a few of them.
"""

import dataclasses
import json
import resource

from . import processes

FEWEST_TICKS = 5


@dataclasses.dataclass(frozen=True)
class Snapshot:
    user: float  # Seconds, in ticks.
    system: float
    total: float  # Seconds, from the scheduler.
    voluntary: int
    involuntary: int


def snapshot(pid):
    user, system = processes.cpu_seconds(pid)
    voluntary, involuntary = processes.context_switches(pid)
    return Snapshot(user, system, processes.run_seconds(pid), voluntary, involuntary)


def link_drops(network, namespaces):
    """Packets that the interfaces of these namespaces dropped, in either direction."""
    dropped = 0
    for name in namespaces:
        for link in json.loads(network.ip(name, "-s -j link show")):
            counters = link.get("stats64", {})
            dropped += sum(counters.get(way, {}).get("dropped", 0) for way in ("rx", "tx"))
    return dropped


def guest_drops(pid):
    """The same of the namespace that a process is in."""
    dropped = 0
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
        for line in file.readlines()[2:]:
            fields = line.partition(":")[2].split()
            dropped += int(fields[3]) + int(fields[11])
    return dropped


class Meter:
    def __init__(self, bench, place):
        self._bench = bench
        self._place = place
        self._dropped = self._drops()
        self._told = self._told_drops()
        self._before = snapshot(place.pid) if place.pid else None

    def per_gb(self, count):
        """The cost of that many bytes."""
        return self._cost("_per_gb", count / 1e9, 1.0)

    def per_op(self, count):
        """The cost of that many operations; processor time in µs."""
        return self._cost("_us_per_op", count, 1e6)

    def _cost(self, suffix, units, scale):
        found = {}
        if self._before and units:
            after = snapshot(self._place.pid)
            user, system = after.user - self._before.user, after.system - self._before.system
            ticks = user + system
            total = max(after.total - self._before.total, 0.0)
            found["cpu" + suffix] = total / units * scale
            if ticks * processes.CLOCK_TICKS >= FEWEST_TICKS:
                found["cpu_user" + suffix] = total * user / ticks / units * scale
                found["cpu_system" + suffix] = total * system / ticks / units * scale
            voluntary = after.voluntary - self._before.voluntary
            involuntary = after.involuntary - self._before.involuntary
            unit = suffix.rpartition("_per_")[2]
            found |= {"voluntary_switches": voluntary, "involuntary_switches": involuntary,
                      f"switches_per_{unit}": (voluntary + involuntary) / units}
            memory = processes.memory_kib(self._place.pid)
            found |= {"rss_kib": memory["rss"], "pss_kib": memory["pss"]}
        found["drops"] = self._drops() - self._dropped
        return found | self._newly_told()

    def _drops(self):
        network = self._bench.network
        dropped = link_drops(network, (network.hst, network.srv))
        if self._place.guest_pid:
            return dropped + guest_drops(self._place.guest_pid)
        return dropped + link_drops(network, (network.cli,))

    def _told_drops(self):
        if not self._place.pid:
            return None
        return self._bench.engine(self._place.name).drops(self._place)

    def _newly_told(self):
        after = self._told_drops()
        if after is None:
            return {}
        reasons = {reason: count - self._told.get(reason, 0) for reason, count in after.items()
                   if count != self._told.get(reason, 0)}
        return {"engine_drops": sum(reasons.values()), "engine_drop_reasons": reasons}


def raise_descriptor_limit(wanted):
    """For the engines that are started after it: each of many connections is a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
