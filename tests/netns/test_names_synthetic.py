"""Addresses that stand for names, with real programs: what leaves and when, and what neighbours of a
name on the same server get."""

import pytest

from harness import check, check_equal, each_family, finish
from policy_world import BANNER, World

RULES = """
[[rule]]
allow = ["ok.test:443", "plain.test:80", "ssh.test:22", "ok.test:9/udp", "ok.test/icmp"]
[[rule]]
deny = "alone.evil.test"
note = "ask the owner"
"""
WAYS = pytest.mark.parametrize("way", [[], ["--fast-path=require"], ["--workers=2"]],
                               ids=["auto", "require", "workers"])
SYNTHETIC = 'answers = "synthetic"\ndenied = "nxdomain"\n'
EXPLAIN = 'denied = "explain"\n'


def policy(t, dns, rules=RULES):
    path = t.file("synthetic.toml", f'version = 1\ndefault = "deny"\n[dns]\n{dns}{rules}')
    return ["--policy", path]


@WAYS
@each_family
def test_clients_go_by_synthetic_addresses(t, way):
    world = World(t)
    options = [*policy(t, SYNTHETIC), *way]
    done = world.curl("https://ok.test/", "-w", "%{remote_ip}", options=options)
    where = "198.18.0." if t.family == 4 else "fd73:6c75:6963:e000::"
    check_equal(done.stdout.split("\n")[0], "hello from shared as ok.test", done.stderr)
    check(done.stdout.split("\n")[1].startswith(where), done.stdout)
    done = world.curl("http://plain.test/", options=options)
    check_equal(done.stdout, "hello from plain\n", done.stderr)
    out = t.python('s = socket.create_connection(("ssh.test", 22)); print(s.recv(64)); '
                   's.sendall(b"hello")', options=options)
    check_equal(out.strip(), repr(BANNER), "a server that speaks first")


@WAYS
@each_family
def test_a_neighbour_by_a_protocol_without_names(t, way):
    """Attacks 12 and 33: evil.test has the address of ok.test, and so has ssh on it."""
    world = World(t)
    t.listen(22, lambda connection: connection.sendall(BANNER), address=world.place("shared"))
    out = t.python("""
for host, port in (("evil.test", 22), ("ok.test", 22), (sys.argv[1], 22), (sys.argv[1], 443)):
    try:
        socket.create_connection((host, port), timeout=10)
        print("connected")
    except OSError as error:
        print(type(error).__name__)
""", world.place("shared"), options=[*policy(t, SYNTHETIC), *way])
    refused = "OSError" if t.family == 4 else "PermissionError"
    # ok.test stands for both families, and Python says what became of the last, which is IPv4.
    check_equal(out.split(), ["gaierror", "OSError", refused, refused], "what each gets")
    check_equal([first for first in world.first_bytes if first[2]], [], "nothing arrived")


@each_family
def test_datagrams_come_back_from_the_synthetic_address(t):
    world = World(t)
    server = t.udp(9, address=world.place("shared"))
    run = t.start_python("""
family = socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(20)
where = socket.getaddrinfo("ok.test", 9, family, socket.SOCK_DGRAM)[0][4]
s.sendto(b"one", where)
s.sendto(b"two", where)
for _ in range(2):
    data, source = s.recvfrom(100)
    print(data, source[:2] == where[:2], flush=True)
""", t.family, options=policy(t, SYNTHETIC))
    server.settimeout(20)
    for expected in (b"one", b"two"):
        data, source = server.recvfrom(100)
        check_equal(data, expected, "in their order")
        server.sendto(data.upper(), source)
    _, out, errors = finish(run, 60)
    check_equal(out.split("\n")[:2], ["b'ONE' True", "b'TWO' True"], errors)


@each_family
def test_an_unassigned_address_leads_nowhere(t):
    """Attack 44."""
    World(t)
    out = t.python("""
where = "198.18.3.4" if sys.argv[1] == "4" else "fd73:6c75:6963:e000::304"
try:
    socket.create_connection((where, 443), timeout=10)
except OSError as error:
    print(type(error).__name__)
""", t.family, options=policy(t, SYNTHETIC))
    check_equal(out.strip(), "OSError" if t.family == 4 else "PermissionError", "at once")


@each_family
def test_a_name_to_ask_about_leaves_nobody_asked(t):
    """Attack 21: with nobody there who could say yes, nothing leaves."""
    world = World(t)
    options = policy(t, "", '[[rule]]\nask = "ok.test:443"\n')
    done = world.curl("https://ok.test/", options=options)
    check(done.returncode != 0, done.stdout)
    check("ok.test" not in world.resolver.names(), f"asked upstream: {world.resolver.questions}")
    check_equal(world.first_bytes, [], "nothing arrived")


@WAYS
@each_family
def test_denied_names_are_explained(t, way):
    world = World(t)
    options = [*policy(t, EXPLAIN), *way]
    done = world.curl("https://alone.evil.test/", options=options)
    check("access denied" in done.stderr, f"by TLS: {done.stderr}")
    done = world.curl("http://alone.evil.test/", "-w", "%{http_code}", options=options)
    check("403" in done.stdout and "ask the owner" in done.stdout, f"by HTTP: {done.stdout}")
    check("http://sluice.internal/why/" in done.stdout, done.stdout)
    check(not any(name.endswith("evil.test") for name in world.resolver.names()), "asked upstream")
    check_equal(world.requests, [], "nothing arrived")


@WAYS
@each_family
def test_the_guest_can_look_up_why(t, way):
    world = World(t)
    out = t.python("""
import json, os, urllib.error, urllib.request
url = os.environ["SLUICE_POLICY_URL"]
def get(path):
    with urllib.request.urlopen(url + path, timeout=20) as answer:
        return answer.read().decode()
try:
    socket.create_connection(("alone.evil.test", 443), timeout=10)
except OSError:
    pass
denials = json.loads(get("denials?last=5"))
print(denials[0]["what"], denials[0]["reason"], denials[0]["note"])
print(get(f"why/{denials[0]['id']}").split("\\n")[0])
print(json.loads(get("policy"))["default"])
for path in ("why/9999", "nothing"):
    try:
        get(path)
    except urllib.error.HTTPError as error:
        print(error.code)
""", options=[*policy(t, 'denied = "nxdomain"\n'), *way])
    check_equal(out.split("\n")[:5], ["alone.evil.test name-denied ask the owner",
                                      "alone.evil.test is not allowed", "deny", "404", "404"],
                "the pages")
    check_equal(world.requests, [], "nobody else was asked")
