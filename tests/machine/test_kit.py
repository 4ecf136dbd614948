"""The kit itself: guests boot, run what they are told and say what came of it, with engines that
are not ours: a test of sluice that fails here too is the kit's fault."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from harness import check, check_equal, echo
from labkit import netns, processes
from machines import kit as kits
from machines import machine as machines

other_engines = pytest.mark.setups("qemu-slirp-slirp", "qemu-stream-passt", "uml-bess-passt")


@other_engines
def test_guest_says_status_and_both_outputs(t):
    done = t.run("echo out; echo err >&2; exit 3")
    check_equal((done.returncode, done.stdout, done.stderr), (3, "out\n", "err\n"), "a command")


@other_engines
def test_guest_has_long_outputs_unchanged(t):
    said = t.ok("seq 1 40000")
    check_equal(said, "".join(f"{number}\n" for number in range(1, 40001)), "40000 lines")


@other_engines
def test_command_that_takes_too_long_names_itself(t):
    with pytest.raises(machines.GuestError, match="sleep 4"):
        t.run("sleep 4", timeout=1)
    # The next one's answer is its own.
    check_equal(t.ok("echo on"), "on\n", "the command after it")


@other_engines
def test_guest_reaches_a_server(t):
    t.family = 4
    t.listen(7001, echo)
    said = t.ok(f"rr-client {t.srv} 7001 20 --json")
    check_equal(json.loads(said)["n"], 20, "round trips")


@other_engines
def test_guest_reboots(t):
    t.run("touch /run/before")
    t.machine.reboot()
    t.machine.network_up()
    check(t.run("test -e /run/before").returncode != 0, "the guest has not been started anew")


STARTS_A_MACHINE = """
import sys, time
sys.path[:0] = sys.argv[3:]
from labkit import netns
from machines import kit, links, machine

class Alone(links.Link):
    def uml(self):
        return []

network = netns.Network().__enter__()
machine.Uml(network, kit.build(sys.argv[1]), sys.argv[2], Alone()).boot()
print(network.hst, flush=True)
time.sleep(1000)
"""


def test_a_machine_ends_with_who_started_it(request, tmp_path, kit):
    """Also where that is killed, by somebody else's limit of time."""
    try:
        machines.Uml.check_present()
    except kits.Missing as missing:
        pytest.skip(str(missing))
    folders = [str(pathlib.Path(module.__file__).parents[1]) for module in (netns, machines)]
    starter = subprocess.Popen([sys.executable, "-c", STARTS_A_MACHINE,
                                request.config.option.clients, str(tmp_path), *folders],
                               stdout=subprocess.PIPE, text=True)
    name = starter.stdout.readline().strip()
    check(name, "no machine has come up")
    inode = os.stat(f"/run/netns/{name}").st_ino
    check(processes.in_namespaces({inode}), "no machine runs")
    starter.kill()
    starter.wait()
    starter.stdout.close()
    processes.wait_until(lambda: not processes.in_namespaces({inode}), 60, "something still runs",
                         0.1)
    processes.wait_until(lambda: not os.path.exists(f"/run/netns/{name}"), 60,
                         "its namespace is still there", 0.1)
