"""Attacks by flows (docs/attacks.md): addresses that no name opened, hellos and requests that are
made to be misread, other protocols, and frames that no honest kernel sends."""

import json
import subprocess
import time

import pytest

from harness import check, check_equal, each_family, echo, finish, processes, read_line
from policy_world import POLICY, World
from test_control import Run
from test_names_gate import TALK, reached, talk

REFUSAL = {4: "EHOSTUNREACH", 6: "EACCES"}
ALERT = repr(bytes.fromhex("15030300020231"))
# A hello as OpenSSL writes it, taken apart and put together again.
HELLO = TALK + """
def parts(name):
    # What stands before the extensions, and those, of a hello in one record.
    body = hello(name)[9:]
    at = 34 + 1 + body[34]
    at += 2 + struct.unpack(">H", body[at:at + 2])[0]
    at += 1 + body[at]
    extensions, end = [], at + 2
    while end < len(body):
        kind, size = struct.unpack(">HH", body[end:end + 4])
        extensions.append((kind, body[end + 4:end + 4 + size])); end += 4 + size
    return body[:at], extensions
def handshake(before, extensions):
    packed = b"".join(struct.pack(">HH", kind, len(data)) + data for kind, data in extensions)
    body = before + struct.pack(">H", len(packed)) + packed
    return b"\\x01" + len(body).to_bytes(3, "big") + body
def records(message, size=16384):
    return b"".join(b"\\x16\\x03\\x01" + struct.pack(">H", len(message[at:at + size])) + message[at:at + size]
                    for at in range(0, len(message), size))
def names(*all):
    entries = b"".join(b"\\0" + struct.pack(">H", len(one)) + one for one in all)
    return (0, struct.pack(">H", len(entries)) + entries)
def address_of(name, family):
    kind = socket.AF_INET6 if family == "6" else socket.AF_INET
    return socket.getaddrinfo(name, 443, kind)[0][4][0]
def first(message, name="ok.test"):
    # What the server, or we, say first.
    s = open_to(name, 443)
    s.sendall(message)
    try: return s.recv(7)
    except ConnectionError: return b"<reset>"
before, rest_of = parts("ok.test")
others = [one for one in rest_of if one[0] != 0]
"""


def with_events(t, options=POLICY):
    return [*options, "--events", t.file("events.jsonl")]


def reasons(t, kind):
    with open(t.file("events.jsonl"), encoding="utf-8") as file:
        return [event["reason"] for event in map(json.loads, file) if event["type"] == kind]


@each_family
def test_addresses_that_no_name_opened_are_refused_at_the_syn(t):
    """22 and 23: of another server, of the host, one that the host gets later; and the right one, with
    the right name in the hello, that nobody asked for."""
    world = World(t)
    new = {4: "198.51.100.99", 6: "2001:db8:1::99"}[t.family]
    t.listen(443, echo, t.net.hst)
    run = Run(t, HELLO + """
for where in args[:3]:
    said, took = outcome(where, 443, 20)
    print(said, took < 2, flush=True)
sys.stdin.readline()
print(outcome(args[3], 443, 20)[0], flush=True)
sys.stdin.readline()
""", world.place("evil"), t.hst, world.place("shared"), new, options=with_events(t))
    for _ in range(3):
        check_equal(run.line(60), f"{REFUSAL[t.family]} True", "a literal address")
    t.net.ip(t.net.hst, f"addr add {new}/32 dev lo" if t.family == 4 else
             f"addr add {new}/128 dev lo nodad")
    time.sleep(0.5)
    run.say()
    check_equal(run.line(60), REFUSAL[t.family], "an address that the host got later")
    run.say()
    run.finish()
    check_equal((world.first_bytes, world.requests), ([], []), "connections that servers saw")
    told = reasons(t, "deny")
    check_equal((told[0], told[2]), ("address-unlisted",) * 2, "why")
    check({told[1], told[3]} <= {"host-address", "address-unlisted"}, f"why: {told}")


