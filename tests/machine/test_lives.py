"""What an engine must live through: guests that reboot, are killed, lose their link, or idle."""

import contextlib
import json
import time

import pytest

from harness import check, check_equal, each_family, v4_only
from labkit import processes
from place import PORTS

any_engine = pytest.mark.engines("passt", "slirp")
with_passt = pytest.mark.engines("passt")


@any_engine
@v4_only
def test_ten_reboots(t):
    """An emulated guest takes its time, so that it has three where time counts."""
    for _ in range(3 if t.fast and t.emulated else 10):
        t.machine.reboot()
        t.machine.network_up(4)
        t.ok(f"ping -c 1 -W 10 {t.srv}")
        t.place.check_engine()
    t.machine.network_up()


@any_engine
@each_family
def test_link_down_and_up_under_traffic(t):
    t.lab_server("--echo", 7007)
    t.machine.network_up()
    with background(t, f"rr-client {t.srv} 7007 --rate 200 --seconds 6 --concurrency 4 "
                       "--timeout-ms 90000 --json") as result:
        time.sleep(2)
        t.ok("ip link set $(cat /run/link) down; sleep 1; ip link set $(cat /run/link) up")
        t.machine.network_up()
        said = result(150)
    check_equal(json.loads(said)["lost"], 0, "round trips that had no answer")


@each_family
def test_no_byte_is_lost_when_the_link_goes_down(t):
    t.lab_server("--transfer", 7020)
    t.machine.network_up()
    size = (16 if t.emulated else 512) << 20
    with background(t, f"transfer-client {t.srv} 7020 --bytes {size} --direction both "
                       "--json") as result:
        time.sleep(0.5)
        t.ok("ip link set $(cat /run/link) down; usleep 500000; ip link set $(cat /run/link) up")
        t.machine.network_up()
        said = json.loads(result(300))
    check(said["ok"], f"the transfer: {said['problem']}")


@contextlib.contextmanager
def background(t, command):
    """Runs a command in the guest beside others; gives what waits for its standard output."""
    t.ok(f"rm -f /run/status; ({command} >/run/said 2>/run/wrong; echo $? >/run/status) "
         "</dev/null >/dev/null 2>&1 &")

    def result(timeout):
        waited = f"for i in $(seq {timeout}); do [ -s /run/status ] && break; sleep 1; done"
        status = t.ok(f"{waited}; cat /run/status 2>/dev/null", timeout + 60).strip()
        check_equal(status, "0", f"status ({t.ok('cat /run/wrong').strip()}) of {command}")
        return t.ok("cat /run/said")

    try:
        yield result
    finally:
        t.run(f"killall {command.split()[0]}")


@with_passt
@v4_only
def test_guest_killed_with_flows_and_started_anew(t):
    if t.place.setup.link == "descriptor":
        pytest.skip("a descriptor is of one guest")
    t.lab_server("--echo", 7007)
    for _ in range(2):
        t.ok(f"(rr-client {t.srv} 7007 --rate 500 --seconds 300 --concurrency 8 </dev/null "
             ">/dev/null 2>&1 &); sleep 1")
        t.machine.kill()
        t.place.new_machine()
        said = t.ok(f"crr-client {t.srv} 7007 50 --json", 120)
        check_equal(json.loads(said)["n"], 50, "connections of the next guest")
    t.serve_in_guest("--echo", PORTS[0])
    client = t.connect_from(t.net.cli, "10.0.1.1", PORTS[0], 20)
    client.sendall(b"hello")
    check_equal(client.recv(5), b"hello", "what comes back through the published port")


@pytest.mark.setups("qemu-vhost-user-sluice", "qemu-vhost-userx2-sluice",
                    "qemu-vhost-userx2x2-sluice")
@v4_only
def test_engine_killed_under_traffic_and_another_goes_on(t):
    """The rings go on where they stood: the guest does nothing for it."""
    t.lab_server("--echo", 7007)
    t.lab_server("--udp-echo", 7007)
    for _ in range(3):
        t.ok(f"(rr-client {t.srv} 7007 --rate 500 --seconds 300 --concurrency 8 </dev/null "
             f">/dev/null 2>&1 &); (udp-rr-client {t.srv} 7007 100000 --size 1400 </dev/null "
             ">/dev/null 2>&1 &); sleep 1")
        t.place.engine.kill_and_start()
        t.ok(f"for i in $(seq 60); do ping -c 1 -W 1 {t.srv} && break; done | grep -q ' 0% '", 150)
        t.run("killall rr-client udp-rr-client")
        said = t.ok(f"crr-client {t.srv} 7007 50 --json", 120)
        check_equal(json.loads(said)["n"], 50, "connections by the next engine")
        check("broke" not in t.place.engine.said(), t.place.engine.said())


def test_idle_guest_lets_its_engine_sleep(t):
    """And what the engine takes of memory, beside the guest's own, is little."""
    # A new guest announces itself for some seconds.
    t.ok("sleep 12", 120)
    pid = t.place.engine.pid
    seen = []
    # The guest's kernel may still ask after its neighbours and groups, now and then.
    while len(seen) < 4 and min(seen, default=9) > 3:
        before = processes.voluntary_switches(pid)
        time.sleep(10)
        seen.append(processes.voluntary_switches(pid) - before)
    check(min(seen) <= 3, f"wake-ups in 10 s of idling, again and again: {seen}")
    anonymous = processes.memory_kib(pid)["anon"]
    workers = int(dict(enumerate(t.place.setup.link.split("/"))).get(2, 1))
    check(anonymous <= workers * 8 << 10, f"{anonymous} KiB of memory of its own")
