"""The loopback path of UDP inwards: clients of the host's loopback at published ports, and servers
that wait at the guest's loopback."""

import itertools
import json
import os
import signal
import time

import pytest

from harness import (GUEST, GUEST_PRELUDE, LOOPBACK, PYTHON, bracket, check, check_equal,
                     each_family, processes, read_line)
from test_control import Run
from test_loopback import each_way
from test_loopback_inbound import NEAR, OTHER
from test_pasta_dropin import Pasta
from test_port_lists import has_port, until

# At each ADDRESS|PORT|WORD: sends back what comes, with WORD before it.
SERVE = """
import selectors
ready = selectors.DefaultSelector()
def serve(place):
    address, port, word = place.split("|")
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    if ":" in address: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((address, int(port))); ready.register(s, selectors.EVENT_READ, word.encode())
    return s
def answer():
    for key, _ in ready.select():
        data, peer = key.fileobj.recvfrom(65536)
        key.fileobj.sendto(key.data + data, peer)
"""
FOR_EVER = """
for place in args: serve(place)
print("up", flush=True)
while True: answer()
"""
# Each line that it hears opens the place that it names, or closes it where it is open.
AS_TOLD = """
opened = {}
ready.register(sys.stdin, selectors.EVENT_READ)
print("up", flush=True)
while True:
    for key, _ in ready.select():
        if key.fileobj is not sys.stdin:
            data, peer = key.fileobj.recvfrom(65536)
            key.fileobj.sendto(key.data + data, peer)
        elif not (place := os.read(0, 1000).decode().strip()): sys.exit()
        elif place in opened:
            ready.unregister(opened[place]); opened.pop(place).close(); print("closed", flush=True)
        else: opened[place] = serve(place); print("open", flush=True)
"""


def served(t, *places, options):
    run = Run(t, SERVE + FOR_EVER, *places, options=options)
    check_equal(run.line(), "up", "the guest")
    return run


# Sockets of UDP with SO_REUSEADDR may be given the same port.
_ports = itertools.count(20_000)


def client_of(t, port=8080, name=None, address=None):
    box = t.udp(next(_ports), name or t.net.hst)
    box.connect((address or LOOPBACK[t.family], port))
    box.settimeout(10)
    return box


def answer(box, data=b"", wait=10):
    """What comes for one datagram; nothing where nobody answers."""
    box.settimeout(wait)
    try:
        box.send(data)
        return box.recv(65536)
    except (ConnectionRefusedError, TimeoutError):
        return b""


def said(t, port=8080, wait=10, **where):
    """What a new client hears for its first datagram."""
    with client_of(t, port, **where) as box:
        return answer(box, wait=wait).decode()


def hears_at_last(box, word):
    """By one of its datagrams: those before the server was there are lost."""
    until(lambda: answer(box, b"x", 0.3) == word + b"x")


@each_way
@each_family
def test_who_waits_at_the_guests_loopback_alone_is_reached_from_the_hosts(t, way):
    served(t, f"{LOOPBACK[t.family]}|80|own", options=["-p", "8080:80/udp", *way])
    for _ in range(3):
        check_equal(said(t), "own", "what a client's first datagram gets")
    check_equal(said(t, wait=1, name=t.net.cli, address=NEAR[t.family]), "", "from elsewhere")
    check_equal(said(t, wait=1, address=NEAR[t.family]), "", "from the host's other address")
    check_equal(said(t), "own", "what a client of the host's loopback gets, after those")


@each_way
@each_family
def test_datagrams_of_all_sizes(t, way):
    served(t, f"{LOOPBACK[t.family]}|80|", options=["-p", "8080:80/udp", *way])
    box = client_of(t)
    for size in (60000, 1, 1400, 0, 9000, 60000):
        data = os.urandom(size)
        check(answer(box, data) == data, f"a datagram of {size} bytes is not what came back")


@each_way
@each_family
def test_the_first_ones_come_all_and_in_order(t, way):
    """Written at once, before anybody knows where the server is; and from two clients."""
    served(t, f"{LOOPBACK[t.family]}|80|", options=["-p", "8080:80/udp", *way])
    boxes = [client_of(t) for _ in range(2)]
    for number in range(6):
        for which, box in enumerate(boxes):
            box.send(b"%d of %d" % (number, which))
    for which, box in enumerate(boxes):
        got = [box.recv(100) for _ in range(6)]
        check_equal(got, [b"%d of %d" % (number, which) for number in range(6)],
                    f"what client {which} hears")
        check_equal(answer(box, b"later"), b"later", "a later datagram")


