"""Another congestion control for one workload, in every place where a sender of it may be.

iperf3 sets its own sockets, but an engine's socket towards the server takes the default of the
namespace that it was opened in. netns.CubicDefault says where a guest's default comes from.
"""

import contextlib

from . import processes

DEFAULT = "cubic"
AVAILABLE = "/proc/sys/net/ipv4/tcp_available_congestion_control"


def available(name):
    with open(AVAILABLE, encoding="ascii") as file:
        return name in file.read().split()


@contextlib.contextmanager
def used(network, place, name):
    """`name` as the default of the lab's namespaces and of the guest, until the block ends."""
    if name == DEFAULT:
        yield
        return
    if not available(name):
        raise processes.LabError(f"the kernel has no {name}: modprobe tcp_{name}")
    try:
        _set(network, place, name)
        yield
    finally:
        _set(network, place, DEFAULT)


def _set(network, place, name):
    for namespace in (network.cli, network.hst, network.srv):
        network.sysctl(namespace, "net.ipv4.tcp_congestion_control", name)
    if place.guest_pid:
        words = f"echo {name} > /proc/sys/net/ipv4/tcp_congestion_control"
        done = place.run(["sh", "-c", words], 10)
        if done.returncode != 0:
            raise processes.LabError(f"{place.name}: the guest takes no {name}: "
                                     f"{done.stderr.strip()}")
