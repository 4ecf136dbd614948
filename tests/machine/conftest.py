"""Machine tests: virtual machines as guests of the engine, real servers at the other end."""

import os

import pytest

import box_place
import place as places
from labkit import netns
from machines import kit as kits

FAILED = pytest.StashKey()


def pytest_configure(config):
    if not config.option.collectonly and os.geteuid() != 0:
        raise pytest.UsageError("tests/machine: namespaces need root: run it with sudo")


def pytest_generate_tests(metafunc):
    """A test of a guest runs for each way in which a guest can be joined to the engine."""
    if "place" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("setups")
    if marker:
        setups = [places.SETUPS[name] for name in marker.args]
    else:
        options = metafunc.config.option
        everywhere = metafunc.definition.get_closest_marker("every_link") or not options.fast
        setups = [setup for setup in places.SETUPS.values()
                  if setup.engine == options.engine and (setup.is_chief or everywhere)]
    # One worker has all tests of a guest, which boots once.
    parameters = [pytest.param(setup, id=setup.name, marks=pytest.mark.xdist_group(setup.name))
                  for setup in setups]
    metafunc.parametrize("place", parameters, indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    if config.option.nested:
        return
    left_out = [item for item in items if item.get_closest_marker("nested")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.stash[FAILED] = True


@pytest.fixture(scope="session", autouse=True)
def cubic():
    with netns.CubicDefault():
        yield


@pytest.fixture(scope="session")
def kit(request):
    clients = request.config.option.clients
    try:
        return kits.build(clients)
    except kits.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def place(request, kit):
    """Three hosts, the engine in one of them, and a guest of it that tests have in turn."""
    try:
        made = places.Place(request.config.option, request.param, kit)
    except kits.Missing as missing:
        pytest.skip(str(missing))
    with made:
        yield made


@pytest.fixture(scope="session")
def box(request):
    """One level 1, in which tests start boxes."""
    if request.config.option.engine != "sluice":
        pytest.skip("of sluice only")
    try:
        with box_place.BoxPlace(request.config.option) as made:
            yield made
    except kits.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def family():
    """None: it does not matter. Parameters of a test say otherwise."""
    return None


@pytest.fixture
def t(request, family, place):
    place.ensure()
    before = place.net.children()
    context = places.Guest(request.config.option, family, place)
    yield context
    context.close()
    place.stop_others(before)
    if request.node.stash.get(FAILED, False):
        place.spoil()
    else:
        place.check_engine()