@each_way
@each_family
def test_the_other_family_of_the_guests_loopback(t, way):
    other = LOOPBACK[OTHER[t.family]]
    served(t, f"{other}|80|other", f"{other}|81|other", f"{LOOPBACK[t.family]}|81|same",
           options=["-p", "8080-8081:80-81/udp", *way])
    check_equal(said(t), "other", "the server of the other family")
    check_equal(said(t, 8081), "same", "its own family comes first")


@pytest.mark.parametrize("first", [False, True], ids=["address", "loopback"])
@each_way
@each_family
def test_which_comes_first(t, way, first):
    served(t, f"{GUEST[t.family]}|80|address", f"{LOOPBACK[t.family]}|80|loopback",
           f"{GUEST[t.family]}|81|address", f"{LOOPBACK[t.family]}|82|loopback",
           options=["-p", "8080-8082:80-82/udp", *way,
                    *(["--host-lo-to-ns-lo"] if first else [])])
    check_equal(said(t), "loopback" if first else "address", "where both wait")
    check_equal(said(t, 8081), "address", "where one waits, at the address")
    check_equal(said(t, 8082), "loopback", "where one waits, at the loopback")
    check_equal(said(t, name=t.net.cli, address=NEAR[t.family]), "address", "from elsewhere")


@each_way
@each_family
def test_a_server_that_comes_and_goes(t, way):
    """One client all the while; what it writes while nobody is there is lost."""
    run = Run(t, SERVE + AS_TOLD, options=["-p", "8080:80/udp", *way])
    check_equal(run.line(), "up", "the guest")
    box = client_of(t)
    for address in (LOOPBACK[t.family], GUEST[t.family], LOOPBACK[t.family]):
        check_equal(answer(box, b"x", 0.5), b"", "while nobody is there")
        place = f"{address}|80|{address}"
        run.say(place)
        check_equal(run.line(), "open", "the guest")
        hears_at_last(box, address.encode())
        check_equal(said(t), address, "what another client hears")
        run.say(place)
        check_equal(run.line(), "closed", "the guest")


@each_way
@each_family
def test_they_are_flows_that_can_be_seen_and_ended(t, way):
    run = served(t, f"{LOOPBACK[t.family]}|80|own", options=["-p", "8080:80/udp", *way])
    box = client_of(t)
    check_equal(answer(box, b"x" * 100), b"own" + b"x" * 100, "the answer")
    (flow,) = run.flows()
    check_equal((flow["path"], flow["direction"], flow["guest_port"]), ("relay", "in", 80),
                "the flow")
    check_equal((flow["bytes_to_guest"], flow["bytes_to_host"]), (100, 103), "its bytes")
    run.ctl_ok("kill", flow["flow"])
    check_equal(run.flows(), [], "flows that are left")
    check_equal(answer(box, b"again"), b"ownagain", "a datagram after the end begins another")


@each_way
@each_family
def test_they_are_in_the_log_and_in_the_report(t, way):
    log, report = t.file("flows"), t.file("report")
    run = Run(t, SERVE + AS_TOLD, options=["-p", "8080:80/udp", "--flow-log", log, "--report=json",
                                           "--report-file", report, *way])
    check_equal(run.line(), "up", "the guest")
    run.say(f"{LOOPBACK[t.family]}|80|")
    check_equal(run.line(), "open", "the guest")
    box = client_of(t)
    for _ in range(7):
        check_equal(len(answer(box, b"y" * 1111)), 1111, "the answer")
    run.say("")
    run.finish()
    with open(log, encoding="utf-8") as file:
        (flow,) = [json.loads(line) for line in file]
    check_equal((flow["protocol"], flow["bytes_to_guest"], flow["bytes_to_host"]),
                ("udp", 7777, 7777), "the line of the log")
    with open(report, encoding="utf-8") as file:
        text = file.read()
    check(text.count("7777") >= 2, f"the report: {text}")


@each_family
def test_many_that_begin_at_once(t):
    """A kernel says six times in a row, and then once a second, that nobody waits at an address.
    Whoever asks again is led to the server that another one has found."""
    served(t, f"{LOOPBACK[t.family]}|80|", options=["-p", "8080:80/udp"])
    boxes = [client_of(t) for _ in range(40)]
    for box in boxes:
        box.send(b"first")
    heard = [answer(box, b"again", 0.3) != b"" for box in boxes]
    check_equal(heard.count(False), 0, "clients that hear nothing for their second datagram")


