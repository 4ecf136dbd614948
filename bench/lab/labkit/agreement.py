#!/usr/bin/python3
"""Do the latency clients tell the truth? They are held against sockperf's ping-pong.

Both measure the same thing here: a request of 64 bytes and its answer of 64 bytes over one socket,
from cli to srv by plain routing. What could make one differ for another reason is made equal:

- One thread at each end, blocking calls, one send and one receive a message. sockperf is built so;
  the server for our clients is lab-server --blocking-echo, because an event loop costs a system
  call more a message, which would be measured with the rest. Each client talks to its own server:
  sockperf's header marks requests and answers, so neither understands the other's.
- TCP_NODELAY on both sockets of both tools (sockperf sets it unless told otherwise).
- sockperf reports half a round trip unless told --full-rtt.
- Client and server share one core, which a SCHED_IDLE spinner keeps awake. Between two cores of a
  virtual machine a wake-up takes either of two times, as the hypervisor delivers the interrupt,
  and a p50 that may fall on either of two peaks compares nothing.
- The tools run in turns, in the other order every round, and the medians over the rounds are
  compared. The verdict is about p50; p99 and the mean are shown, and depend on who else runs.

What stays different: sockperf reads the cycle counter and looks at its header, ours calls
clock_gettime (tens of nanoseconds each) and keeps a histogram, exact to 0.4%. sockperf of Debian 12
has no IPv6, so the check runs over IPv4; the clients' code does not tell the two apart.

`bench/lab/run agree` runs it; alone, from bench/lab/: /usr/bin/python3 -m labkit.agreement --help
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

from . import netns, processes
from .cells import Bench

BOUND = 0.05
SWING = 0.15  # What one tool may differ from itself before the medians are in doubt.
SIZE = 64
ROUNDS, TRIPS, SECONDS = 9, 40_000, 1
QUICK_ROUNDS, QUICK_TRIPS = 3, 10_000
OUR_PORT, SOCKPERF_PORT = 7031, 7032
KEYS = ("p50_ns", "p99_ns", "mean_ns")
OURS = {"tcp": "rr-client", "udp": "udp-rr-client"}
PATIENCE = 60


def _pin(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


class Servers:
    """Both tools' servers in srv, for as long as the block."""

    def __init__(self, bench, core):
        self._bench = bench
        self._core = core
        self._started = []

    def __enter__(self):
        lab = self._start(self._bench.client("lab-server", "--blocking-echo", OUR_PORT,
                                             "--blocking-udp-echo", OUR_PORT),
                          stdin=subprocess.PIPE)
        for protocol, words in (("tcp", ["--tcp"]), ("udp", [])):
            self._bench.network.listening(lab, OUR_PORT, protocol)
            address = self._bench.network.SRV[4]
            theirs = self._start(["sockperf", "server", *words, "-i", address,
                                  "-p", SOCKPERF_PORT])
            self._bench.network.listening(theirs, SOCKPERF_PORT, protocol)
        return self

    def _start(self, command, **options):
        child = self._bench.network.popen(
            self._bench.network.srv, _pin(self._core, command), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **options)
        self._started.append(child)
        return child

    def __exit__(self, *_):
        for child in self._started:
            self._bench.network.stop(child)


def _run(bench, core, command):
    done = bench.network.run(bench.network.cli, _pin(core, command), timeout=PATIENCE)
    if done.returncode != 0:
        raise processes.LabError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def ours(bench, core, protocol, trips):
    result = json.loads(_run(bench, core, bench.client(
        OURS[protocol], bench.network.SRV[4], OUR_PORT, trips, "--size", SIZE, "--json")))
    if result["lost"]:
        raise processes.LabError(f"{OURS[protocol]}: {result['lost']} datagrams lost")
    return {key: result[key] for key in KEYS}


def sockperf(bench, core, protocol):
    command = ["sockperf", "ping-pong", "-i", bench.network.SRV[4], "-p", SOCKPERF_PORT,
               "-m", SIZE, "-t", SECONDS, "--full-rtt"]
    return read_sockperf(_run(bench, core, command + (["--tcp"] if protocol == "tcp" else [])))