@each_family
def test_hellos_that_name_nobody_or_two(t):
    """26: two names, none in the list, an empty one, one of 300 bytes, one behind sixty extensions."""
    world = World(t)
    out = talk(t, HELLO + """
many = [(0x7a00 + i, b"") for i in range(70)]
for one in ([names(b"ok.test", b"evil.test")], [names(b"evil.test"), names(b"ok.test")], [(0, b"\\0\\0")],
            [names(b"")], [names(b"a" * 300)], [*many, names(b"ok.test")], [names(b"ok.test\\0")],
            [names(b"ok.test..")], [names(b"ok.test:443")], []):
    print(first(records(handshake(before, [*one, *others]))))
print(first(records(handshake(before, [names(b"OK.test"), *others])))[:1])
""")
    lines = out.split("\n")
    check_equal(lines[:10], [ALERT] * 10, "alerts")
    check_equal(lines[10], repr(b"\x16"), "the name in other letters")
    check_equal(len(reached(world)[1]), 1, "hellos that reached a server")


@each_family
def test_hellos_of_any_cut_and_size(t):
    """27: records of 16 bytes and of one, a hello of nearly 16 KiB and one beyond that."""
    world = World(t)
    out = talk(t, HELLO + """
whole = handshake(before, rest_of)
print(first(records(whole, 1 + len(whole) // 60))[:1], flush=True)
print(first(records(whole, 1)))
def padded(size):
    bare = [one for one in rest_of if one[0] != 21]
    missing = size - 5 - len(handshake(before, bare)) - 4
    return records(handshake(before, [*bare, (21, bytes(missing))]))
print(first(padded(15 * 1024))[:1])
print(first(padded(17 * 1024)))
""")
    lines = out.split("\n")
    check_equal((lines[0], lines[2]), (repr(b"\x16"),) * 2, "what the server answers")
    for at in (1, 3):
        check(lines[at] in (ALERT, repr(b"<reset>")), f"beyond a bound: {lines[at]}")
    check_equal(len(reached(world)[1]), 2, "hellos that reached a server")


@each_family
def test_hellos_that_stop_half_way_are_bounded(t):
    """27: more of them than may be kept, and others are served meanwhile once they are gone."""
    world = World(t)
    count = 1200 if t.fast else 10000
    child = t.start_python(HELLO + """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
half = hello("ok.test")[:200]
print("up", flush=True); sys.stdin.readline()
where, flows, ended = address_of("ok.test", args[1]), [], 0
for _ in range(int(args[0])):
    try:
        s = connect(where, 443); s.sendall(half); flows.append(s)
    except OSError: ended += 1
print("open", flush=True)
sys.stdin.readline()
for s in flows:
    s.settimeout(60)
    try: s.recv(1); ended += 1
    except TimeoutError: pass
    except OSError: ended += 1
print(ended, flush=True)
print(first(hello("ok.test"))[:1])
""", count, t.family, options=with_events(t), stdin=subprocess.PIPE)
    check_equal(read_line(child), "up", "the guest")
    engine = t.engine_pid(child)
    before = processes.memory_kib(engine)["anon"]
    child.stdin.write(b"go\n")
    child.stdin.flush()
    check_equal(read_line(child, 240), "open", "the guest")
    growth = processes.memory_kib(engine)["anon"] - before
    child.stdin.write(b"go\n")
    child.stdin.flush()
    status, out, err = finish(child, 240)
    check_equal((status, out.split("\n")[:2]), (0, [str(count), repr(b"\x16")]), f"the ends: {err[-300:]}")
    check(growth < 64 * 1024, f"memory grew by {growth} KiB")
    check_equal(len(reached(world)[1]), 1, "hellos that reached a server")
    told = set(reasons(t, "deny")) | set(reasons(t, "limit"))
    check("first-bytes-timeout" in told, f"why: {told}")


