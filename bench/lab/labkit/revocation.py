"""How long a flow outlives the rule that let it through."""

import contextlib
import json
import subprocess
import time

from . import processes
from .cells import ECHO, KEPT_ECHO
from .lifecycle import engine_alone, expect
from .names import SERVER_NAME

PATIENCE_S = 25


def revoked(connections):
    """Half of that many idle connections is denied. The value is the time in ms that `ctl deny`
    takes, with the start of its process: it ends when they are cut off, as the run is asked then.
    """
    half = connections // 2

    def measure(bench, engine):
        bench.spin(False)
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(engine_alone(bench, engine))
            server = place.server(bench.family)
            for port in (ECHO, KEPT_ECHO):
                command = bench.client("idle-client", server, port, half, "--ping-first")
                client = place.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                stack.callback(bench.network.stop, client)
                expect(client, f"open {half}", PATIENCE_S)
            run = _run_of(bench, engine, place)
            before = _flows(bench, engine, run)
            if len(before) != connections:
                raise processes.LabError(f"{len(before)} of {connections} flows live")
            started = time.monotonic()
            _ctl(bench, engine, run, "deny", f"{SERVER_NAME}:{ECHO}")
            seconds = time.monotonic() - started
            left = _flows(bench, engine, run)
        if len(left) != half or any(flow["port"] != KEPT_ECHO for flow in left):
            raise processes.LabError(f"{len(left)} flows are left, of {half}")
        return {"value": seconds * 1e3, "connections": connections,
                "kernel": sum(flow["path"] == "kernel" for flow in before)}

    return measure


def _run_of(bench, engine, place):
    """The name of a run: engines that other cells have used serve still."""
    for line in map(json.loads, _ctl(bench, engine, "--json").splitlines()):
        if line.get("pid") == place.pid:
            return line["run"]
    raise processes.LabError(f"no run is process {place.pid}")


def _flows(bench, engine, run):
    said = _ctl(bench, engine, run, "flows", "--json")
    return [flow for flow in map(json.loads, said.splitlines())
            if flow.get("port") in (ECHO, KEPT_ECHO)]


def _ctl(bench, engine, *words):
    done = bench.network.run(bench.network.hst, [bench.path(engine), "ctl", *words], nobody=True)
    if done.returncode != 0:
        raise processes.LabError(f"ctl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
