"""DPDK's testpmd as guest: rings that are filled as fast as the engine empties them, of one queue
and of two, packed ones, and by a driver that just vanishes; with one worker and with two."""

import os
import tempfile

import pytest

from harness import check
from labkit import netns, processes
from machines import engines, testpmd
from machines import kit as kits

LAYOUTS = {"one-queue": {}, "two-queues": {"queues": 2}, "packed": {"packed": True},
           "two-packed-queues": {"queues": 2, "packed": True}}
LINKS = {"one-worker": "vhost-user/2", "two-workers": "vhost-user/2/2"}
PORT = 7011


@pytest.fixture(params=LINKS.values(), ids=LINKS)
def engine(request):
    path = request.config.option.sluice
    try:
        engines.Sluice.check_present(path, request.param)
        testpmd.Testpmd.check_present()
    except kits.Missing as missing:
        pytest.skip(str(missing))
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, netns.Network() as network:
        os.chmod(folder, 0o777)
        made = engines.Sluice(network, path, folder, request.param).start()
        made.network, made.folder = network, folder
        yield made
        check(made.is_alive(), f"the engine has ended: {made.said()[-2000:]}")


def sends(engine, **layout):
    """Until packets of this testpmd reach srv."""
    sender = testpmd.Testpmd(engine.network, engine.folder, engine.link(), **layout)
    try:
        sender.start(engine.network.SRV[4], PORT)
        srv = engine.network.srv
        before = testpmd.received_datagrams(engine.network, srv)
        processes.wait_until(
            lambda: testpmd.received_datagrams(engine.network, srv) - before >= 1000, 60,
            f"too few packets come through: {sender.said()[-800:]}", 0.2)
    except BaseException:
        sender.close()
        raise
    return sender


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packets_of_full_rings_come_through(engine, layout):
    told = sends(engine, **LAYOUTS[layout]).finish()
    check(told["sent"] >= 1000, f"testpmd says {told}")


def test_driver_killed_while_it_sends_and_another_started(engine):
    for layout in LAYOUTS.values():
        sends(engine, **layout).kill()
    sends(engine).finish()
