"""What every view of a report agrees on: order of engines, names of quantities, numbers as text."""

YARDSTICKS = ("direct", "loopback")
# The order of columns, bars and legends. Engines that are not named here follow these.
ORDER = (*YARDSTICKS, "sluice-names", "sluice", "sluice-tap", "sluice-packet", "sluice-in",
         "pasta", "slirp4netns", "pasta-in", "sluice-forward", "rinetd", "haproxy-splice",
         "haproxy-copy", "nginx-stream", "socat")
GROUP_TITLES = {"tcp": "TCP throughput", "latency": "Latency", "udp": "UDP",
                "transfer": "File transfer", "churn": "Connection churn", "start": "Start-up",
                "memory": "Memory", "policy": "Under a policy of names",
                "packet": "Without /dev/net/tun",
                "inbound": "Into the guest, and between loopbacks", "forward": "Port forwarders"}
QUANTITIES = {"Gbit/s": "throughput", "Mbit/s": "throughput", "MB/s": "throughput",
              "µs": "latency", "ns": "latency", "ms": "time", "s": "time",
              "MiB": "memory", "KiB": "memory"}


def ordered(engines):
    """Engines without repeats, in the order of every table and plot."""
    known = [engine for engine in ORDER if engine in engines]
    return known + sorted(set(engines) - set(known))


def is_ours(engine):
    return engine.startswith("sluice")


def ours_of(cell):
    """The engine of a cell that this project is judged by, or None."""
    return next((engine for engine in ordered(cell["engines"]) if is_ours(engine)), None)


def quantity(unit):
    return QUANTITIES.get(unit, "rate" if unit.endswith("/s") else "figure")


def median(cell, engine, key="median"):
    return cell["summary"].get(engine, {}).get(key)


def ratio(ours, theirs):
    return ours / theirs if ours is not None and theirs else None


def number(value):
    """Three significant digits, never an exponent."""
    if value is None:
        return "–"
    size = abs(value)
    if value == int(value) and size < 1000:
        return f"{int(value)}"
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{decimals}f}"


def times(value):
    """A ratio as text."""
    return "–" if value is None else f"{value:.2f}×" if value < 100 else f"{value:.0f}×"


def with_spread(summary):
    if not summary:
        return "–"
    if summary["n"] == 1:
        return number(summary["median"])
    return f"{number(summary['median'])} [{number(summary['min'])}–{number(summary['max'])}]"


def best_engines(cell):
    """Those with the best median, yardsticks aside: they are no peers."""
    medians = {engine: entry["median"] for engine, entry in cell["summary"].items()
               if engine not in YARDSTICKS}
    if len(medians) < 2:
        return set()
    best = (max if cell["better"] == "higher" else min)(medians.values())
    return {engine for engine, value in medians.items() if value == best}


def overlap(one, other):
    """Whether two summaries' ranges have a value in common."""
    return one["min"] <= other["max"] and other["min"] <= one["max"]
