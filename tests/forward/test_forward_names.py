"""Names of targets: resolved by our own DNS server, again when their time is over, failover."""

import socket
import struct
import subprocess
import threading
import time

from forwarding import check, wait_until
from harness import check_equal


class Dns:
    """Answers A questions on 127.0.0.53 from `names`; what it lacks does not exist."""

    def __init__(self, t, names, ttl=1):
        self.names, self.ttl, self.questions = names, ttl, 0
        self.broken = False
        self.rcode = None  # Of every answer.
        self._socket = t.udp("127.0.0.53", 53, timeout=None)
        self._mount(t, "/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:1\n")
        self._mount(t, "/etc/hosts", "127.0.0.1 localhost\n127.0.0.88 from-hosts.test\n")
        threading.Thread(target=self._run, daemon=True).start()

    @staticmethod
    def _mount(t, path, text):
        """In this test's own mount namespace."""
        own = t.path(path.rpartition("/")[2], text)
        subprocess.run(["mount", "--bind", own, path], check=True)

    def _run(self):
        while True:
            question, sender = self._socket.recvfrom(4096)
            if not self.broken:
                self._socket.sendto(self._answer(question), sender)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        name = ".".join(labels)
        self.questions += 1
        addresses = self.names.get(name)
        rcode = 3 if addresses is None else 0
        if self.rcode:
            rcode, addresses = self.rcode, []
        records = b""
        listed = (addresses or []) if kind == 1 else []
        for address in listed:
            records += (b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, self.ttl, 4) +
                        socket.inet_aton(address))
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(listed), 0, 0)
        return head + question + records


def naming(t, address, port):
    return t.serve(lambda c: c.sendall(address.encode()) or c.recv(1), host=address, port=port)


def where(t, port):
    try:
        with t.connect(port) as client:
            return client.recv(100).decode()
    except ConnectionResetError:
        return "reset"


def test_name_of_a_target_is_resolved(t):
    Dns(t, {"db.test": ["127.0.0.20"]})
    target, port = t.port(), t.port()
    naming(t, "127.0.0.20", target)
    t.forward(f"127.0.0.1:{port}", f"db.test:{target}")
    check_equal(where(t, port), "127.0.0.20", "the first connection's target")


def test_name_is_resolved_again_when_its_ttl_is_over(t):
    dns = Dns(t, {"db.test": ["127.0.0.20"]})
    target, port = t.port(), t.port()
    naming(t, "127.0.0.20", target)
    naming(t, "127.0.0.21", target)
    t.forward(f"127.0.0.1:{port}", f"db.test:{target}")
    check_equal(where(t, port), "127.0.0.20", "at first")
    dns.names["db.test"] = ["127.0.0.21"]
    wait_until(lambda: where(t, port) == "127.0.0.21", "the new address is not used", 6)


def test_name_with_several_addresses_fails_over(t):
    Dns(t, {"db.test": ["127.0.0.20", "127.0.0.21", "127.0.0.22"]})
    target, port = t.port(), t.port()
    naming(t, "127.0.0.22", target)
    t.forward(f"127.0.0.1:{port}", f"db.test:{target}")
    check_equal([where(t, port) for _ in range(6)], ["127.0.0.22"] * 6, "the one that lives")


def two_addresses(t):
    """A name with one address that swallows everything and one that lives; its port."""
    for words in ("link add hole type veth peer name deaf", "addr add 10.99.0.1/24 dev hole",
                  "link set hole up", "link set deaf up",
                  "neigh add 10.99.0.7 lladdr 02:00:00:00:00:07 dev hole nud permanent"):
        subprocess.run(["ip", *words.split()], check=True)
    Dns(t, {"db.test": ["10.99.0.7", "10.99.0.1"]})
    target = t.port()
    naming(t, "10.99.0.1", target)
    return target


def test_name_with_an_address_that_swallows_costs_no_timeout(t):
    """RFC 8305: the next address is tried 250 ms later, not after the whole timeout."""
    target, port = two_addresses(t), t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"db.test:{target}")
    idle = forwarder.descriptors()
    for _ in range(4):  # Addresses take turns to be the first.
        began = time.monotonic()
        check_equal(where(t, port), "10.99.0.1", "the one that lives")
        took = time.monotonic() - began
        check(took < 3, f"the connection took {took:.2f} s; a timeout is 10 s")
    wait_until(lambda: forwarder.descriptors() <= idle, "a connect that lost is still there")


def test_name_with_an_address_that_swallows_udp_to_tcp(t):
    target, port = two_addresses(t), t.port()
    t.forward(f"udp://127.0.0.1:{port}", f"tcp://db.test:{target}")
    for _ in range(2):
        client = t.udp_client(port, timeout=3)
        client.send(b"x")
        check_equal(client.recv(100), b"10.99.0.1", "the one that lives")


def test_name_keeps_its_addresses_while_dns_is_silent(t):
    dns = Dns(t, {"db.test": ["127.0.0.20"]})
    target, port = t.port(), t.port()
    naming(t, "127.0.0.20", target)
    t.forward(f"127.0.0.1:{port}", f"db.test:{target}")
    check_equal(where(t, port), "127.0.0.20", "at first")
    asked = dns.questions
    wait_until(lambda: dns.questions > asked, "it asks no more", 6)
    dns.broken = True
    threading.Event().wait(3)
    check_equal(where(t, port), "127.0.0.20", "with a silent server")
    del dns.names["db.test"]
    dns.broken = False


def test_name_after_an_outage_of_its_server(t):
    """Silent, SERVFAIL, REFUSED: the new address is in use within two seconds."""
    dns = Dns(t, {"db.test": ["127.0.0.20"]})
    target, port = t.port(), t.port()
    for last in range(20, 24):
        naming(t, f"127.0.0.{last}", target)
    t.forward(f"127.0.0.1:{port}", f"db.test:{target}")
    check_equal(where(t, port), "127.0.0.20", "at first")
    for fresh, rcode in ((21, None), (22, 2), (23, 5)):
        dns.broken, dns.rcode = rcode is None, rcode
        time.sleep(3)
        check_equal(where(t, port), f"127.0.0.{fresh - 1}", "meanwhile")
        dns.names["db.test"] = [f"127.0.0.{fresh}"]
        dns.broken, dns.rcode = False, None
        wait_until(lambda fresh=fresh: where(t, port) == f"127.0.0.{fresh}",
                   f"the new address is not used (rcode {rcode})", 2.5)


def test_name_that_does_not_exist_yet(t):
    """The rule starts; clients are reset until the name is there."""
    dns = Dns(t, {})
    target, port = t.port(), t.port()
    naming(t, "127.0.0.20", target)
    t.forward(f"127.0.0.1:{port}", f"later.test:{target}")
    check_equal(where(t, port), "reset", "without an address")
    check(dns.questions > 0, "nobody asked for the name")


def test_name_in_etc_hosts_counts(t):
    Dns(t, {})
    target, port = t.port(), t.port()
    naming(t, "127.0.0.88", target)
    t.forward(f"127.0.0.1:{port}", f"from-hosts.test:{target}")
    check_equal(where(t, port), "127.0.0.88", "the address of /etc/hosts")


def test_name_of_a_udp_target(t):
    Dns(t, {"dns.test": ["127.0.0.20"]})
    target, port = t.port(), t.port()
    server = t.udp("127.0.0.20", target)
    t.forward(f"udp://127.0.0.1:{port}", f"udp://dns.test:{target}")
    client = t.udp_client(port)
    client.send(b"x")
    check_equal(server.recvfrom(10)[0], b"x", "what the target got")