@each_family
def test_an_encrypted_hello_is_judged_by_its_outer_name_or_refused(t):
    """28."""
    world = World(t)
    code = HELLO + """
ech = (0xfe0d, bytes.fromhex("0000010001aa0020") + bytes(32) + bytes.fromhex("0010") + bytes(16))
print(first(records(handshake(before, [names(b"ok.test"), *others, ech])))[:1])
print(first(records(handshake(before, [names(b"evil.test"), *others, ech]))))
"""
    check_equal(talk(t, code).split("\n")[:2], [repr(b"\x16"), ALERT], "by the outer name")
    check_equal(len(reached(world)[1]), 1, "hellos that reached a server")
    policy = t.file("policy.toml", 'version = 1\n[tls]\nech = "refuse"\n[[rule]]\nallow = "ok.test:443"\n')
    check_equal(talk(t, code, options=["--policy", policy]).split("\n")[:2],
                [repr(b"\x15"), ALERT], "refused")
    check_equal(len(reached(world)[1]), 1, "hellos that reached a server")


@each_family
def test_fronting_passes(t):
    """25: what is inside of an encrypted connection to a name that is allowed is not seen. The threat
    model says so; this holds the page to it."""
    world = World(t)
    done = world.curl("https://ok.test/", "-H", "Host: evil.test")
    check_equal(done.stdout, "hello from shared as ok.test\n", done.stderr)
    check_equal([host for _, host, _ in world.requests], ["evil.test"], "what the server read")


@each_family
def test_requests_that_servers_read_in_several_ways(t):
    """31: lengths, codings, line ends and hosts that one reader takes for this and another for that."""
    world = World(t)
    out = talk(t, r"""
H, E = b"Host: plain.test\r\n", b"GET /evil HTTP/1.1\r\nHost: evil.test\r\n\r\n"
chunked = b"Transfer-Encoding: chunked\r\n"
for request in (
    b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + E,
    b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 5, 5\r\n\r\nhello" + E,
    b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +5\r\n\r\nhello" + E,
    b"POST / HTTP/1.1\r\n" + H + b"Content-Length : 5\r\n\r\nhello" + E,
    b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + E,
    b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + E,
    b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + E,
    b"POST / HTTP/1.1\r\n" + H + chunked + chunked + b"\r\n0\r\n\r\n" + E,
    b"POST / HTTP/1.0\r\n" + H + chunked + b"\r\n0\r\n\r\n" + E,
    b"GET / HTTP/1.1\nHost: plain.test\n\nGET /evil HTTP/1.1\nHost: evil.test\n\n",
    b"GET / HTTP/1.1\r\n" + H + b"X: a\nHost: evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + H + b"X: a\rHost: evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + H + b"X: a\0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : plain.test\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: evil.test\r\n" + H + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: plain.test, evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.test@plain.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: plain.test/evil.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: plain.test..\r\n\r\n",
    b"GET //evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"GET https://evil.test/ HTTP/1.1\r\n" + H + b"\r\n",
    b"GET http://plain.test@evil.test/ HTTP/1.1\r\n" + H + b"\r\n",
    b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET /\r\n", b"GET / HTTP/3.0\r\n" + H + b"\r\n",
):
    s = open_to("plain.test", 80)
    s.sendall(request)
    print(rest(s)[:12])
""", options=with_events(t))
    said = out.split("\n")[:-1]
    passed = [(at, line) for at, line in enumerate(said) if line not in (repr(b"HTTP/1.1 403"), repr(b"<reset>"))]
    check_equal((len(said), passed), (26, []), "what is answered")
    check_equal(reached(world), ([], []), "what reached a server")


