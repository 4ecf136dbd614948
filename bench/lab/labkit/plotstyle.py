"""How the lab's plots look: colours, axes, bars, and how a figure is written."""

import os
import textwrap

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from . import figures

# One colour an engine in every plot. Hues of the palettes of Okabe and Ito and of Paul Tol, which
# people with any colour vision can tell apart; the yardsticks are grey because they are no peers.
COLOURS = {"direct": "#8a8a8a", "loopback": "#c4c4c4",
           "sluice": "#0072b2", "sluice-tap": "#7fb8d8", "sluice-packet": "#44aa99",
           "sluice-names": "#332288", "sluice-in": "#117733",
           "pasta": "#e69f00", "pasta-in": "#ddcc77", "slirp4netns": "#d55e00",
           "sluice-forward": "#0072b2", "rinetd": "#cc79a7", "haproxy-splice": "#009e73",
           "haproxy-copy": "#56b4e9", "nginx-stream": "#882255", "socat": "#999933"}
MARKERS = {"direct": "s", "loopback": "D", "sluice": "o", "pasta": "^", "slirp4netns": "v"}
INK, FAINT, GRID = "#222222", "#666666", "#e4e4e4"

STYLE = {
    # Identifiers inside the SVG come from this salt and not from chance: equal reports give equal
    # files. Text becomes outlines, so that it looks the same wherever it is shown.
    "svg.hashsalt": "sluice", "svg.fonttype": "path",
    "font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK,
    "axes.edgecolor": "#999999", "axes.labelcolor": FAINT, "axes.labelsize": 8,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.titlepad": 8, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.linewidth": 0.8, "axes.facecolor": "white",
    "figure.facecolor": "white", "savefig.facecolor": "white",
    "grid.color": GRID, "grid.linewidth": 0.7,
    "xtick.color": INK, "ytick.color": FAINT, "xtick.labelsize": 8, "ytick.labelsize": 7.5,
    "xtick.major.size": 0, "ytick.major.size": 0,
    "legend.frameon": False, "legend.fontsize": 8.5, "legend.handlelength": 1.2,
    "legend.columnspacing": 1.6,
}
ERROR_BAR = {"ecolor": "#333333", "elinewidth": 0.8, "capsize": 1.8, "capthick": 0.8}


def styled():
    return matplotlib.rc_context(STYLE)


def colour(engine):
    return COLOURS.get(engine, "#444444")