def read_sockperf(text):
    """Nanoseconds from sockperf's report, which is in microseconds and in colours."""
    found = {}
    for key, pattern in (("p50_ns", r"percentile 50\.000 =\s*([\d.]+)"),
                         ("p99_ns", r"percentile 99\.000 =\s*([\d.]+)"),
                         ("mean_ns", r"avg-rtt=\s*([\d.]+)")):
        match = re.search(pattern, text)
        if not match:
            raise processes.LabError(f"sockperf's report has no `{pattern}`: {text[-300:]}")
        found[key] = float(match.group(1)) * 1e3
    return found


def run(bench):
    """Measures; returns what print_table() shows. Its "agrees" is the verdict."""
    if not shutil.which("sockperf"):
        raise processes.LabError("sockperf is not installed: apt-get install sockperf")
    quick = getattr(bench.options, "quick", False)
    rounds, trips = (QUICK_ROUNDS, QUICK_TRIPS) if quick else (ROUNDS, TRIPS)
    core = min(os.sched_getaffinity(0))
    tools = {"ours": lambda protocol: ours(bench, core, protocol, trips),
             "sockperf": lambda protocol: sockperf(bench, core, protocol)}
    samples = {protocol: {tool: [] for tool in tools} for protocol in OURS}
    bench.spin(True)
    try:
        with Servers(bench, core):
            for number in range(rounds):
                for protocol in OURS:
                    for tool in list(tools)[::-1 if number % 2 else 1]:
                        samples[protocol][tool].append(tools[tool](protocol))
    finally:
        bench.spin(False)
    checks = [_compare(protocol, samples[protocol]) for protocol in OURS]
    return {"size": SIZE, "rounds": rounds, "bound": BOUND, "checks": checks,
            "agrees": all(check["agrees"] for check in checks)}


def _compare(protocol, samples):
    medians = {tool: {key: statistics.median(sample[key] for sample in taken) for key in KEYS}
               for tool, taken in samples.items()}
    p50 = {tool: [sample["p50_ns"] for sample in taken] for tool, taken in samples.items()}
    difference = {key: medians["ours"][key] / medians["sockperf"][key] - 1 for key in KEYS}
    return {"protocol": protocol, "client": OURS[protocol], **medians, "difference": difference,
            "swing": {tool: (max(values) - min(values)) / statistics.median(values)
                      for tool, values in p50.items()},
            "samples": samples, "agrees": abs(difference["p50_ns"]) <= BOUND}


def print_table(result, out=sys.stdout):
    print(f"Round trips of {result['size']} bytes, direct path, IPv4, medians of "
          f"{result['rounds']} rounds", file=out)
    print(f"{'':16}{'':6}{'ours':>11}{'sockperf':>11}{'differs':>9}", file=out)
    for check in result["checks"]:
        name = check["client"]
        for key in KEYS:
            mine, theirs = check["ours"][key] / 1e3, check["sockperf"][key] / 1e3
            print(f"{name:16}{key[:-3]:6}{mine:8.2f} µs{theirs:8.2f} µs"
                  f"{check['difference'][key]:+9.1%}", file=out)
            name = ""
        swing = check["swing"]
        verdict = "agrees" if check["agrees"] else "DOES NOT AGREE"
        doubt = "" if max(swing.values()) <= SWING else ": take it on a quieter machine"
        print(f"{'':16}p50 {verdict} within {result['bound']:.0%}; over the rounds ours swings by "
              f"{swing['ours']:.0%}, sockperf by {swing['sockperf']:.0%}{doubt}", file=out)


def command(options):
    """Makes the lab's network, runs the check, prints it. 0 when the tools agree, 1 when not."""
    netns.raise_on_signals()
    with netns.CubicDefault(), netns.Network() as network:
        network.wait_ready()
        result = run(Bench(network, options))
    print_table(result)
    path = getattr(options, "json", None)
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    return 0 if result["agrees"] else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", metavar="DIR", required=True,
                        help="the lab's clients, such as ../build/release/clients")
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--json", metavar="FILE", help="every sample")
    options = parser.parse_args()
    options.family = 4
    try:
        return command(options)
    except processes.LabError as problem:
        print(f"agreement: {problem}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
