"""What the suites of real programs share: options, which tests run, and those that run alone."""

import fcntl
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build"
# A test that says nothing else may take this long.
SECONDS = {"forward": 30, "netns": 600, "machine": 600}


def pytest_addoption(parser):
    group = parser.getgroup("sluice", "sluice: what tests/netns, tests/machine and "
                            "tests/forward run")
    group.addoption("--sluice", metavar="PROGRAM", default=str(BUILD / "release/sluice"))
    group.addoption("--pasta", metavar="PROGRAM", default="pasta")
    group.addoption("--passt", metavar="PROGRAM", default="passt")
    engines = ("sluice", "pasta", "direct", "socat", "rinetd", "passt", "slirp")
    group.addoption("--engine", choices=engines, default="sluice",
                    help="run the tests that it can pass over another program than sluice: what "
                    "fails there too is the test's fault")
    group.addoption("--clients", metavar="FOLDER", default=newest_clients(),
                    help="the lab's clients (default: newest build)")
    group.addoption("--fast-path", choices=("auto", "off", "require"),
                    help="given to every sluice run (default: nothing is given)")
    group.addoption("--workers", type=int,
                    help="given to every sluice run (default: nothing is given)")
    group.addoption("--no-tun", action="store_true",
                    help="without /dev/net/tun: by packet sockets")
    group.addoption("--fast", action="store_true",
                    help="64 MiB instead of 1 GiB, short runs, without the tests that take long")
    group.addoption("--nested", action="store_true",
                    help="also tests that need KVM, in a machine that is emulated to have it")


def newest_clients():
    found = sorted(BUILD.glob("*/clients/lab-server"), key=lambda server: server.stat().st_mtime)
    return str(found[-1].parent) if found else None


def pytest_configure(config):
    # Tests run in folders of their own.
    if found := shutil.which(config.option.sluice):
        config.option.sluice = os.path.abspath(found)
    if config.option.clients:
        config.option.clients = os.path.abspath(config.option.clients)
    # A shell's background job ignores Ctrl-C, and workers are ended by what it would do.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, leave)
    config.pluginmanager.register(OneTask(config))
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        config.pluginmanager.register(Turns(run))


def leave(number, _frame):
    """As Ctrl-C does: what a test has made is removed first."""
    pytest.exit(f"ended by {signal.Signals(number).name}", 128 + number)


def pytest_collection_modifyitems(config, items):
    def is_chosen(item):
        engines = item.get_closest_marker("engines")
        known = ("sluice", *(engines.args if engines else ()))
        return config.option.engine in known and not (config.option.fast and is_long(item))

    for item in items:
        if not item.get_closest_marker("within") and item.path.parent.name in SECONDS:
            item.add_marker(pytest.mark.within(SECONDS[item.path.parent.name]))
    config.hook.pytest_deselected(items=[item for item in items if not is_chosen(item)])
    items[:] = sorted(filter(is_chosen, items), key=turn_of)


def is_long(item):
    """What --fast leaves out. Of a long test that does the same with both families, one is enough."""
    if item.get_closest_marker("slow"):
        return True
    twin = item.get_closest_marker("slow_twin")
    return twin is not None and item.name.endswith("v6]")


def turn_of(item):
    """Long ones start first and those that run alone last, so that nobody waits for them."""
    within = item.get_closest_marker("within")
    return item.get_closest_marker("alone") is not None, -within.args[0] if within else 0


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that takes too long fails where it is; what it has started is ended as ever."""
    within = item.get_closest_marker("within")
    seconds = within.args[0] if within else 0

    def stop(*_):
        __tracebackhide__ = True
        pytest.fail(f"still running after {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


class OneTask:
    """Lets a worker's tests be its only task, for they need its main thread: execnet 1.9 starts a
    task beside the main thread while the one before is only just ending. With -v, xdist would ask
    each worker for its Python in a task of its own.
    """

    def __init__(self, config):
        self._option = config.option

    @pytest.hookimpl(hookwrapper=True, optionalhook=True)
    def pytest_xdist_newgateway(self):
        verbose, self._option.verbose = self._option.verbose, 0
        yield
        self._option.verbose = verbose


class Turns:
    """In a worker of several: a test that is `alone` runs while the other workers run none."""

    def __init__(self, run):
        self._path = pathlib.Path(tempfile.gettempdir(), f"sluice-tests-{run}")
        self._file = self._path.open("w")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        # Tests begin when all workers are there, with the file open.
        self._path.unlink(missing_ok=True)
        alone = item.get_closest_marker("alone")
        fcntl.flock(self._file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
        fcntl.flock(self._file, fcntl.LOCK_UN)
