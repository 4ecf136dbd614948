"""The plots of a report, as SVG files for docs/ and the README."""

import os
import sys

from .figures import median

try:
    from . import plotstyle as style
except ImportError:
    style = None

HEADLINE = ("direct", "sluice", "pasta", "slirp4netns")


def write(document, directory):
    """Writes every plot that the report has figures for; returns their paths."""
    if style is None:
        print("lab: no plots: matplotlib is missing (package python3-matplotlib)",
              file=sys.stderr)
        return []
    os.makedirs(directory, exist_ok=True)
    with style.styled():
        made = [(name, figure) for draw in (_overview, _throughput, _against_mtu, _against_flows,
                                            _one_flow, _cpu, _forwarders, _others)
                for name, figure in draw(document)]
        return [style.save(figure, document, directory, name) for name, figure in made]


def _cells(document, group):
    """A group's cells that have a figure."""
    return [cell for cell in document["cells"] if cell["group"] == group and cell["summary"]]


def _tcp(document, congestion="cubic"):
    """The throughput cells of one congestion control; null is the lab's own, CUBIC."""
    return [cell for cell in _cells(document, "tcp")
            if (cell["congestion"] or "cubic") == congestion and cell["direction"] and cell["mtu"]
            and cell["streams"] and not cell["derived_from"]]


def _overview(document):
    """The headline: throughput, connect latency and CPU, against the peers and the direct path."""
    speeds = [cell for mtu in (1500, 65520) for direction in ("out", "in")
              for cell in _tcp(document) if (cell["mtu"], cell["direction"], cell["streams"]) ==
              (mtu, direction, 1)]
    connects = [cell for cell in _latencies(document) if _kind(cell) == "crr"
                and cell["flows"] == 1]
    costs = [cell for cell in speeds if cell["mtu"] == 1500 and _has_cpu(cell)]
    panels = [(cells, draw, width) for cells, draw, width in
              ((speeds, _headline_speeds, 2.7), (connects, _headline_connects, 1.1),
               (costs, _headline_costs, 1.5)) if cells]
    if not panels:
        return
    engines = [engine for engine in HEADLINE
               if engine in style.measured(speeds + connects + costs)]
    figure = style.new_figure(11, 3.3, "sluice, its peers and the direct path", engines)
    axes = figure.subplots(1, len(panels), squeeze=False,
                           width_ratios=[width for _, _, width in panels])[0]
    for axis, (cells, draw, _) in zip(axes, panels):
        draw(axis, cells, engines)
    yield "overview.svg", figure


def _headline_speeds(axis, cells, engines):
    style.grouped_bars(axis, [f"{cell['direction']}, MTU {cell['mtu']}" for cell in cells],
                       engines, _entries(_summaries(cells)), 6.8)
    style.finish_axis(axis, "TCP throughput, one stream", "Gbit/s", "higher")


def _headline_connects(axis, cells, engines):
    style.grouped_bars(axis, ["median of one flow"], engines, _entries(_summaries(cells)), 6.8)
    style.finish_axis(axis, "Connect to response", "µs", "lower")


def _headline_costs(axis, cells, engines):
    served = [engine for engine in engines if any(_has_cpu(cell, engine) for cell in cells)]
    labels = [f"{cell['direction']}, MTU {cell['mtu']}" for cell in cells]
    _cpu_bars(axis, _summaries(cells), labels, served, 6.8)
    style.finish_axis(axis, "CPU per GB", "s/GB, user dark", "lower")


def _summaries(cells):
    return [cell["summary"] for cell in cells]


def _entries(summaries):
    return lambda index, engine: summaries[index].get(engine)


def _congestions(document):
    return sorted({cell["congestion"] or "cubic" for cell in _cells(document, "tcp")})


def _throughput(document):
    """Bars with spread for every cell; a file of its own for each congestion control."""
    for congestion in _congestions(document):
        cells = _tcp(document, congestion)
        directions = _directions(cells)
        if not directions:
            continue
        engines = style.measured(cells)
        figure = style.new_figure(style.width_for(len(_sizes(cells))),
                                  0.7 + 2.3 * len(directions),
                                  f"TCP throughput, {congestion.upper()}", engines)
        axes = figure.subplots(len(directions), 1, squeeze=False)[:, 0]
        for axis, direction in zip(axes, directions):
            chosen = _by_size(cells, direction)
            style.grouped_bars(axis, _size_labels(cells), engines, _entries(chosen))
            style.finish_axis(axis, _direction_title(direction), "Gbit/s", "higher")
        yield ("throughput.svg" if congestion == "cubic" else f"throughput-{congestion}.svg",
               figure)


