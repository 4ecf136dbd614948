"""Which ports are published: those that are picked, listed, left out, by the thousand, and for a
moment only."""

import json
import os
import re
import socket
import subprocess
import time

import pytest

from harness import (ANY, Failure, GUEST, LOOPBACK, PYTHON, bracket, check, check_equal, each_family, echo,
                     finish, processes, read_line, socket_in, v4_only)
from test_control import Run, abstract

# Serves echoes at each of the ports that it is given.
SERVE = """
import selectors
family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
ready = selectors.DefaultSelector()
for port in args[1:]:
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((args[0], int(port))); listener.listen(100)
    ready.register(listener, selectors.EVENT_READ)
print("up", flush=True)
while True:
    for key, _ in ready.select():
        client, _ = key.fileobj.accept()
        client.settimeout(20)
        client.sendall(b"%d:" % client.getsockname()[1] + client.recv(100)); client.close()
"""


def asked(t, port, address=None):
    """What a client on the host gets from a published port."""
    client = t.connect_from(t.net.hst, address or LOOPBACK[t.family], port)
    client.sendall(b"hello")
    said = b""
    while data := client.recv(100):
        said += data
    return said


def refused(t, port):
    try:
        return asked(t, port) == b""
    except (ConnectionRefusedError, ConnectionResetError):
        return True


@each_family
def test_a_free_port_is_picked_and_told(t):
    run = Run(t, SERVE, ANY[t.family], 80, options=["-p", "0:80"])
    told = run.child.stderr.readline().decode()
    port = int(re.fullmatch(r"sluice: published: (\d+):80\n", told)[1])
    check_equal(run.line(), "up", "guest")
    check_equal(asked(t, port), b"80:hello", "what the port that was picked leads to")
    check_equal(run.ctl_ok("published"), f"{port}:80\n", "what 'sluice ctl published' says")

    later = run.ctl_ok("publish", "0:80")
    check(re.fullmatch(r"\d+:80\n", later), f"'sluice ctl publish 0:80' says {later!r}")
    check_equal(asked(t, int(later.split(":")[0])), b"80:hello", "the later port")
    check_equal(run.ctl_ok("unpublish", later.strip()), "", "unpublish")
    check(refused(t, int(later.split(":")[0])), "the later port is still there")


@each_family
def test_lists_of_ports(t):
    run = Run(t, SERVE, ANY[t.family], 80, 9000, 9001, 9002,
              options=["-t", "8081:80,9000-9002,~9001", "-t", f"{LOOPBACK[t.family]}/8082:80"])
    check_equal(run.line(), "up", "guest")
    for port, leads_to in ((8081, 80), (9000, 9000), (9002, 9002), (8082, 80)):
        check_equal(asked(t, port), b"%d:hello" % leads_to, f"port {port}")
    check(refused(t, 9001), "9001 was excluded")


