"""The host's network changes while a guest is served: new flows go as the host goes now, and old ones
end as its kernel ends them. (resolv.conf: test_living.py; names of its resolvers: test_dns.py.)"""

import subprocess

import pytest

from harness import check, check_equal, each_family, read_line, v4_only

# A host that two networks lead to, in each family.
ANYCAST = {4: "192.0.2.77", 6: "2001:db8:77::1"}
CLI = {4: "10.0.1.2", 6: "fd01::2"}

# Says what a connection, or a datagram, comes to, and holds the first connection.
ASK = """
held = None
print("up", flush=True)
while line := sys.stdin.readline():
    what = line.strip()
    try:
        if what == "datagram":
            s = udp(args[0]); s.sendto(b"x", (args[0], 7001)); said = s.recv(100).decode()
        elif what == "held":
            held.sendall(b"y"); said = held.recv(100).decode() or "closed"
        else:
            s = connect(args[0], 7000, 5); s.sendall(b"x"); said = s.recv(100).decode()
            held = held or s
    except OSError as error:
        said = type(error).__name__ + " " + str(error.errno)
    print(said, flush=True)
"""


class Guest:
    """One that is asked whom it reaches."""

    def __init__(self, t):
        self.child = t.start_python(ASK, ANYCAST[t.family], stdin=subprocess.PIPE)
        check_equal(read_line(self.child), "up", "guest")

    def ask(self, what="connection"):
        self.child.stdin.write(what.encode() + b"\n")
        self.child.stdin.flush()
        return read_line(self.child, 30)


def says(name):
    def handler(connection):
        while connection.recv(100):
            connection.sendall(name.encode())
    return handler


def lead_by(t, way):
    """The host's route to the host that both networks have."""
    size = 32 if t.family == 4 else 128
    gateway = {"srv": t.srv, "cli": CLI[t.family]}[way]
    t.net.ip(t.net.hst, f"{'-6 ' if t.family == 6 else ''}route replace "
             f"{ANYCAST[t.family]}/{size} via {gateway}")


def serve_by_both(t):
    size = 32 if t.family == 4 else 128
    for way, name in (("srv", t.net.srv), ("cli", t.net.cli)):
        t.net.ip(name, f"addr add {ANYCAST[t.family]}/{size} dev lo" +
                 (" nodad" if t.family == 6 else ""))
        t.listen(7000, says(way), name)
        code = f"""
import socket
s = socket.socket(socket.AF_INET6 if {t.family} == 6 else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("{ANYCAST[t.family]}", 7001)); print("up", flush=True)
while True:
    _, client = s.recvfrom(100); s.sendto(b"{way}", client)
"""
        server = t.net.popen(name, ["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE)
        check_equal(read_line(server), "up", f"server of {way}")


@each_family
def test_new_flows_take_the_new_route_and_old_ones_end(t):
    serve_by_both(t)
    lead_by(t, "srv")
    guest = Guest(t)
    for what in ("connection", "datagram"):
        check_equal(guest.ask(what), "srv", f"a {what} before the change")
    check_equal(guest.ask("held"), "srv", "the connection that is held")
    lead_by(t, "cli")
    for what in ("connection", "datagram"):
        check_equal(guest.ask(what), "cli", f"a {what} after the change")
    # Nobody there knows of it: the kernel is told so, and so is the guest.
    check_equal(guest.ask("held"), "ConnectionResetError 104", "the connection that was there")


@each_family
def test_without_a_route_it_is_said_at_once_and_with_one_all_is_well(t):
    serve_by_both(t)
    for family in ("", "-6 "):
        t.net.ip(t.net.hst, f"{family}route del default")
    guest = Guest(t)
    for what in ("connection", "datagram"):
        said = guest.ask(what)
        check(said.startswith(("OSError 101", "OSError 113", "TimeoutError")), f"{what}: {said}")
    lead_by(t, "srv")
    for what in ("connection", "datagram"):
        check_equal(guest.ask(what), "srv", f"a {what} once there is a route")


@each_family
def test_an_interface_that_goes_and_comes_back(t):
    serve_by_both(t)
    lead_by(t, "srv")
    guest = Guest(t)
    check_equal(guest.ask(), "srv", "a connection at first")
    t.net.ip(t.net.hst, "link set s0 down")
    said = guest.ask()
    check(said.startswith(("OSError 101", "OSError 113")), f"without the interface: {said}")
    t.net.ip(t.net.hst, "link set s0 up")
    if t.family == 6:  # The kernel has forgotten its addresses.
        t.net.ip(t.net.hst, f"addr add {t.hst}/64 dev s0 nodad")
    lead_by(t, "srv")
    check_equal(guest.ask(), "srv", "a connection with the interface")


@v4_only
@pytest.mark.parametrize("change", ["added", "taken away"])
def test_addresses_of_the_host_are_refused_while_they_are_its(t, change):
    """The host's own addresses are not for guests; which these are changes."""
    new = "10.0.0.77"
    holder = {"added": (t.net.srv, t.net.hst), "taken away": (t.net.hst, t.net.srv)}[change]
    t.net.ip(holder[0], f"addr add {new}/32 dev lo")
    for name in (t.net.srv, t.net.hst):
        t.listen(7000, says("reached"), name)
    child = t.start_python("""
print("up", flush=True)
while sys.stdin.readline():
    try:
        s = connect(args[0], 7000, 5); s.sendall(b"x"); print(s.recv(10).decode(), flush=True)
    except OSError as error: print(type(error).__name__, flush=True)
""", new, stdin=subprocess.PIPE)
    check_equal(read_line(child), "up", "guest")

    def asked():
        child.stdin.write(b"\n")
        child.stdin.flush()
        return read_line(child)

    refused, reached = "ConnectionRefusedError", "reached"
    expected = [reached, refused] if change == "added" else [refused, reached]
    if change == "added":
        t.net.ip(t.net.hst, f"route add {new}/32 via {t.srv}")
    check_equal(asked(), expected[0], "before the change")
    t.net.ip(holder[0], f"addr del {new}/32 dev lo")
    if change == "added":
        t.net.ip(t.net.hst, f"route del {new}/32 via {t.srv}")
    t.net.ip(holder[1], f"addr add {new}/32 dev lo")
    if change == "taken away":
        t.net.ip(t.net.hst, f"route add {new}/32 via {t.srv}")
    check_equal(asked(), expected[1], "after the change")