def _directions(cells):
    return [direction for direction in ("out", "in", "bidir")
            if any(cell["direction"] == direction for cell in cells)]


def _direction_title(direction):
    return {"out": "Out: from the guest", "in": "In: to the guest",
            "bidir": "Both ways at once"}[direction]


def _sizes(cells):
    """Every (MTU, streams) of a figure: its panels have the same groups one below the other."""
    return sorted({(cell["mtu"], cell["streams"]) for cell in cells})


def _by_size(cells, direction):
    """The summary at each size, empty where this direction was not measured."""
    return [next((cell["summary"] for cell in cells if cell["direction"] == direction
                  and (cell["mtu"], cell["streams"]) == size), {}) for size in _sizes(cells)]


def _size_labels(cells):
    return [f"MTU {mtu}\n{streams} {'stream' if streams == 1 else 'streams'}"
            for mtu, streams in _sizes(cells)]


def _against_mtu(document):
    """A panel for each direction and number of streams with at least two MTUs."""
    cells = [cell for cell in _tcp(document) if cell["direction"] != "bidir"]
    panels = {}
    for cell in sorted(cells, key=lambda cell: (cell["streams"], cell["direction"] == "in",
                                                cell["mtu"])):
        panels.setdefault((cell["streams"], cell["direction"]), []).append(cell)
    panels = {key: chosen for key, chosen in panels.items() if len(chosen) > 1}
    if not panels:
        return
    engines = style.measured(cells)
    rows = (len(panels) + 1) // 2
    figure = style.new_figure(10, 0.7 + 2.6 * rows, "Throughput against MTU", engines, lines=True)
    axes = list(figure.subplots(rows, min(2, len(panels)), squeeze=False, sharey=True).flat)
    for axis, ((streams, direction), chosen) in zip(axes, panels.items()):
        points = [(cell["mtu"], cell["summary"]) for cell in chosen]
        style.lines(axis, points, engines)
        style.log_ticks(axis, [cell["mtu"] for cell in cells])
        axis.set_xlabel("MTU in bytes (log scale)")
        plural = "stream" if streams == 1 else "streams"
        style.finish_axis(axis, f"{_direction_title(direction)}, {streams} {plural}", "Gbit/s",
                          "higher")
    for axis in axes[len(panels):]:
        axis.set_visible(False)
    yield "throughput-mtu.svg", figure


def _latencies(document):
    """Cells of round trips that were measured themselves and know their number of flows."""
    return [cell for cell in _cells(document, "latency")
            if cell["flows"] and not cell["derived_from"]]


def _kind(cell):
    """The workload's name without what is a number: `crr-8 p50` is one of `crr`."""
    return cell["name"].split()[0].removesuffix(f"-{cell['flows']}")


def _kind_title(kind):
    return {"rr": "Request, response (TCP)", "crr": "Connect, request, response",
            "udp-rr": "Request, response (UDP)", "icmp-rr": "Echo (ICMP)",
            "tcp-rx": "One packet to the guest (TCP)"}.get(kind, kind)


def _microseconds(summary, key):
    return {engine: {"median": entry[key] / 1e3} for engine, entry in summary.items()
            if entry.get(key) is not None}


