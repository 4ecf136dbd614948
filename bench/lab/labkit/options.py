"""The command line of bench/lab."""

import argparse
import os
import shutil

from . import forwarders, install
from .cells import QUICK, SMOKE, WHOLE
from .forwarder_configs import PROGRAMS
from .registry import ENGINES

MEASURE_HELP = """Measures all engines in all cells, interleaved, and prints the tables.

A whole run takes about half an hour, --quick at most three, --smoke seconds. It needs root and
Debian's packages: what is missing is named, or installed with --install. Each engine runs as an
ordinary user between namespaces that are made for the run and removed after it."""

MEASURE_MORE = """examples:
  bench/lab/run --quick --install          from a clean checkout to the first tables
  bench/lab/run --json new.json --markdown new.md --plots plots
  bench/lab/run --only crr --engine sluice --engine pasta --rounds 9

exit status: 0 measured, thresholds hold; 1 a threshold does not hold, or a figure of ours is
missing; 2 the command line is wrong; 125 the lab could not run."""

SHORT_ROUNDS, SHORT_SECONDS = 1, 1
ROUNDS, SECONDS = 5, 2
YARDSTICKS = ("direct", "loopback")


def parse(words):
    parser = argparse.ArgumentParser(
        prog="bench/lab/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="The lab: sluice beside its peers, with the direct path and loopback as "
                    "yardsticks.\nWithout a sub-command it measures. `bench/lab/run COMMAND "
                    "--help` says more of each.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _measure_parser(commands)
    _report_parser(commands)
    _show_parser(commands)
    _agree_parser(commands)
    _sweep_parser(commands)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["measure", *words]
    options = parser.parse_args(words)
    if options.command == "measure":
        _finish_measure(commands.choices["measure"], options)
    if options.command == "agree":
        options.quick, options.seconds = False, SECONDS
    return options


def _sub(commands, name, text, more=None):
    return commands.add_parser(name, help=text.splitlines()[0], description=text, epilog=more,
                               formatter_class=argparse.RawDescriptionHelpFormatter)


def _measure_parser(commands):
    parser = _sub(commands, "measure", MEASURE_HELP, MEASURE_MORE)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true",
                      help="one round of one second, the cells that matter most")
    size.add_argument("--smoke", action="store_true",
                      help="a handful of cells: does everything work?")
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"default: {ROUNDS}")
    parser.add_argument("--seconds", type=_positive, metavar="N",
                        help=f"of each throughput run (default: {SECONDS})")
    parser.add_argument("--only", metavar="PATTERN", action="append",
                        help="cells whose name contains this (may be repeated)")
    parser.add_argument("--engine", metavar="NAME", action="append", choices=_engine_names(),
                        help=f"only these beside the yardsticks, of: {', '.join(_engine_names())}")
    parser.add_argument("--no-syscalls", action="store_true", help="leave out the runs by strace")
    parser.add_argument("--list", action="store_true", help="print the cells and end")
    parser.add_argument("--no-judge", action="store_true",
                        help="exit status 0 also when a threshold does not hold")
    _add_engine_paths(parser)
    _add_places(parser)
    getting = parser.add_argument_group("getting what is missing")
    getting.add_argument("--install", action="store_true",
                         help="Debian's packages by apt-get, and a build where there is none")
    getting.add_argument("--build", action="store_true", help="build sluice and the clients")
    output = parser.add_argument_group("output, beside the tables")
    output.add_argument("--json", metavar="FILE", help="the report that `show` and `report` read")
    output.add_argument("--markdown", metavar="FILE")
    output.add_argument("--plots", metavar="DIR", help="SVG files (python3-matplotlib)")


def _add_sluice(parser):
    parser.add_argument("--sluice", metavar="PATH", default=os.path.join(install.BUILD, "sluice"))


def _add_engine_paths(parser):
    _add_sluice(parser)
    for name in _engine_programs():
        if name != "sluice":
            parser.add_argument(f"--{name}", metavar="PATH", default=shutil.which(name) or name)
    for name in PROGRAMS:
        parser.add_argument(f"--{name}", metavar="PATH")


def _add_places(parser):
    parser.add_argument("--family", type=int, choices=(4, 6), default=4, help="IPv4 or IPv6")
    parser.add_argument("--clients", metavar="DIR",
                        help="the lab's clients (default: those of the build)")


def _report_parser(commands):
    parser = _sub(commands, "report", "Compares two reports, cell by cell.",
                  "Both files come from `bench/lab/run --json FILE`.")
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")


def _show_parser(commands):
    parser = _sub(commands, "show", "Shows a report again.",
                  "FILE comes from `bench/lab/run --json FILE`.")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--markdown", action="store_true", help="as Markdown")
    parser.add_argument("--plots", metavar="DIR", help="SVG files instead (python3-matplotlib)")


def _agree_parser(commands):
    parser = _sub(commands, "agree", "Checks the latency clients against another tool.",
                  "It runs on the direct path only, and needs root.\nExit status: 0 they agree, "
                  "1 they do not.")
    _add_places(parser)


def _sweep_parser(commands):
    parser = _sub(commands, "sweep", "Forwarders: throughput and system calls against buffer size.",
                  "A row for each buffer size of ours and of socat, and for splice.\n"
                  "It needs root, iperf3, strace and socat.")
    _add_sluice(parser)
    parser.add_argument("--family", type=int, choices=(4, 6), default=4, help="IPv4 or IPv6")
    parser.add_argument("--seconds", type=_positive, metavar="N", default=SECONDS,
                        help=f"of each throughput run (default: {SECONDS})")


def _positive(word):
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a whole number of at least 1")
    return int(word)


def _engine_names():
    return (*ENGINES, *forwarders.FORWARDERS)


def _engine_programs():
    return dict.fromkeys(engine.program for engine in ENGINES.values())


def _finish_measure(parser, options):
    short = options.quick or options.smoke
    options.tier = SMOKE if options.smoke else QUICK if options.quick else WHOLE
    options.quick = short  # For the workloads: fewer operations.
    options.rounds = options.rounds or (SHORT_ROUNDS if short else ROUNDS)
    options.seconds = options.seconds or (SHORT_SECONDS if short else SECONDS)
    options.wanted = set(options.engine or _engine_names())
    for name in (*_engine_programs(), *PROGRAMS):
        setattr(options, name, _absolute(getattr(options, name)))
    if options.clients:
        options.clients = os.path.abspath(options.clients)
        if not os.path.exists(os.path.join(options.clients, "lab-server")):
            parser.error(f"--clients: {options.clients} has no lab-server; "
                         "expected a folder such as build/release/clients")
    for name in ("json", "markdown"):
        path = getattr(options, name)
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            parser.error(f"--{name}: the folder of {path} does not exist")


def _absolute(path):
    """A name without a slash is looked up in PATH, as a shell would."""
    return os.path.abspath(path) if path and os.sep in path else path