def lighter(engine, share=0.55):
    red, green, blue = (int(colour(engine)[at:at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(1 - (1 - part) * (1 - share) for part in (red, green, blue))


def new_figure(width, height, title, engines=(), lines=False):
    """A figure with its title at the upper left and, in the same row, the engines' legend."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07, wspace=0.03, hspace=0.05)
    # Blank space below the title keeps the legend, which the layout does not know, off the axes.
    figure.suptitle(title + "\n", x=0.01, ha="left", fontsize=11.5, fontweight="bold",
                    linespacing=0.35)
    if engines:
        figure.legend(handles=[_handle(engine, lines) for engine in engines],
                      loc="upper right", ncols=len(engines), borderaxespad=0.2)
    return figure


def _handle(engine, lines):
    if lines:
        return Line2D([], [], color=colour(engine), marker=MARKERS.get(engine, "o"),
                      markersize=4.5, label=engine)
    return Patch(color=colour(engine), label=engine)


def finish_axis(axis, title, unit, better, grid="y"):
    """Title with the way that is better, unit on the axis of values, which starts at zero."""
    axis.set_title(title)
    label = f"{unit}  ({better} is better)" if better else unit
    values = axis.yaxis if grid == "y" else axis.xaxis
    if max(values.get_view_interval()) >= 1e4:
        values.set_major_formatter(lambda value, _: f"{value / 1e3:g}k" if value else "0")
    if grid == "y":
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    else:
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
    axis.grid(axis=grid)


def error_bars(axis, points, lying=False):
    """From minimum to maximum for each (place, summary) that has more than one sample."""
    ranged = [(place, entry) for place, entry in points if entry.get("n", 1) > 1]
    if not ranged:
        return
    places = [place for place, _ in ranged]
    medians = [entry["median"] for _, entry in ranged]
    ranges = [[entry["median"] - entry["min"] for _, entry in ranged],
              [entry["max"] - entry["median"] for _, entry in ranged]]
    if lying:
        axis.errorbar(medians, places, xerr=ranges, fmt="none", **ERROR_BAR)
    else:
        axis.errorbar(places, medians, yerr=ranges, fmt="none", **ERROR_BAR)


def grouped_bars(axis, labels, engines, entry_of, label_size=6.2):
    """A group of bars for each label, one bar an engine; entry_of(index, engine) may be None."""
    for engine, width, places in _bar_places(labels, engines):
        points = [(x, entry_of(index, engine)) for index, x in places]
        points = [(x, entry) for x, entry in points if entry]
        axis.bar([x for x, _ in points], [entry["median"] for _, entry in points], width,
                 color=colour(engine))
        error_bars(axis, points)
        for x, entry in points:
            value_label(axis, x, entry.get("max", entry["median"]), entry["median"], label_size)
    _label_groups(axis, labels, [index for index in range(len(labels)) if not any(
        entry_of(index, engine) for engine in engines)])


def _bar_places(labels, engines):
    """For each engine the width of its bars and (index of the group, x of the bar)."""
    width = min(0.28, 0.84 / max(1, len(engines)))
    for place, engine in enumerate(engines):
        offset = (place + 0.5 - len(engines) / 2) * width
        yield engine, width * 0.92, [(index, index + offset) for index in range(len(labels))]


def _label_groups(axis, labels, empty):
    """Names the groups, and says so of those (by index) that have no bar."""
    for index in empty:
        axis.annotate("no sample", (index, 0), (0, 4), textcoords="offset points", ha="center",
                      fontsize=7, color=FAINT)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_xlim(-0.55, len(labels) - 0.45)
    axis.margins(y=0.1)


def value_label(axis, x, top, value, size):
    axis.annotate(short(value), (x, top), (0, 2), textcoords="offset points", ha="center",
                  va="bottom", fontsize=size, color=FAINT)


def short(value):
    """Two significant digits, enough beside an axis; thousands as k, millions as M."""
    for bound, unit, letter in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= bound:
            return short(value / unit) + letter
    decimals = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    return f"{value:.{decimals}f}"


def source_line(document):
    """What every figure says of itself in small print."""
    machine, rounds = document["machine"], document["rounds"]
    taken = f"medians of {rounds} rounds, whiskers from minimum to maximum" if rounds > 1 \
        else "one round"
    return (f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; "
            f"IPv{document['family']}; {taken}; {document['taken'][:10]}")


def save(figure, document, directory, name):
    """Writes a figure as SVG without a date, and returns its path."""
    # In this size 18 characters take an inch.
    source = textwrap.fill(source_line(document), int(18 * figure.get_figwidth()))
    figure.supxlabel(source, fontsize=6.5, color=FAINT, x=0.01, ha="left")
    path = os.path.join(directory, name)
    FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None, "Creator": None})
    return path


def width_for(groups):
    """Inches for that many groups of bars, so that a few do not become slabs."""
    return min(10, max(6.5, 2.5 + 1.6 * groups))


def measured(cells):
    return figures.ordered({engine for cell in cells for engine in cell["summary"]})


def stacked_bars(axis, labels, engines, parts_of, label_size):
    """Bars of a lower part in the engine's colour and the rest of the total in a lighter one.

    parts_of(index, engine) is (lower part or None, total or None). Where only the total is known
    the bar is hatched.
    """
    for engine, width, places in _bar_places(labels, engines):
        points = [(x, *parts_of(index, engine)) for index, x in places]
        points = [point for point in points if point[2] is not None]
        for x, lower, total in points:
            if lower is None:
                axis.bar(x, total, width, color=lighter(engine), hatch="////",
                         edgecolor=colour(engine), linewidth=0)
            else:
                # The parts are medians of their own and may add up to more than the total.
                lower = min(lower, total)
                axis.bar(x, lower, width, color=colour(engine))
                axis.bar(x, total - lower, width, bottom=lower, color=lighter(engine))
            value_label(axis, x, total, total, label_size)
    _label_groups(axis, labels, [index for index in range(len(labels)) if all(
        parts_of(index, engine)[1] is None for engine in engines)])


def lying_bars(axis, cell):
    """One horizontal bar an engine, the first at the top."""
    engines = measured([cell])
    for place, engine in enumerate(engines):
        entry = cell["summary"][engine]
        axis.barh(place, entry["median"], 0.72, color=colour(engine))
        axis.annotate(short(entry["median"]), (entry["max"], place), (3, 0), va="center",
                      textcoords="offset points", fontsize=7, color=FAINT)
    error_bars(axis, [(place, cell["summary"][engine]) for place, engine in enumerate(engines)],
               lying=True)
    axis.set_yticks(range(len(engines)), engines, color=INK, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.14)


def lines(axis, points, engines, dashed=False):
    """A line an engine through (x, summary); error bars where a summary has a range."""
    for engine in engines:
        own = [(x, summary[engine]) for x, summary in points if engine in summary]
        if not own:
            continue
        xs, ys = [x for x, _ in own], [entry["median"] for _, entry in own]
        if dashed:
            axis.plot(xs, ys, color=colour(engine), linewidth=1.1, linestyle=(0, (3, 2)))
            continue
        axis.plot(xs, ys, color=colour(engine), linewidth=1.8, markersize=4.5,
                  marker=MARKERS.get(engine, "o"))
        error_bars(axis, own)


def log_ticks(axis, values):
    """A logarithmic axis whose ticks are the measured values and nothing else."""
    values = sorted(set(values))
    axis.set_xscale("log")
    axis.set_xticks(values, [f"{value}" for value in values])
    axis.minorticks_off()
    room = (values[-1] / values[0]) ** 0.05
    axis.set_xlim(values[0] / room, values[-1] * room)