def _against_flows(document):
    """p50 as a line and p99 dashed, for each workload with at least two numbers of flows."""
    panels = {}
    for cell in sorted(_latencies(document), key=lambda cell: cell["flows"]):
        panels.setdefault(_kind(cell), []).append(cell)
    panels = {kind: cells for kind, cells in panels.items()
              if len({cell["flows"] for cell in cells}) > 1}
    if not panels:
        return
    # Loopback is left out: two lines an engine are enough to read, and direct is the yardstick.
    engines = [engine for engine in style.measured([cell for cells in panels.values()
                                                    for cell in cells]) if engine != "loopback"]
    figure = style.new_figure(10 if len(panels) > 1 else 6.5, 4,
                              "Latency against flows", engines, lines=True)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (kind, cells) in zip(axes, panels.items()):
        style.lines(axis, [(cell["flows"], cell["summary"]) for cell in cells], engines)
        style.lines(axis, [(cell["flows"], _microseconds(cell["summary"], "p99_ns"))
                           for cell in cells], engines, dashed=True)
        style.log_ticks(axis, [cell["flows"] for cell in cells])
        axis.set_xlabel("flows at once (log scale)")
        axis.set_title(_kind_title(kind))
        axis.set_ylabel("µs, log scale  (lower is better)")
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.grid(axis="y")
        axis.annotate("solid p50, dashed p99", (0.02, 0.98), xycoords="axes fraction", va="top",
                      fontsize=7.5, color=style.FAINT)
    yield "latency-flows.svg", figure


def _one_flow(document):
    """p50 and p99 of every workload with a single flow."""
    cells = [cell for cell in _latencies(document) if cell["flows"] == 1]
    if not cells:
        return
    engines = style.measured(cells)
    columns = min(3, len(cells))
    rows = -(-len(cells) // columns)
    figure = style.new_figure(10, 0.7 + 2.5 * rows, "Latency of one flow", engines)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[len(cells):]:
        axis.set_visible(False)
    for axis, cell in zip(axes, cells):
        tails = _microseconds(cell["summary"], "p99_ns")
        labels = ["p50", "p99"] if tails else ["p50"]
        style.grouped_bars(axis, labels, engines, _entries((cell["summary"], tails)))
        style.finish_axis(axis, _kind_title(_kind(cell)), "µs", "lower")
    yield "latency.svg", figure


def _has_cpu(cell, engine=None):
    chosen = [engine] if engine else cell["summary"]
    return any(median(cell, name, "cpu_per_gb") is not None for name in chosen)


def _cpu(document):
    """CPU seconds per GB, user below and system above it."""
    cells = [cell for cell in _tcp(document) if _has_cpu(cell)]
    directions = _directions(cells)
    if not directions:
        return
    engines = [engine for engine in style.measured(cells)
               if any(_has_cpu(cell, engine) for cell in cells)]
    title = "CPU per GB: user dark, system light"
    if any(entry.get("cpu_per_gb") is not None and entry.get("cpu_user_per_gb") is None
           for cell in cells for entry in cell["summary"].values()):
        title += ", hatched both"
    figure = style.new_figure(style.width_for(len(_sizes(cells))), 0.7 + 2.2 * len(directions),
                              title, engines)
    axes = figure.subplots(len(directions), 1, squeeze=False)[:, 0]
    for axis, direction in zip(axes, directions):
        chosen = _by_size(cells, direction)
        _cpu_bars(axis, chosen, _size_labels(cells), engines, 6.2)
        style.finish_axis(axis, _direction_title(direction), "s/GB", "lower")
    yield "cpu.svg", figure


def _cpu_bars(axis, summaries, labels, engines, label_size):
    def parts_of(index, engine):
        entry = summaries[index].get(engine, {})
        return entry.get("cpu_user_per_gb"), entry.get("cpu_per_gb")

    style.stacked_bars(axis, labels, engines, parts_of, label_size)


def _forwarders(document):
    cells = [cell for cell in _cells(document, "forward") if not cell["derived_from"]]
    if cells:
        yield "forwarders.svg", _small_multiples(cells, "Port forwarders")


def _others(document):
    groups = ("udp", "transfer", "churn", "start", "memory", "policy", "packet", "inbound")
    cells = [cell for group in groups
             for cell in _cells(document, group) if not cell["derived_from"]]
    if cells:
        yield "others.svg", _small_multiples(cells, "Other workloads")


def _small_multiples(cells, title, columns=3):
    """A panel a cell, with one lying bar an engine, named at the axis."""
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    most = max(len(style.measured([cell])) for cell in cells)
    figure = style.new_figure(max(5, 3.5 * columns + 0.3), 0.7 + rows * (0.75 + 0.21 * most), title)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, cell in zip(axes, cells):
        style.lying_bars(axis, cell)
        style.finish_axis(axis, cell["name"], cell["unit"], cell["better"], grid="x")
    for axis in axes[len(cells):]:
        axis.set_visible(False)
    return figure