@each_family
def test_requests_of_one_burst_are_each_judged(t):
    """30 and 31: pipelined, behind bodies of either kind, and cut at every byte."""
    world = World(t)
    out = talk(t, r"""
good, evil = get("plain.test"), get("evil.test")
body = b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 40\r\n\r\n" + evil[:40].ljust(40)
chunk = (b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n")
for front in (good, body, good * 20):
    s = open_to("plain.test", 80)
    s.sendall(front + evil)
    print(rest(s)[-7:])
s = open_to("plain.test", 80)
for byte in good + evil:
    s.sendall(bytes([byte]))
print(rest(s)[-7:])
s = open_to("plain.test", 80)
try:
    for byte in chunk + evil:
        s.sendall(bytes([byte]))
except ConnectionError: pass
print(rest(s)[-7:])
""")
    # Where the guest has all of the answers before it is told why, and else there is but a reset.
    page = repr(b"/why/1\n")
    ends = set(out.split("\n")[:5])
    check(ends <= {repr(b"<reset>"), page}, f"ends: {ends}")
    check_equal({host for _, host, _ in world.requests} - {"plain.test"}, set(), "requests")


@each_family
def test_nothing_is_free_behind_an_upgrade_that_was_not_taken(t):
    """32: a request for another host right behind that for an upgrade, before and after its answer."""
    world = World(t)
    out = talk(t, r"""
upgrade = (b"GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\n")
key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
for request in (upgrade.replace(b"websocket", b"websocket, h2c") + key + b"\r\n",
                upgrade.replace(b"websocket", b"TLS/1.0") + key + b"\r\n",
                upgrade.replace(b"plain.test", b"evil.test") + key + b"\r\n"):
    s = open_to("plain.test", 80); s.sendall(request + get("evil.test")); print(rest(s)[:12])
s = open_to("plain.test", 80)
s.sendall(get("plain.test")); s.recv(65536)
s.sendall(upgrade + key + b"\r\n" + get("evil.test")); print(rest(s)[-7:])
""")
    lines = out.split("\n")[:4]
    check(all(line in (repr(b"HTTP/1.1 403"), repr(b"<reset>")) for line in lines), f"{lines}")
    check_equal({host for _, host, _ in world.requests} - {"plain.test"}, set(), "requests")


@each_family
def test_a_scan_of_an_open_address_finds_the_ports_of_its_rule(t):
    """38: and does not fill the log."""
    world = World(t)
    last = 8192 if t.fast else 65535
    open_ports = {443, 22, 80, 8443, 5432}
    for port in open_ports - {443, 80}:
        t.listen(port, echo, address=world.place("shared"))
    out = t.python(HELLO + """
import errno, selectors
family = socket.AF_INET6 if args[1] == "6" else socket.AF_INET
where = address_of("ok.test", args[1])
found, told, selector = set(), set(), selectors.DefaultSelector()
def settle(most):
    while len(selector.get_map()) > most:
        for key, _ in selector.select(20):
            error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            told.add(errno.errorcode.get(error, "ok"))
            if error == 0: found.add(key.data)
            selector.unregister(key.fileobj); key.fileobj.close()
for port in range(1, int(args[0]) + 1):
    s = socket.socket(family); s.setblocking(False)
    s.connect_ex((where, port))
    selector.register(s, selectors.EVENT_WRITE, port)
    settle(100)
settle(0)
print(sorted(found), sorted(told))
print(counter("TcpExt", "TCPSynRetrans"))
""", last, t.family, options=with_events(t))
    result, repeated = out.splitlines()
    check_equal(result, f"[53, 443] {sorted({'ok', REFUSAL[t.family], 'ECONNREFUSED'})}",
                "ports; errors have a rate, refusals have none")
    with open(t.file("events.jsonl"), encoding="utf-8") as file:
        lines = [event for event in map(json.loads, file) if event["type"] == "deny"]
    told = sum(event.get("left_out", 1) for event in lines)
    # A SYN whose answer came late, or met a connect() that still held its socket, is sent again.
    check(last - 2 <= told <= last - 2 + int(repeated),
          f"{told} refusals are told or counted, of {last - 2} and {repeated} repeated SYNs")
    check(len(lines) < last / 4, f"{len(lines)} lines for {told} refusals")


