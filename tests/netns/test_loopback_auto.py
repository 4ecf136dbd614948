"""Ports of the guest's loopback that follow programs of the host (-T auto, -U auto)."""

import socket
import time

import pytest

from harness import (ANY, GUEST_PRELUDE, LOOPBACK, PYTHON, bracket, check, check_equal, each_family,
                     finish, socket_in)
from test_control import Run
from test_loopback import each_way, on_host, says
from test_loopback_datagrams import ASK, echoes
from test_pasta_dropin import Pasta
from test_port_lists import has_port, until

BOTH = ["-T", "auto", "-U", "auto"]
# What a client gets at each port that it is told of, until it is told no more.
CALLS = """
def said(port):
    try: return read_all(connect(args[0], port)).decode() or "reset"
    except OSError as error: return errno.errorcode[error.errno]
print("up", flush=True)
for line in sys.stdin:
    wanted, port = line.split()
    end = time.monotonic() + 10
    while (got := said(int(port))) != wanted and time.monotonic() < end: time.sleep(0.02)
    print(got, flush=True)
"""


def calls(t, *options):
    run = Run(t, CALLS, LOOPBACK[t.family], options=options)
    check_equal(run.line(), "up", "the guest")

    def expect(wanted, port, what):
        run.say(f"{wanted} {port}")
        check_equal(run.line(), wanted, what)
    return run, expect


def end(run):
    status, _, err = finish(run.child)
    check_equal(status, 0, f"exit status, of {err!r}")
    return err


@each_way
@each_family
def test_they_come_and_go_with_the_hosts(t, way):
    run, expect = calls(t, *BOTH, *way)
    expect("ECONNREFUSED", 7000, "before there is a server")
    for _ in range(2):
        server = on_host(t, 7000, says(b"hello"))
        expect("hello", 7000, "once there is one")
        server.close()
        expect("ECONNREFUSED", 7000, "when it has gone")
    check_equal(end(run), "", "what is told")


@each_family
def test_they_are_there_soon(t):
    """A busy machine is late; one that is not has it within a tenth of a second."""
    run = Run(t, """
print("up", flush=True)
for port in (7000, 7001, 7002):
    while outcome(args[0], port)[0] != "ok": time.sleep(0.001)
    print(time.monotonic(), flush=True)
""", LOOPBACK[t.family], options=["-T", "auto"])
    check_equal(run.line(), "up", "the guest")
    late = []
    for port in (7000, 7001, 7002):
        time.sleep(0.1)
        opened = time.monotonic()
        on_host(t, port, says(b"hello"))
        late.append(float(run.line()) - opened)
    run.finish()
    print(f"     there after {', '.join(f'{one * 1000:.0f}' for one in late)} ms")
    check(max(late) < 1, f"the ports took {late} s")


@pytest.mark.parametrize("at", ["loopback", "any"])
@each_family
def test_they_are_there_when_the_command_begins(t, at):
    t.listen(7000, says(b"hello"), t.net.hst, (LOOPBACK if at == "loopback" else ANY)[t.family])
    ask = f"exec 3<>/dev/tcp/{LOOPBACK[t.family]}/7000 && head -c 5 <&3"
    got = [t.guest(["bash", "-c", ask], ["-T", "auto"]).stdout for _ in range(10)]
    check_equal(got, ["hello"] * 10, "what the command got at once")


@each_family
def test_nothing_follows_unless_it_is_asked_for(t):
    on_host(t, 7000, says(b"hello"))
    for options in ([], ["-T", "7001"], ["-U", "auto"], ["-T", "auto", "-T", "none"]):
        done = t.python("print(outcome(args[0], 7000)[0])", LOOPBACK[t.family], options=options)
        check_equal(done, "ECONNREFUSED\n", f"with {options}")


@each_way
@each_family
def test_many_come_and_go(t, way):
    """More than are asked for at once, and some that go while they are."""
    run = Run(t, """
print("up", flush=True)
for line in sys.stdin:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        got = sum(outcome(args[0], port)[0] == "ok" for port in range(21000, 21200))
        if got == int(line): break
    print(got, flush=True)
""", LOOPBACK[t.family], options=["-T", "auto", *way])
    check_equal(run.line(), "up", "the guest")

    def opened():
        ports = [socket_in(t.net.hst, t.family, socket.SOCK_STREAM, LOOPBACK[t.family], port)
                 for port in range(21000, 21200)]
        for one in ports:
            one.listen()
        return ports
    for _ in range(3):
        for pause in (0.01, 0.05, 0.09):
            ports = opened()
            time.sleep(pause)
            for one in ports:
                one.close()
        ports = opened()
        run.say("200")
        check_equal(run.line(), "200", "ports that lead out")
        for one in ports:
            one.close()
        run.say("0")
        check_equal(run.line(), "0", "ports that lead out when they have gone")
    check_equal(end(run), "", "what is told")


@each_way
@each_family
def test_datagrams(t, way):
    heard = echoes(t, 7000)
    done = t.python(ASK + """
for size in (0, 1400, 60000):
    data = os.urandom(size)
    got, peer = ask(7000, data)
    print(got == data, peer[1])
""", LOOPBACK[t.family], options=["-U", "auto", *way])
    check_equal(done, "True 7000\n" * 3, "datagrams, and whom they come from")
    check(heard, "the host's server has heard nobody")


