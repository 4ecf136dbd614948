"""The loopback path inwards: clients of the host's loopback at published ports, and servers that
wait at the guest's loopback."""

import hashlib
import os
import signal
import socket

import pytest

from harness import (ANY, GUEST, GUEST_PRELUDE, LOOPBACK, PYTHON, check, check_equal, each_family,
                     processes, read_line)
from test_attach import Attached
from test_control import Run
from test_loopback import RESET, each_way
from test_pasta_dropin import Pasta
from test_port_lists import has_port, until

# At each ADDRESS|PORT|WORD: sends WORD, and then back what comes.
SERVE = """
import selectors, threading
ready = selectors.DefaultSelector()
for place in args:
    address, port, word = place.split("|")
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in address: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((address, int(port))); s.listen(300); ready.register(s, selectors.EVENT_READ, word)
def serve(client, word):
    client.settimeout(30)
    try:
        client.sendall(word.encode())
        while data := client.recv(1 << 16): client.sendall(data)
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
    client.close()
print("up", flush=True)
while True:
    for key, _ in ready.select():
        threading.Thread(target=serve, args=(key.fileobj.accept()[0], key.data)).start()
"""
OTHER = {4: 6, 6: 4}
NEAR = {4: "10.0.1.1", 6: "fd01::1"}  # Of the host, where cli is.


def served(t, *places, options):
    run = Run(t, SERVE, *places, options=options)
    check_equal(run.line(), "up", "the guest")
    return run


def said(t, port=8080, address=None, name=None):
    """What a client gets from a published port; nothing where it is refused."""
    try:
        client = t.connect_from(name or t.net.hst, address or LOOPBACK[t.family], port)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(100), b"")).decode()
    except (ConnectionRefusedError, ConnectionResetError):
        return ""


@each_way
@each_family
def test_who_waits_at_the_guests_loopback_alone_is_reached_from_the_hosts(t, way):
    run = served(t, f"{LOOPBACK[t.family]}|80|own", options=["-p", "8080:80", *way])
    for _ in range(3):
        check_equal(said(t), "own", "what a client of the host's loopback gets")
    check_equal(said(t, address=NEAR[t.family], name=t.net.cli), "", "a client from elsewhere")
    check_equal(said(t, address=NEAR[t.family]), "", "a client of the host at its other address")
    check_equal(said(t), "own", "a client of the host's loopback, after those")
    (head,) = [line for line in run.answers("status") if "run" in line]
    check_equal(head["flows"], 0, "flows that are left")


@each_way
@each_family
def test_bytes_both_ways(t, way):
    run = served(t, f"{LOOPBACK[t.family]}|80|", options=["-p", "8080:80", *way])
    client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8080, 60)
    data = os.urandom(1 << 20)
    sent, came = hashlib.sha256(), hashlib.sha256()
    for _ in range(8):
        client.sendall(data)
        sent.update(data)
        left = len(data)
        while left:
            part = client.recv(min(left, 1 << 18))
            check(part, "it ends early")
            came.update(part)
            left -= len(part)
    check_equal(came.hexdigest(), sent.hexdigest(), "8 MiB and back")
    (flow,) = run.flows()
    check_equal((flow["path"], flow["direction"], flow["guest"], flow["guest_port"]),
                ("relay", "in", LOOPBACK[t.family], 80), "the flow")
    check_equal((flow["bytes_to_host"], flow["bytes_to_guest"]), (8 << 20, 8 << 20), "its bytes")
    client.shutdown(socket.SHUT_WR)
    check_equal(client.recv(1), b"", "the end")


@each_way
@each_family
def test_resets_pass_both_ways(t, way):
    run = served(t, f"{LOOPBACK[t.family]}|80|own", options=["-p", "8080:80", *way])
    client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8080)
    check_equal(client.recv(100), b"own", "the greeting")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    check_equal(run.line(), "ECONNRESET", "what the guest's server sees")
    client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8080)
    check_equal(client.recv(100), b"own", "the greeting")
    (flow,) = run.flows()
    run.ctl_ok("kill", flow["flow"])
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    check_equal(run.line(), "ECONNRESET", "what the guest's server sees")


@each_way
@each_family
def test_many_at_once(t, way):
    served(t, f"{LOOPBACK[t.family]}|80|", options=["-p", "8080:80", *way])
    clients = [t.connect_from(t.net.hst, LOOPBACK[t.family], 8080) for _ in range(200)]
    for i, client in enumerate(clients):
        client.sendall(b"%d." % i * 1000)
        client.shutdown(socket.SHUT_WR)
    for i, client in enumerate(clients):
        came = b"".join(iter(lambda client=client: client.recv(1 << 16), b""))
        check_equal(came, b"%d." % i * 1000, f"the echo of {i}")


@each_way
@each_family
def test_the_other_family_of_the_guests_loopback(t, way):
    other = LOOPBACK[OTHER[t.family]]
    served(t, f"{other}|80|other", f"{other}|81|other", f"{LOOPBACK[t.family]}|81|same",
           options=["-p", "8080:80", "-p", "8081:81", *way])
    check_equal(said(t), "other", "the server of the other family")
    check_equal(said(t, 8081), "same", "its own family comes first")


@pytest.mark.parametrize("first", [False, True], ids=["address", "loopback"])
@each_way
@each_family
def test_which_comes_first(t, way, first):
    both = [f"{GUEST[t.family]}|80|address", f"{LOOPBACK[t.family]}|80|loopback"]
    served(t, *both, f"{GUEST[t.family]}|81|address",
           options=["-p", "8080:80", "-p", "8081:81", *way,
                    *(["--host-lo-to-ns-lo"] if first else [])])
    check_equal(said(t), "loopback" if first else "address", "where both wait")
    check_equal(said(t, 8081), "address", "where one waits, at the address")
    check_equal(said(t, address=NEAR[t.family], name=t.net.cli), "address", "from elsewhere")


