"""Forwarder tests: the real `sluice forward` between servers and clients of the tests' own."""

import pathlib
import shutil

import pytest

import apart
import forwarding

HERE = pathlib.Path(__file__).parent


def pytest_configure(config):
    engine = config.option.engine
    program = {"sluice": config.option.sluice, "direct": "ip"}.get(engine, engine)
    if not config.option.collectonly and not shutil.which(program):
        raise pytest.UsageError(f"tests/forward: no {engine} at {program}")


def pytest_runtest_protocol(item):
    if HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in apart.reports_of(item, item.get_closest_marker("within").args[0]):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


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
