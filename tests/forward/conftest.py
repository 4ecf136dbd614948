"""Forwarder tests: the real `sluice forward` between servers and clients of the tests' own."""

import pathlib
import shutil
import signal

import pytest

import apart
import forwarding

HERE = pathlib.Path(__file__).parent
SECONDS = 30  # A test that says nothing else may take this long.


def pytest_configure(config):
    engine = config.option.engine
    program = {"sluice": config.option.sluice, "direct": "ip"}.get(engine, engine)
    if not config.option.collectonly and not shutil.which(program):
        raise pytest.UsageError(f"tests/forward: no {engine} at {program}")


def limit_of(item):
    within = item.get_closest_marker("within")
    return within.args[0] if within else SECONDS


def pytest_collection_modifyitems(items):
    # Nobody waits at the end for a long one that has just begun.
    items.sort(key=lambda item: -limit_of(item))


def pytest_runtest_protocol(item):
    if HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in apart.reports_of(item, limit_of(item)):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    limit = limit_of(item)

    def stop(*_):
        raise forwarding.Failure(f"still running after {limit} s")

    if HERE in item.path.parents:
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, limit)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def t(pytestconfig):
    context = forwarding.Context(pytestconfig.option)
    yield context
    if said := context.said():
        print(said)  # Shown when the test fails.
    try:
        context.check_alive()
    finally:
        context.close()
