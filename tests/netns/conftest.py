"""Namespace tests: real programs as guests of the engine, real servers at the other end."""

import os
import shutil

import pytest

import harness
from labkit import netns


def pytest_configure(config):
    if config.option.collectonly:
        return
    if os.geteuid() != 0:
        raise pytest.UsageError("tests/netns: namespaces need root: run it with sudo")
    if not shutil.which(path := harness.engine_path(config.option)):
        raise pytest.UsageError(f"tests/netns: no {config.option.engine} at {path}")


@pytest.fixture(scope="session", autouse=True)
def cubic():
    with netns.CubicDefault():
        yield


@pytest.fixture
def family():
    """None: it does not matter. Parameters of a test say otherwise."""
    return None


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return {line.split()[4] for line in file}


@pytest.fixture
def has_tun(pytestconfig):
    """Whether what a test starts finds a /dev/net/tun."""
    return not pytestconfig.option.no_tun


@pytest.fixture
def network(family, has_tun):
    """Three hosts, of which nothing is left afterwards."""
    before = mounts()
    with netns.Network() as network:
        network.has_tun = has_tun
        if family != 4:
            network.wait_ready()
        yield network
    names = [f"{folder}/{name}" for folder in ("/run/netns", "/etc/netns")
             for name in (network.cli, network.hst, network.srv)]
    left = {name for name in names if os.path.exists(name)}
    left |= {mount for mount in mounts() - before if "sluice" in mount or mount in names}
    assert not left, f"left behind: {', '.join(sorted(left))}"


@pytest.fixture
def t(pytestconfig, family, network):
    context = harness.Context(pytestconfig.option, family, network)
    yield context
    context.close()