@each_way
@each_family
def test_where_nobody_waits_it_is_a_reset(t, way):
    served(t, options=["-p", "8080:80", *way])
    check_equal(said(t), "", "a port that nobody serves")
    served(t, options=["-p", "8081:80", "--host-lo-to-ns-lo", *way])
    check_equal(said(t, 8081), "", "the same, the loopback first")


@each_way
@each_family
def test_a_server_that_comes_and_goes(t, way):
    """What was found at the loopback is not believed for ever."""
    run = Run(t, """
for address in args:
    sys.stdin.readline()
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, 80)); s.listen(); print("up", flush=True)
    c, _ = s.accept(); c.sendall(address.encode()); c.close(); s.close()
    print("gone", flush=True)
""", LOOPBACK[t.family], GUEST[t.family], LOOPBACK[t.family], options=["-p", "8080:80", *way])
    for address in (LOOPBACK[t.family], GUEST[t.family], LOOPBACK[t.family]):
        check_equal(said(t), "", "before there is a server")
        run.say()
        check_equal(run.line(), "up", "the guest")
        check_equal(said(t), address, "who answers")
        check_equal(run.line(), "gone", "the guest")
    run.finish()


@each_way
@each_family
def test_a_port_that_follows_is_the_loopbacks_alone(t, way):
    place = LOOPBACK[t.family]
    run = Run(t, """
sys.stdin.readline()
s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
s.bind((args[0], 8085)); s.listen(); print("up", flush=True)
for _ in range(2):
    c, _ = s.accept(); c.sendall(b"own"); c.close()
s.close(); print("closed", flush=True); sys.stdin.readline()
""", place, options=["-t", "auto", "-u", "auto", *way])
    check(not has_port(t, "tcp", 8085), "the port is there already")
    run.say()
    check_equal(run.line(), "up", "the guest")
    until(lambda: has_port(t, "tcp", 8085))
    published = f"[{place}]:8085:8085" if ":" in place else f"{place}:8085:8085"
    check_equal(run.ctl_ok("published").split(), [published], "what is published")
    check_equal(said(t, 8085, NEAR[t.family], t.net.cli), "", "from elsewhere")
    for _ in range(2):
        check_equal(said(t, 8085), "own", "from the host's loopback")
    check_equal(run.line(), "closed", "the guest")
    until(lambda: not has_port(t, "tcp", 8085))
    run.say()
    run.finish()


@each_family
def test_a_published_port_that_comes_later(t):
    """With the fast path's agent there, which makes the sockets."""
    run = served(t, f"{LOOPBACK[t.family]}|80|own", options=["--fast-path=auto"])
    run.ctl_ok("publish", "8080:80")
    check_equal(said(t), "own", "a port of 'sluice ctl publish'")


@each_family
def test_limits_of_the_run_count(t):
    served(t, f"{LOOPBACK[t.family]}|80|own",
           options=["-p", "8080:80", "--host-lo-to-ns-lo", "--max-flows", "10"])
    # Half of what there may be is for the guest's own.
    answered = 0
    kept = []
    for _ in range(8):
        try:
            client = t.connect_from(t.net.hst, LOOPBACK[t.family], 8080)
            answered += client.recv(100) == b"own"
            kept.append(client)
        except ConnectionResetError:
            pass
    check_equal(answered, 5, "clients that are served with --max-flows 10")


@each_way
@each_family
def test_of_a_namespace_that_is_there(t, way):
    attached = Attached(t, "-p", "8080:80", *way)
    server = t.net.popen(t.net.hst, attached.command(
        "sh", "-c", 'ip link set lo up; exec "$@"', "sh", PYTHON, "-uc", GUEST_PRELUDE + SERVE,
        f"{LOOPBACK[t.family]}|80|own"), True, stdout=-1)
    check_equal(read_line(server), "up", "the server in the namespace")
    check_equal(said(t), "own", "what a client gets")
    server.kill()
    os.kill(attached.process, signal.SIGKILL)
    attached.ended()


@pytest.mark.parametrize("option, word", [([], "address"), (["--host-lo-to-ns-lo"], "loopback"),
                                          (["--no-splice"], "address")])
@each_family
def test_as_pasta(t, option, word):
    pasta = Pasta(t)
    child = pasta.popen("--config-net", "-t", "8080:80,8081:81", "-u", "none", *option, "--",
                        PYTHON, "-uc", GUEST_PRELUDE + SERVE, f"{GUEST[t.family]}|80|address",
                        f"{LOOPBACK[t.family]}|80|loopback", f"{LOOPBACK[t.family]}|81|own",
                        stdout=-1)
    check_equal(read_line(child), "up", "the guest")
    check_equal(said(t), word, "where both wait")
    check_equal(said(t, 8081), "" if "--no-splice" in option else "own", "at the loopback alone")
    t.net.stop(child)


@each_family
def test_a_guest_without_an_agent_is_reached_by_the_link(t):
    """Who kills it has what was there before: the address alone."""
    run = served(t, f"{ANY[t.family]}|80|address", f"{LOOPBACK[t.family]}|81|own",
                 options=["-p", "8080:80", "-p", "8081:81", "--host-lo-to-ns-lo"])
    check_equal((said(t), said(t, 8081)), ("address", "own"), "before")
    engine = t.engine_pid(run.child)
    agents = [pid for pid in processes.descendants(run.child.pid) if _is_agent(pid)]
    check(agents, f"no agent below {engine}")
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    until(lambda: (said(t), said(t, 8081)) == ("address", ""))


def _is_agent(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip() == "sluice-agent"