@each_family
def test_quic_is_refused_at_once(t):
    """39: a browser goes on by TCP."""
    world = World(t)
    server = t.udp(443, address=world.place("shared"))
    server.settimeout(0.5)
    out = t.python(HELLO + """
where = address_of("ok.test", args[0])
s = udp(where); s.settimeout(20); s.connect((where, 443))
started = time.monotonic()
s.send(b"\\xc3" + bytes(1199))
try: print(s.recv(1))
except OSError as error: print(errno.errorcode[error.errno], time.monotonic() - started < 2)
print(first(hello("ok.test"))[:1])
""", t.family, options=POLICY)
    check_equal(out.split("\n")[:2], ["ECONNREFUSED True", repr(b"\x16")], "by UDP, by TCP")
    with pytest.raises(TimeoutError):
        server.recv(2000)


@each_family
def test_pings_need_a_rule_of_their_own(t):
    """40: to a literal address and to a name, with a payload that is counted where it is let out."""
    World(t)
    code = """
import subprocess
for where in ("ssh.test", args[0], "ok.test"):
    done = subprocess.run(["ping", f"-{args[1]}", "-c1", "-W3", "-s1400", where], capture_output=True, text=True)
    print(done.returncode == 0)
"""
    options = with_events(t, [*POLICY, "--allow", "ok.test/icmp"])
    out = t.python(code, t.srv, t.family, options=options)
    check_equal(out.split(), ["False", "False", "True"], "echoes")
    with open(t.file("events.jsonl"), encoding="utf-8") as file:
        closed = [event for event in map(json.loads, file) if event["type"] == "close" and event["proto"] == "icmp"]
    check_equal([(event["name"], event["bytes_to_host"] >= 1400) for event in closed], [("ok.test", True)],
                "what was counted")


@each_family
def test_other_addresses_and_namespaces_of_the_guest_are_judged_alike(t):
    """41: the rules are not of an address of the guest's: another one on the tap, and a namespace
    inside of the guest that is routed by it."""
    world = World(t)
    second, inner, outer, prefix = {4: ("10.0.2.77", "10.99.0.2", "10.99.0.1", 24),
                                    6: ("fd00::77", "fd99::2", "fd99::1", 64)}[t.family]
    code = f"""
import ctypes, subprocess
def run(*words): subprocess.run(" ".join(words).split(), check=True)
def tries(source):
    for where, port in ((args[0], 443), (args[1], 443)):
        s = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET)
        s.settimeout(8)
        try: s.bind((source, 0)); s.connect((where, port)); print("ok")
        except OSError as error: print(errno.errorcode.get(error.errno, "timeout"))
    sys.stdout.flush()
socket.getaddrinfo("ok.test", 443)
run("ip addr add {second}/{prefix} dev tap0 {'nodad' if t.family == 6 else ''}")
tries("{second}")
child = subprocess.Popen(["unshare", "-n", "sleep", "60"])
time.sleep(1)
run(f"ip link add inner0 type veth peer name eth0 netns {{child.pid}}")
run("ip addr add {outer}/{prefix} dev inner0 {'nodad' if t.family == 6 else ''}"); run("ip link set inner0 up")
for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
    open(f"/proc/sys/net/{{key}}", "w").write("1")
inside = f"nsenter -t {{child.pid}} -n"
run(inside, "ip addr add {inner}/{prefix} dev eth0 {'nodad' if t.family == 6 else ''}")
run(inside, "ip link set eth0 up"); run(inside, "ip -{t.family} route add default via {outer}")
time.sleep(1)
libc = ctypes.CDLL(None, use_errno=True)
if libc.setns(os.open(f"/proc/{{child.pid}}/ns/net", os.O_RDONLY), 0x40000000): raise OSError(ctypes.get_errno())
tries("{inner}")
child.kill()
"""
    out = t.python(code, world.place("shared"), world.place("evil"), options=[*POLICY, "--as-root"])
    words = out.split()
    check_equal(words[:2], ["ok", REFUSAL[t.family]], "another address")
    # Whether such a packet is answered is another matter; it opens nothing.
    check(words[2] in ("ok", "timeout", REFUSAL[t.family]) and words[3] != "ok", f"inside: {words}")
    check_equal([first for first in world.first_bytes if first[0] == "evil"], [], "what arrived")
