"""First bytes under a policy by name, with real programs: what a hello or a request says must agree
with the name that led to its address."""

import pytest

from harness import check, check_equal, each_family
from policy_world import POLICY, World

REQUIRE = [*POLICY, "--fast-path=require"]
TALK = """
def open_to(name, port):
    s = socket.create_connection((name, port), timeout=20)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s
def rest(s):
    # All that still comes; a reset says so.
    said = b""
    try:
        while part := s.recv(65536):
            said += part
    except ConnectionError:
        said += b"<reset>"
    return said
def hello(name):
    import ssl
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl._create_unverified_context()
    client = context.wrap_bio(inward, outward, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outward.read()
def get(host):
    return f"GET / HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode()
"""


def talk(t, code, options=POLICY):
    return t.python(TALK + code, options=options)


def reached(world):
    """What servers have got of anybody."""
    return world.requests, [first for first in world.first_bytes if first[2]]


@pytest.mark.parametrize("options", [POLICY, REQUIRE], ids=["auto", "require"])
@each_family
def test_a_neighbour_on_the_same_address(t, options):
    """Attacks 24 and 36: the address of ok.test, and the name of another."""
    world = World(t)
    done = world.curl("https://ok.test/", options=options)
    check_equal(done.stdout, "hello from shared as ok.test\n", done.stderr)
    world.requests.clear()
    world.first_bytes.clear()
    done = world.curl("https://evil.test/", "-k", "--connect-to", "evil.test:443:ok.test:443",
                      options=options)
    check(done.returncode != 0, done.stdout)
    check("access denied" in done.stderr, f"curl says that it was policy: {done.stderr}")
    check_equal(reached(world), ([], []), "what reached a server")


@each_family
def test_hellos_without_one_name(t):
    """Attack 26: no name, and an address in its place."""
    world = World(t)
    out = talk(t, f"""
for name in (None, {world.place("shared")!r}):
    s = open_to("ok.test", 443)
    s.sendall(hello(name))
    print(rest(s))
""")
    check_equal(out.split("\n")[:2], [repr(bytes.fromhex("15030300020231"))] * 2, "alerts")
    check_equal(reached(world), ([], []), "what reached a server")


@each_family
def test_a_hello_byte_by_byte(t):
    """Attack 27: segments of one byte, and one that stops half way."""
    world = World(t)
    out = talk(t, """
s = open_to("ok.test", 443)
for byte in hello("ok.test"):
    s.sendall(bytes([byte]))
print(s.recv(1))
half = open_to("ok.test", 443)
half.sendall(hello("ok.test")[:100])
print(rest(half))
""")
    check_equal(out.split("\n")[:2], [repr(b"\x16"), repr(b"<reset>")], "the server's answer")
    check_equal(len(reached(world)[1]), 1, "hellos that reached a server")


@each_family
def test_what_is_no_tls(t):
    """Attack 29: another protocol on port 443."""
    world = World(t)
    out = talk(t, """
s = open_to("ok.test", 443)
s.sendall(b"SSH-2.0-tunnel\\r\\n")
print(rest(s))
""")
    check_equal(out.strip(), repr(b"<reset>"), "what the guest reads")
    check_equal(reached(world), ([], []), "what reached a server")


@each_family
def test_another_host_is_told_by_a_page(t):
    world = World(t)
    done = world.curl("http://plain.test/", "-H", "Host: evil.test")
    check("evil.test:80 is not allowed" in done.stdout, done.stdout + done.stderr)
    check_equal(reached(world), ([], []), "what reached a server")


@pytest.mark.parametrize("options", [POLICY, REQUIRE], ids=["auto", "require"])
@each_family
def test_every_request_of_a_connection(t, options):
    """Attacks 30 and 36: the second request is to another host."""
    world = World(t)
    out = talk(t, """
s = open_to("plain.test", 80)
s.sendall(get("plain.test"))
print(b"hello from plain" in s.recv(65536))
s.sendall(get("plain.test")[:20])
time.sleep(0.2)
s.sendall(get("plain.test")[20:])
print(b"hello from plain" in s.recv(65536))
s.sendall(get("evil.test"))
print(rest(s))
""", options=options)
    check_equal(out.split("\n")[:3], ["True", "True", repr(b"<reset>")], "answers")
    check_equal([host for _, host, _ in world.requests], ["plain.test"] * 2, "requests")


@each_family
def test_requests_that_are_no_single_ones(t):
    """Attacks 31 and 32."""
    world = World(t)
    out = talk(t, r"""
for request in (
    b"GET / HTTP/1.1\r\nHost: plain.test\r\nHost: evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET http://evil.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: plain.test\r\n folded\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
):
    s = open_to("plain.test", 80)
    s.sendall(request)
    print(rest(s)[:12])
""")
    check_equal(out.split(), [word for _ in range(8) for word in ("b'HTTP/1.1", "403'")], "pages")
    check_equal(reached(world), ([], []), "what reached a server")


@each_family
def test_web_sockets(t):
    """Attack 32: an upgrade to the same host is allowed."""
    World(t)
    out = talk(t, r"""
s = open_to("plain.test", 80)
s.sendall(b"GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
answer = b""
while not answer.endswith(b"\r\n\r\n"):
    answer += s.recv(1)
print(answer[:12])
s.sendall(b"\x81\x82\x00\x00\x00\x00hi")
print(rest(s)[:4])
""")
    check_equal(out.split("\n")[:2], [repr(b"HTTP/1.1 101"), repr(b"\x81\x02hi")], "answers")


@each_family
def test_a_server_that_speaks_first(t):
    """Attack 33."""
    world = World(t)
    out = talk(t, """
s = open_to("ssh.test", 22)
print(s.recv(64))
s.sendall(b"SSH-2.0-client\\r\\n")
rest(s)
""")
    check_equal(out.strip(), repr(b"SSH-2.0-tests\r\n"), "its banner")
    check_equal(world.first_bytes, [("ssh", 22, b"SSH-2.0-client\r\n")], "what it got")


@each_family
def test_data_and_then_no_more(t):
    """Attack 35: a part of a hello, and then a FIN or a RST."""
    world = World(t)
    talk(t, """
for reset in (False, True):
    s = open_to("ok.test", 443)
    s.sendall(hello("ok.test")[:100])
    if reset:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        s.close()
    else:
        s.shutdown(socket.SHUT_WR)
        print(rest(s))
""")
    check_equal(reached(world), ([], []), "what reached a server")