@each_family
def test_a_port_that_cannot_be_had_ends_the_start_or_is_left_out(t):
    theirs = f"""
import socket, sys
s = socket.socket(socket.AF_INET6 if {t.family} == 6 else socket.AF_INET)
s.bind(("{LOOPBACK[t.family]}", 8080)); s.listen(); print("up", flush=True); sys.stdin.readline()"""
    holder = t.net.popen(t.net.hst, [PYTHON, "-c", theirs], True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    check_equal(read_line(holder), "up", "who has the port")
    status, _, error = finish(t.start(["true"], ["-p", "8080:80"]))
    check_equal(status, 125, "exit status")
    # The tests' users have their processes in one PID namespace, and see their own.
    check(re.search(r"8080:80: cannot listen on \S+:8080: Address already in use; "
                    rf"'python3' \(process {holder.pid}\) has this port: choose a different one",
                    error), f"it says {error!r}")

    run = Run(t, SERVE, ANY[t.family], 80,
              options=["--ignore-bind-errors", "-p", "8080:80", "-p", "8083:80"])
    check_equal(run.line(), "up", "guest")
    told = run.child.stderr.readline().decode()
    check(told.startswith("sluice run: warning: not published: 8080:80: cannot listen on"),
          f"it says {told!r}")
    check_equal(asked(t, 8083), b"80:hello", "the port that is free")


FOLLOWED = """
family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
print("up", flush=True)
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    sys.stdin.readline()
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((args[0], 8085))
    if kind == socket.SOCK_STREAM: s.listen()
    print(time.monotonic(), flush=True)
    if kind == socket.SOCK_STREAM:
        c, _ = s.accept(); c.sendall(c.recv(100)); c.close()
    else:
        data, client = s.recvfrom(100); s.sendto(data, client)
    sys.stdin.readline(); s.close(); print("closed", flush=True)
"""


def until(condition, seconds=5):
    """When it came true, by the clock."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "it does not come true")
        time.sleep(0.002)
    return time.monotonic()


def has_port(t, kind, port):
    """Whether somebody on the host listens there, of this family."""
    table = f"/proc/self/net/{kind}" + ("6" if t.family == 6 else "")
    rows = subprocess.run(["ip", "netns", "exec", t.net.hst, "cat", table], capture_output=True,
                          text=True, check=True).stdout
    return f":{port:04X} " in rows


@pytest.mark.parametrize("address", ["any", "own"])
@each_family
def test_ports_follow_the_guest(t, address):
    place = ANY[t.family] if address == "any" else GUEST[t.family]
    run = Run(t, FOLLOWED, place, options=["-t", "auto", "-u", "auto"])
    check_equal(run.line(), "up", "guest")
    late = []
    for kind in ("tcp", "udp"):
        check(not has_port(t, kind, 8085), "the port is there already")
        run.say()
        opened = float(run.line())
        late.append(until(lambda kind=kind: has_port(t, kind, 8085)) - opened)
        if kind == "tcp":
            client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8085)
            client.sendall(b"hello")
        else:
            client = socket_in(t.net.hst, t.family, socket.SOCK_DGRAM)
            client.settimeout(5)
            client.sendto(b"hello", (LOOPBACK[t.family], 8085))
        check_equal(client.recv(100), b"hello", f"the echo by {kind}")
        client.close()
        run.say()
        check_equal(run.line(), "closed", "guest")
        until(lambda kind=kind: not has_port(t, kind, 8085))
    run.finish()
    print(f"     there after {late[0] * 1000:.0f} and {late[1] * 1000:.0f} ms")
    # A busy machine is late; one that is not has it within a tenth of a second.
    check(max(late) < 1, f"the ports took {late} s")


@each_family
def test_what_is_not_to_be_followed(t):
    """Ports that the host has itself, of that protocol, and those that are left out by name."""
    theirs = socket_in(t.net.hst, t.family, socket.SOCK_STREAM, ANY[t.family], 8087)
    theirs.listen()
    code = f"""
family = socket.AF_INET6 if {t.family} == 6 else socket.AF_INET
held = []
for address, port in (("{LOOPBACK[t.family]}", 8086), ("{ANY[t.family]}", 8087),
                      ("{ANY[t.family]}", 8089), ("{ANY[t.family]}", 8088)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind); s.bind((address, port)); held.append(s)
        if kind == socket.SOCK_STREAM: s.listen()
print("up", flush=True); sys.stdin.readline()
"""
    place = f"{LOOPBACK[t.family]}/auto"
    run = Run(t, code, options=["-t", f"{place},~8089-8090", "-u", place])
    check_equal(run.line(), "up", "guest")
    until(lambda: has_port(t, "tcp", 8088) and has_port(t, "udp", 8089))
    here = bracket(LOOPBACK[t.family])
    check_equal(sorted(run.ctl_ok("published").split()),
                [f"{here}:8086:8086", f"{here}:8086:8086/udp", f"{here}:8087:8087/udp",
                 f"{here}:8088:8088", f"{here}:8088:8088/udp", f"{here}:8089:8089/udp"],
                "what is published")
    run.say()
    run.finish()
    theirs.close()


@pytest.mark.alone
def test_a_guest_that_opens_and_closes_ports_is_bounded(t):
    """Its thousands of ports cost others little, and are gone with it."""
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
print("up", flush=True); sys.stdin.readline()
end = time.monotonic() + float(args[0])
while time.monotonic() < end:
    held = []
    for port in range(2000, 5000):
        s = socket.socket(); s.bind(("0.0.0.0", port)); s.listen(); held.append(s)
    time.sleep(0.3)
    for s in held: s.close()
print("done", flush=True); sys.stdin.readline()
"""
    run = Run(t, code, 2 if t.fast else 10, options=["-t", "auto"])
    check_equal(run.line(), "up", "guest")
    engine = t.engine_pid(run.child)
    time.sleep(0.5)
    before = len(os.listdir(f"/proc/{engine}/fd")), processes.memory_kib(engine)["rss"]
    run.say()
    check_equal(run.line(120), "done", "guest")
    check(run.status()["run"], "nobody answers")
    until(lambda: len(os.listdir(f"/proc/{engine}/fd")) <= before[0] + 2, 20)
    grown = processes.memory_kib(engine)["rss"] - before[1]
    check(grown < 2048, f"it has grown by {grown} KiB")
    run.say()
    run.finish()


def started(t, options):
    """How long it takes until the guest is there, and what the engine's memory is then."""
    begun = time.monotonic()
    child = t.start(["sh", "-c", "echo up; sleep 100"], options)
    check_equal(read_line(child), "up", "guest")
    took = time.monotonic() - begun
    time.sleep(0.3)
    return took, processes.memory_kib(t.engine_pid(child))["rss"]


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_five_thousand_ports_start_in_a_second_and_4_mib(t, kind):
    bare, idle = started(t, [])
    took, rss = started(t, ["-4", "-p", f"127.0.0.1:10000-14999:10000-14999/{kind}"])
    said = f"{took - bare:.2f} s and {rss - idle} KiB for 5,000 ports of {kind}"
    print(f"     {said}")
    check(took - bare < 1, said)
    check(rss - idle <= 4096, said)


CYCLES = """
def forever():
    while True:
        s = connect(args[0], 7000, 20)
        s.sendall(b"x" * 20000); s.shutdown(socket.SHUT_WR)
        if len(read_all(s)) != 20000: print("lost"); return
        s.close()
        time.sleep(0.005)  # Flows that ended lately are kept for a while: so many at each moment.
threading.Thread(target=forever, daemon=True).start()
print("up", flush=True); sys.stdin.readline()
"""


@v4_only
@pytest.mark.alone
def test_ten_thousand_ports_come_and_go_under_traffic(t):
    t.listen(7000, echo)
    count = 1_000 if t.fast else 10_000
    run = Run(t, "import threading\n" + CYCLES, t.srv)
    check_equal(run.line(), "up", "guest")
    engine = t.engine_pid(run.child)
    client = abstract(t, run.name())
    answers = client.makefile("r")

    def cycles(number):
        for i in range(number):
            port = f"127.0.0.1:{20000 + i % 500}:80" + ("/udp" if i % 3 == 0 else "")
            for do in ("publish", "unpublish"):
                client.sendall(json.dumps({"do": do, "port": port}).encode() + b"\n")
                answer = json.loads(answers.readline())
                check(answer.get("ok"), f"{do} {port}: {answer}")

    def sizes():
        time.sleep(1)  # Of connections that are just ending.
        return len(os.listdir(f"/proc/{engine}/fd")), processes.memory_kib(engine)["rss"]

    def steady():
        """What is held once it grows no more: the buffers of the first connections are new."""
        before = sizes()
        for _ in range(20):
            cycles(100)
            now = sizes()
            if now[1] <= before[1] + 16:
                return now
            before = now
        raise Failure(f"it grows and grows: {before}")

    before = steady()
    begun = time.monotonic()
    cycles(count)
    took = time.monotonic() - begun
    after = sizes()
    print(f"     {count} cycles in {took:.1f} s; descriptors and KiB: {before}, {after}")
    check(after[0] <= before[0] + 8, f"descriptors: {before[0]} before, {after[0]} after")
    check(after[1] <= before[1] + 256, f"KiB: {before[1]} before, {after[1]} after")
    run.say()
    run.finish()


@each_family
def test_who_was_accepted_stays_when_a_port_goes(t):
    run = Run(t, f"""
listener = socket.socket(socket.AF_INET6 if {t.family} == 6 else socket.AF_INET)
listener.bind((args[0], 80)); listener.listen()
print("up", flush=True)
c, _ = listener.accept()
while data := c.recv(100): c.sendall(data)
""", ANY[t.family], options=["-p", "8080:80"])
    check_equal(run.line(), "up", "guest")
    client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8080)
    for word in (b"before", b"after"):
        client.sendall(word)
        check_equal(client.recv(100), word, "the echo")
        if word == b"before":
            run.ctl_ok("unpublish", "8080:80")
            check(refused(t, 8080), "the port is still there")
    client.close()
    run.finish()
