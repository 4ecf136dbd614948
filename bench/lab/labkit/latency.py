"""Round trips, connections, one-way delay and name look-ups."""

import itertools
import json
import os
import re
import tempfile

from . import processes, usage
from .cells import ECHO
from .workload import checked, run_client

MTU = 65520  # One instance of each engine for all of them; small messages do not see it.
PING_TIME = re.compile(r" time=([\d.]+) ms")
ONE_WAY_PORT = 7021
ONE_WAY = os.path.join(os.path.dirname(os.path.realpath(__file__)), "one_way.py")
DNS_NAMES = 64
OUTSTANDING = 16
_samples = itertools.count()


def round_trips(program, count, flows):
    """`count` operations in each of `flows` flows at once. The value is the median in µs."""

    def measure(bench, engine):
        # Many flows keep the cores awake by themselves, and would share them with the spinners.
        bench.spin(flows == 1)
        place = bench.place(engine, MTU)
        cycles = max(10, count // 10) if bench.options.quick else count
        meter = usage.Meter(bench, place)
        result = json.loads(run_client(bench, place, program, ECHO, cycles, "--concurrency",
                                       flows, "--json"))
        if result["lost"]:
            raise processes.LabError(f"{program}: {result['lost']} of {result['n']} lost")
        return {"value": result["p50_ns"] / 1e3, **result, **meter.per_op(result["n"])}

    return measure


def churn(rate, flows):
    """New connections at a rate: a failure or a late start counts, and is not waited for."""

    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, MTU)
        meter = usage.Meter(bench, place)
        result = json.loads(run_client(
            bench, place, "crr-client", ECHO, "--rate", rate, "--seconds", bench.options.seconds,
            "--concurrency", flows, "--json"))
        errors = result.pop("errors")
        return {"value": result["p50_ns"] / 1e3, **result, "failed": sum(errors.values()),
                "failures": errors, **meter.per_op(result["n"])}

    return measure


def quantiles(values_ns):
    """The same fields that the clients print."""
    values = sorted(values_ns)

    def at(share):
        return values[min(len(values) - 1, int(share * len(values)))]

    return {"n": len(values), "p50_ns": at(0.5), "p90_ns": at(0.9), "p99_ns": at(0.99),
            "p999_ns": at(0.999), "mean_ns": sum(values) / len(values),
            "min_ns": values[0], "max_ns": values[-1]}


def icmp(count):
    """Echo requests, each sent when the answer to the one before is there (ping -A)."""

    def measure(bench, engine):
        bench.spin(True)
        place = bench.place(engine, MTU)
        wanted = max(50, count // 10) if bench.options.quick else count
        meter = usage.Meter(bench, place)
        # -A alone waits up to 200 ms; the interval of a privileged user has no lower bound.
        words = ["ping", "-n", "-A", "-i", "0", "-c", wanted, "-w", 20, place.server(bench.family)]
        done = place.run([str(word) for word in words], 30)
        times = [float(value) * 1e6 for value in PING_TIME.findall(done.stdout)]
        if len(times) < wanted * 0.99:
            said = (done.stderr or done.stdout)[-200:].strip()
            raise processes.LabError(f"ping: {len(times)} of {wanted} answered: {said}")
        result = quantiles(times)
        return {"value": result["p50_ns"] / 1e3, "lost": wanted - len(times), **result,
                **meter.per_op(len(times))}

    return measure


def one_way(count):
    """The delay of single packets from srv to the guest, by one clock (one_way.py)."""

    def measure(bench, engine):
        bench.spin(True)
        place = bench.place(engine, MTU)
        wanted = max(50, count // 10) if bench.options.quick else count
        sender = bench.python(bench.network.srv, "one_way.py", "send", ONE_WAY_PORT, wanted)
        try:
            bench.network.listening(sender, ONE_WAY_PORT)
            meter = usage.Meter(bench, place)
            done = place.run(["/usr/bin/python3", ONE_WAY, "receive",
                              place.server(bench.family), str(ONE_WAY_PORT)], 30)
        finally:
            bench.network.stop(sender)
        result = quantiles(json.loads(checked(done, "one_way.py")))
        if result["n"] != wanted:
            raise processes.LabError(f"one_way.py: {result['n']} of {wanted} arrived")
        return {"value": result["p50_ns"] / 1e3, **result, **meter.per_op(wanted)}

    return measure


def dns(fresh):
    """Questions a second by dnsperf, OUTSTANDING at once, each name new or of DNS_NAMES."""
    count = 400_000 if fresh else DNS_NAMES

    def names():
        # Each sample has its own names: an engine's cache outlives a sample.
        stem = f"{next(_samples)}.{'fresh' if fresh else 'again'}.test"
        return (f"{number}.{stem}" for number in range(count))

    return _questions(names)


def dns_of(names):
    """The same, of names that the engine may know by then."""
    return _questions(lambda: names)


def _questions(names):
    def measure(bench, engine):
        bench.spin(False)
        place = bench.place(engine, MTU)
        address = place.dns(bench.family)
        if address is None:
            raise processes.LabError(f"{engine} has no resolver address for IPv{bench.family}")
        questions = "".join(f"{name} A\n" for name in names())
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
            file.write(questions)
            file.flush()
            words = ["dnsperf", "-s", address, "-d", file.name, "-l", bench.options.seconds,
                     "-q", OUTSTANDING, "-c", 1, "-T", 1, "-t", 2]
            meter = usage.Meter(bench, place)
            done = place.run([str(word) for word in words], 60)
        text = checked(done, "dnsperf")
        completed = _dnsperf(text, r"Queries completed:\s+(\d+)")
        lost = _dnsperf(text, r"Queries lost:\s+(\d+)")
        if not completed or lost > completed * 0.01:
            raise processes.LabError(f"dnsperf: {lost:.0f} lost, {completed:.0f} answered")
        good = _dnsperf(text, r"NOERROR (\d+)")
        if good < completed:
            raise processes.LabError(f"dnsperf: {good:.0f} of {completed:.0f} without an error")
        return {"value": _dnsperf(text, r"Queries per second:\s+([\d.]+)"), "lost": lost,
                "mean_ns": _dnsperf(text, r"Average Latency \(s\):\s+([\d.]+)") * 1e9,
                **meter.per_op(completed)}

    return measure


def _dnsperf(text, pattern):
    found = re.search(pattern, text)
    if not found:
        raise processes.LabError(f"dnsperf printed no {pattern.partition(':')[0]}")
    return float(found.group(1))

