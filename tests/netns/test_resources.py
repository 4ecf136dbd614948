"""Memory, descriptors and wake-ups of the serving process."""

import os
import time

import pytest

from harness import (GUEST_PRELUDE, PYTHON, check, check_equal, each_family, echo, processes,
                     read_line)
from test_datagrams import serve_echo

LIMITS = ["--max-flows", "50000", "--new-flows-per-second", "1000000"]


@pytest.mark.alone
def test_idle_memory_is_at_most_8_mib(t):
    child = t.start(["sleep", "1000"])
    engine = t.engine_pid(child)
    time.sleep(1)
    rss = processes.memory_kib(engine)["rss"]
    check(rss <= 8192, f"idle RSS is {rss} KiB")


@pytest.mark.alone
def test_idle_guest_causes_no_wake_ups(t):
    child = t.start(["sleep", "1000"])
    engine = t.engine_pid(child)
    time.sleep(6)  # The guest's kernel announces itself by MLD and asks for a router at first.
    before = processes.voluntary_switches(engine)
    time.sleep(10)
    woken = processes.voluntary_switches(engine) - before
    check_equal(woken, 0, "wake-ups in 10 s")


@pytest.mark.alone
def test_a_deleted_interface_keeps_nobody_busy(t):
    child = t.start(["sh", "-c", "ip link delete tap0 && echo gone; exec sleep 1000"], ["--as-root"])
    engine = t.engine_pid(child)
    check_equal(read_line(child), "gone", "the interface")
    time.sleep(1)
    before = sum(processes.cpu_seconds(engine))
    time.sleep(2)
    spent = sum(processes.cpu_seconds(engine)) - before
    check(spent < 0.05, f"{spent:.2f} s of CPU in 2 s without an interface")


@each_family
@pytest.mark.alone
def test_ten_thousand_idle_flows_need_1_kib_each(t):
    count = 10_000
    growth = t.idle_flows(count, LIMITS)
    check(growth <= count, f"{growth} KiB for {count} flows: {growth / count:.2f} KiB each")


@each_family
def test_exhausted_descriptors_refuse_only_new_flows(t):
    """Several processes of the guest together open more than the engine may."""
    t.listen(7000, echo)
    code = """
held, refused = [], 0
for _ in range(40):
    try: held.append(connect(args[0], 7000, 5))
    except OSError: refused += 1
for s in held: s.sendall(b"x"); assert s.recv(1) == b"x"
time.sleep(2)
for s in held: s.sendall(b"y"); assert s.recv(1) == b"y"
# One write: print() makes several when Python is unbuffered, and four guests write here.
sys.stdout.write(f"{len(held)} {refused}\\n")
"""
    launch = t.command(["sh", "-c", 'for i in 1 2 3 4; do "$@" & done; wait', "sh",
                        PYTHON, "-c", GUEST_PRELUDE + code, t.srv], LIMITS)
    done = t.net.run(t.net.hst, ["prlimit", "--nofile=96:96", *launch], True, 60)
    lines = [line.split() for line in done.stdout.splitlines()]
    check_equal(len(lines), 4, f"guests that kept their connections ({done.stderr[-300:]})")
    held = sum(int(line[0]) for line in lines)
    check(30 <= held < 96, f"{held} connections held under a limit of 96 descriptors")
    check_equal(held + sum(int(line[1]) for line in lines), 160, "held and refused")


def test_refusals_by_descriptors_end_with_the_shortage(t):
    t.family = 4
    t.listen(7000, echo)
    code = """
import os
def hog():
    held = []
    for _ in range(80):
        try: held.append(connect(args[0], 7000, 5))
        except OSError: pass
    time.sleep(1)
    os._exit(0)
hogs = [os.fork() or hog() for _ in range(2)]
for pid in hogs: os.waitpid(pid, 0)
time.sleep(1)
s = connect(args[0], 7000, 5); s.sendall(b"x"); print(s.recv(1).decode())
"""
    launch = t.command([PYTHON, "-c", GUEST_PRELUDE + code, t.srv], LIMITS)
    done = t.net.run(t.net.hst, ["prlimit", "--nofile=96:96", *launch], True, 60)
    check_equal(done.stdout.strip(), "x", f"echo after the shortage ({done.stderr[-300:]})")


def test_opened_and_closed_flows_leave_no_descriptors(t):
    t.family = 4
    t.lab_server("--echo", 7007)
    child = t.start(["sh", "-c", f"{t.client('crr-client')} $1 7007 50 --concurrency 64; "
                     "sleep 1; echo up; sleep 100", "sh", t.srv], LIMITS)
    read_line(child, 60)
    check_equal(read_line(child, 60), "up", "guest")
    count = len(os.listdir(f"/proc/{t.engine_pid(child)}/fd"))
    check(count < 40, f"{count} descriptors are open after all flows were closed")


def test_questions_make_room_when_descriptors_are_used_up(t):
    """300 sockets of the guest ask once each under a limit of 96 descriptors: each is answered, and
    so are a connection and a conversation that was there before."""
    t.family = 4
    t.listen(7000, echo)
    serve_echo(t.udp(9000), 1000)
    code = """
import os
def talk():
    talker.sendto(b"talk", (args[0], 9000)); return talker.recv(10) == b"talk"
def ask():
    held, answered = [], 0
    for _ in range(60):
        s = udp(args[0]); held.append(s); s.sendto(b"q", (args[0], 9000))
        try: answered += s.recv(10) == b"q"
        except OSError: pass
    os.write(1, b"%d " % answered)
    time.sleep(3)
    os._exit(0)
talker = udp(args[0]); talk(), talk()
# Each has the limit, too. Their sockets stay open together.
asking = [os.fork() or ask() for _ in range(5)]
time.sleep(2)
s = connect(args[0], 7000, 5); s.sendall(b"x")
os.write(1, f"{s.recv(1).decode()} {talk()}".encode())
for pid in asking: os.waitpid(pid, 0)
"""
    launch = t.command([PYTHON, "-c", GUEST_PRELUDE + code, t.srv], LIMITS)
    done = t.net.run(t.net.hst, ["prlimit", "--nofile=96:96", *launch], True, 60)
    check_equal(done.stdout.strip(), "60 60 60 60 60 x True", f"answered, echo, talk ({done.stderr[-300:]})")
