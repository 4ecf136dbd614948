"""An engine by itself: how fast it starts, and what it holds when nothing moves."""

import contextlib
import json
import os
import select
import subprocess
import time

from . import processes
from .cells import ECHO

STARTS = 5
SETTLE_S = 0.3
PATIENCE_S = 25


def start_up(bench, engine):
    """One start of `true`, timed in hst by a process that does nothing else (startup.py)."""
    bench.spin(True)
    helper = os.path.join(os.path.dirname(__file__), "startup.py")
    command = bench.engine(engine).command(bench.path(engine), ["true"])
    done = bench.network.run(
        bench.network.hst, ["/usr/bin/python3", helper, str(STARTS), *command], nobody=True)
    if done.returncode != 0:
        raise processes.LabError(f"{engine} -- true: {done.stderr.strip()}")
    times = json.loads(done.stdout)
    return {"value": sorted(times)[len(times) // 2] * 1e3, "all_ms": [t * 1e3 for t in times]}


def idle_memory(bench, engine):
    with engine_alone(bench, engine) as place:
        time.sleep(SETTLE_S)
        memory = processes.memory_kib(place.pid)
    return {"value": memory["rss"] / 1024, **memory}


def held_memory(connections):
    """RSS with that many connections open, each after a byte there and back; then all proved."""

    def measure(bench, engine):
        bench.spin(False)
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(engine_alone(bench, engine))
            before = processes.memory_kib(place.pid)
            command = bench.client("idle-client", place.server(bench.family), ECHO, connections,
                                   "--ping-first")
            client = place.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
            stack.callback(bench.network.stop, client)
            expect(client, f"open {connections}", PATIENCE_S)
            time.sleep(SETTLE_S)
            memory = processes.memory_kib(place.pid)
            client.stdin.close()
            expect(client, f"alive {connections} of {connections}", PATIENCE_S)
        return {"value": memory["rss"] / 1024, "connections": connections,
                "kib_per_connection": (memory["rss"] - before["rss"]) / connections, **memory}

    return measure


@contextlib.contextmanager
def engine_alone(bench, engine):
    place = bench.fresh(engine)
    try:
        yield place
    finally:
        place.stop()


def expect(client, wanted, timeout):
    """Waits for a line of the client, which then runs on."""
    ready, _, _ = select.select([client.stdout], [], [], timeout)
    said = client.stdout.readline().decode(errors="replace").strip() if ready else "nothing"
    if said != wanted:
        raise processes.LabError(f"idle-client: expected {wanted!r} within {timeout} s, "
                                 f"it said {said!r}")
