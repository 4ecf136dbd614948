"""A guest of QEMU that is stopped and goes on, or moves to another QEMU, which has an engine of its
own, while it runs."""

import json

import pytest

from harness import Context, check, check_equal
from labkit import netns, processes
from machines import engines, machine
from machines import kit as kits

ADDRESSES = "ip -o addr show dev $(cat /run/link) scope global | awk '{ print $4 }'"


class Hosts(Context):
    """Two engines side by side, and a guest of QEMU at the first of them."""

    def __init__(self, options, kit, network):
        super().__init__(options, 4, network)
        self._kit = kit
        self.engines = [engines.Sluice(network, options.sluice, self.folder, "vhost-user").start()
                        for _ in range(2)]
        self.guest = self._machine(0).boot()
        self.guest.network_up()

    def _machine(self, place, **settings):
        return machine.Qemu(self.net, self._kit, self.folder, self.engines[place].link(),
                            **settings)

    def move(self):
        """To the second engine, where the guest goes on."""
        path = self.file("incoming")
        moved = self._machine(1, incoming=path).start()
        processes.wait_until(lambda: processes.takes_peers(moved.pid, path), 60,
                             "the other QEMU does not wait")
        self.guest.migrate(path)
        self.guest.kill()
        self.guest = moved

    def new_connections(self):
        said = self.guest.ok(f"crr-client {self.srv} 7007 50 --json", 120)
        check_equal(json.loads(said)["n"], 50, "new connections")


@pytest.fixture
def hosts(request, kit):
    options = request.config.option
    try:
        engines.Sluice.check_present(options.sluice, "vhost-user")
        machine.Qemu.check_present()
        with netns.Network() as network:
            network.wait_ready()
            made = Hosts(options, kit, network)
            yield made
            made.close()
    except kits.Missing as missing:
        pytest.skip(str(missing))


def test_a_guest_that_is_paused_goes_on_with_its_connections(hosts):
    hosts.lab_server("--echo", 7007)
    hosts.guest.ok(f"(rr-client {hosts.srv} 7007 --rate 20 --seconds 8 --timeout-ms 90000 --json "
                   ">/run/said 2>&1; echo $? >/run/status) </dev/null >/dev/null 2>&1 &")
    for _ in range(3):
        hosts.guest.pause(1)
        hosts.new_connections()
    said = hosts.guest.ok("for i in $(seq 90); do [ -s /run/status ] && break; sleep 1; done; "
                          "cat /run/said", 150)
    check_equal(json.loads(said)["lost"], 0, "round trips without an answer")


def test_a_guest_that_moves_keeps_its_addresses_and_connects_anew(hosts):
    hosts.lab_server("--echo", 7007)
    hosts.new_connections()
    before = hosts.guest.ok(ADDRESSES)
    hosts.guest.ok(f"touch /run/before; (rr-client {hosts.srv} 7007 --rate 20 --seconds 3600 "
                   "--timeout-ms 60000 >/run/said 2>&1; echo $? >/run/status) </dev/null "
                   ">/dev/null 2>&1 &")
    hosts.move()
    check_equal(hosts.guest.ok("ls /run/before"), "/run/before\n", "what it had in its memory")
    check_equal(hosts.guest.ok(ADDRESSES), before, "its addresses")
    hosts.new_connections()
    # What was open is the other host's.
    said = hosts.guest.ok("for i in $(seq 90); do [ -s /run/status ] && break; sleep 1; done; "
                          "cat /run/status /run/said", 150)
    check("reset" in said.lower(), f"the connection of before: {said}")
    for engine in hosts.engines:
        check(engine.is_alive(), f"an engine has ended: {engine.said()[-2000:]}")