@each_way
@each_family
def test_what_follows_either_way_does_not_go_round(t, way):
    """What the guest opens is published, what the host opens leads out, and neither comes back."""
    on_host(t, 7000, says(b"the host"))
    run = Run(t, """
def serve(port):
    s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
    s.bind((args[0], port)); s.listen(); return s
print(read_all(connect(args[0], 7000)).decode(), flush=True)
own = serve(8085); print("up", flush=True)
c, _ = own.accept(); c.sendall(b"the guest"); c.close()
sys.stdin.readline()
""", LOOPBACK[t.family], options=["-t", "auto", "-u", "auto", *BOTH, *way])
    check_equal(run.line(), "the host", "what the guest gets")
    check_equal(run.line(), "up", "the guest")
    until(lambda: has_port(t, "tcp", 8085))
    published = f"{bracket(LOOPBACK[t.family])}:8085:8085"
    for _ in range(10):
        check_equal(run.ctl_ok("published").split(), [published], "what is published")
    client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8085)
    check_equal(client.recv(100), b"the guest", "what a client of the host's gets")
    run.say()
    run.finish()


@each_way
@each_family
def test_a_published_port_is_not_led_back(t, way):
    """Also where nobody waits behind it, and the guest's port has the same number."""
    run, expect = calls(t, "-p", "8080:8080", *BOTH, "--flow-log", t.file("flows"), *way)
    on_host(t, 7000, says(b"hello"))
    expect("hello", 7000, "what follows")
    expect("ECONNREFUSED", 8080, "the port that is published")
    try:
        check_equal(t.connect_from(t.net.hst, LOOPBACK[t.family], 8080).recv(1), b"", "a client")
    except ConnectionResetError:
        pass
    end(run)
    with open(t.file("flows"), encoding="utf-8") as file:
        to_8080 = [line for line in file if ":8080" in line or '8080,' in line]
    check(len(to_8080) <= 3, f"{len(to_8080)} flows of one client, as {to_8080[:4]}")


@each_family
def test_what_the_guest_has_itself_stays_its_own_and_nothing_is_said(t):
    run = Run(t, """
family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((args[0], 7000)); s.listen()
print("up", flush=True); sys.stdin.readline()
c = socket.create_connection((args[0], 7000)); own, _ = s.accept()
own.sendall(b"the guest"); own.close(); print(read_all(c).decode(), flush=True); c.close(); s.close()
end = time.monotonic() + 10
while (got := outcome(args[0], 7000)[0]) != "ok" and time.monotonic() < end: time.sleep(0.02)
print(read_all(connect(args[0], 7000)).decode(), flush=True)
""", LOOPBACK[t.family], options=BOTH)
    check_equal(run.line(), "up", "the guest")
    on_host(t, 7000, says(b"the host"))
    on_host(t, 7001, says(b"the host"))
    run.say()
    check_equal(run.line(), "the guest", "who has the port")
    check_equal(run.line(), "the host", "who has it once the guest's has gone")
    check_equal(end(run), "", "what is told")


@each_family
def test_one_that_is_named_leads_where_it_was_said(t):
    on_host(t, 7000, says(b"7000"))
    on_host(t, 7001, says(b"7001"))
    run, expect = calls(t, "-T", "7000:7001", "-T", "auto")
    expect("7001", 7000, "the port that is named")
    expect("7001", 7001, "the port that follows")
    end(run)


@each_way
@each_family
def test_what_is_left_out_by_name_does_not_lead_out(t, way):
    for port in (7000, 7001, 7002):
        on_host(t, port, says(str(port).encode()))
    run, expect = calls(t, "-T", "auto,~7001,7003:7001", *way)
    expect("7000", 7000, "a port that follows")
    expect("7001", 7003, "a port that is named, to a server that is left out")
    expect("ECONNREFUSED", 7001, "the port that is left out")
    expect("7002", 7002, "the one after it")
    check_equal(end(run), "", "what is told")


@pytest.mark.alone
@each_family
def test_of_more_than_a_thousand_others_are_left_out(t):
    held = [socket_in(t.net.hst, t.family, socket.SOCK_STREAM, LOOPBACK[t.family], port)
            for port in range(20000, 21100)]
    for one in held:
        one.listen()
    done = t.guest([PYTHON, "-c", GUEST_PRELUDE + """
print(sum(outcome(args[0], port)[0] == "ok" for port in range(20000, 21100)))
""", LOOPBACK[t.family]], ["-T", "auto"])
    check_equal(done.stdout, "1024\n", f"ports that lead out; {done.stderr}")
    check_equal(done.stderr.count("at more than 1024 ports"), 1, f"warnings in {done.stderr}")
    for one in held:
        one.close()


@each_family
def test_as_pasta(t):
    on_host(t, 7000, says(b"hello"))
    pasta = Pasta(t)
    code = GUEST_PRELUDE + """
try: print(read_all(connect(args[0], 7000)).decode())
except OSError as error: print(errno.errorcode[error.errno])
"""
    for options, wanted in (([], "hello"), (["-t", "none", "-u", "none"], "hello"),
                            (["-T", "auto"], "hello"), (["-T", "none"], "ECONNREFUSED"),
                            (["-T", "auto,~7000"], "ECONNREFUSED"),
                            (["-t", "none", "-u", "none", "-T", "none", "-U", "none"],
                             "ECONNREFUSED"),
                            (["--no-splice"], "ECONNREFUSED")):
        done = pasta.run("--config-net", *options, "--", PYTHON, "-c", code, LOOPBACK[t.family])
        check_equal((done.stdout, done.stderr), (f"{wanted}\n", ""), f"with {options}")


def test_a_mistake_names_the_option(t):
    for option, word in (("--tcp-ns", "127.0.0.1/auto"), ("--udp-ns", "auto,all")):
        status, _, said = finish(t.start(["true"], [option, word]))
        check_equal(status, 2, f"exit status: {said}")
        check(f"{option}: '{word}'" in said, said)