@each_way
@each_family
def test_hundreds_of_clients_leave_nothing_behind(t, way):
    run = served(t, f"{LOOPBACK[t.family]}|80|", options=["-p", "8080:80/udp", *way])
    engine = t.engine_pid(run.child)

    def held():
        return [len(os.listdir(f"/proc/{pid}/fd"))
                for pid in (engine, *_agents(run.child.pid))]

    def settled():
        """Connections of the control socket, too, are gone by and by."""
        while (found := held()) != (time.sleep(0.2) or held()):
            pass
        return found

    check_equal(said(t), "", "the first client")
    (first,) = run.flows()
    run.ctl_ok("kill", first["flow"])
    until(lambda: not run.flows())
    before = settled()
    boxes = [client_of(t) for _ in range(300)]
    for number, box in enumerate(boxes):
        check_equal(answer(box, b"%d" % number), b"%d" % number, "the echo")
    check(sum(held()) >= sum(before) + 300, "they cost no socket each")
    flows = run.flows()
    check_equal(len(flows), 300, "flows")
    for flow in flows:
        run.ctl_ok("kill", flow["flow"])
    check_equal(run.flows(), [], "flows that are left")
    until(lambda: held() == before)


@each_way
@each_family
def test_a_port_that_follows_is_the_loopbacks_alone(t, way):
    address = LOOPBACK[t.family]
    run = Run(t, SERVE + AS_TOLD, options=["-t", "auto", "-u", "auto", *way])
    check_equal(run.line(), "up", "the guest")
    check(not has_port(t, "udp", 8085), "the port is there already")
    run.say(f"{address}|8085|own")
    check_equal(run.line(), "open", "the guest")
    until(lambda: has_port(t, "udp", 8085))
    check_equal(run.ctl_ok("published").split(), [f"{bracket(address)}:8085:8085/udp"],
                "what is published")
    check_equal(said(t, 8085, 1, address=NEAR[t.family], name=t.net.cli), "", "from elsewhere")
    for _ in range(2):
        check_equal(said(t, 8085), "own", "from the host's loopback")
    run.say(f"{address}|8085|own")
    check_equal(run.line(), "closed", "the guest")
    until(lambda: run.ctl_ok("published") == "")


@each_family
def test_what_leads_out_does_not_lead_back(t):
    """Neither does its port follow, nor is it asked for at the guest's loopback."""
    server = t.udp(8085, t.net.hst, LOOPBACK[t.family])
    run = Run(t, """
print("up", flush=True); sys.stdin.readline()
""", options=["-U", "8085", "-p", "8080:8085/udp", "-u", "auto"])
    check_equal(run.line(), "up", "the guest")
    time.sleep(0.3)
    check_equal(run.ctl_ok("published").split(), ["8080:8085/udp"], "what is published")
    check_equal(said(t, wait=1), "", "a client")
    server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        server.recv(100)
    run.say()
    run.finish()


@pytest.mark.parametrize("option, word, own", [
    ([], "address", "own"), (["--host-lo-to-ns-lo"], "loopback", "own"),
    (["--no-splice"], "address", "")], ids=["default", "loopback-first", "no-splice"])
@each_family
def test_as_pasta(t, option, word, own):
    child = Pasta(t).popen(
        "--config-net", "-t", "none", "-u", "8080:80,8081:81", *option, "--", PYTHON, "-uc",
        GUEST_PRELUDE + SERVE + FOR_EVER, f"{GUEST[t.family]}|80|address",
        f"{LOOPBACK[t.family]}|80|loopback", f"{LOOPBACK[t.family]}|81|own", stdout=-1)
    check_equal(read_line(child), "up", "the guest")
    check_equal(said(t), word, "where both wait")
    check_equal(said(t, 8081, wait=10 if own else 1), own, "at the loopback alone")
    t.net.stop(child)


@each_family
def test_a_guest_without_an_agent_is_reached_by_the_link(t):
    """Who kills it has what was there before: the address alone."""
    run = served(t, f"{GUEST[t.family]}|80|address", f"{LOOPBACK[t.family]}|81|own",
                 options=["-p", "8080-8081:80-81/udp"])
    check_equal((said(t), said(t, 8081)), ("address", "own"), "before")
    agents = _agents(run.child.pid)
    check(agents, "no agent")
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    until(lambda: (said(t, wait=1), said(t, 8081, 1)) == ("address", ""))


def _agents(pid):
    def name(one):
        with open(f"/proc/{one}/comm", encoding="ascii") as file:
            return file.read().strip()
    return [one for one in processes.descendants(pid) if name(one) == "sluice-agent"]
