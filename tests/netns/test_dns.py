"""Names through the engine's resolver address, which relays to the host's resolvers."""

import contextlib
import subprocess
import threading

from harness import DNS, LOOPBACK, check, check_equal, each_family, v4_only, v6_only
from zone_resolver import A, AAAA, TXT, ZoneResolver, address, record


def records(name, kind):
    """What is in the zone: srv.test, big.test, n<number>.test and those below slow.test."""
    known = {A: ["10.0.0.2"], AAAA: ["fd02::2"]} if name == "srv.test" else {A: ["10.0.0.9"]}
    if name == "big.test":
        return [record(name, TXT, bytes([250]) + bytes([97 + i]) * 250)
                for i in range(12)] if kind == TXT else []
    numbered = name[:1] == "n" and name.split(".")[0][1:].isdigit()
    if name not in ("srv.test", "slow.test") and not numbered:
        return None
    return [record(name, *address(text)) for text in known.get(kind, [])]


class Resolver(ZoneResolver):
    """One that knows the zone above."""

    def __init__(self, t):
        super().__init__(t, records)


def resolver(t, before=""):
    made = Resolver(t)
    t.net.resolver(t.net.hst, f"{before}nameserver {t.srv}\n")
    return made


def quietly(serve):
    """Until the test closes the socket."""
    with contextlib.suppress(OSError):
        serve()


def dig(t, *words, options=()):
    return t.guest(["dig", "+tries=2", "+time=4", *words], options)


@each_family
def test_dig_over_udp(t):
    known = resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+short", "srv.test", "A", "srv.test", "AAAA")
    check_equal(done.stdout.split(), ["10.0.0.2", "fd02::2"], "addresses of srv.test")
    check(all(question[2] == "udp" for question in known.questions), f"{known.questions}")


@each_family
def test_dig_over_tcp(t):
    known = resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+tcp", "+short", "srv.test", "A")
    check_equal(done.stdout.split(), ["10.0.0.2"], "address over TCP")
    check_equal(known.questions, [("srv.test", A, "udp")], "what the resolver was asked")


@each_family
def test_dig_over_one_tcp_connection(t):
    """Several questions, one of them with an answer that only TCP can carry."""
    resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+tcp", "+keepopen", "+noedns", "srv.test", "A", "n1.test",
               "A", "big.test", "TXT", "n2.test", "A", "nothing.test", "A")
    check_equal(done.stdout.count("status: NOERROR"), 4, f"answers in {done.stdout[-600:]}")
    check("l" * 250 in done.stdout, f"the long answer: {done.stdout[-400:]}")
    check("status: NXDOMAIN" in done.stdout, done.stdout[-400:])


STREAM = """
def answers(s, count):
    reader, all = s.makefile("rb"), []
    for _ in range(count):
        head = reader.read(2)
        if len(head) < 2: break
        all.append(reader.read(struct.unpack(">H", head)[0]))
    return all
def query(name, identity, kind=1):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + bytes(1)
    return struct.pack(">6H", identity, 0x100, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)
def framed(m): return struct.pack(">H", len(m)) + m
"""


@each_family
def test_dns_over_tcp_pipelined(t):
    """More questions in one go than are asked at once; then the half-closed end."""
    resolver(t)
    out = t.python(STREAM + f"""
s = socket.create_connection(("{DNS[t.family]}", 53))
s.sendall(b"".join(framed(query(f"n{{i}}.test", i)) for i in range(400)))
s.shutdown(socket.SHUT_WR)
got = answers(s, 401)
ids = sorted(struct.unpack(">H", m[:2])[0] for m in got)
print(len(got), ids == list(range(400)), all(m[-4:] == bytes([10, 0, 0, 9]) for m in got))
""")
    check_equal(out.split(), ["400", "True", "True"], "answers over one connection")


@each_family
def test_dns_over_tcp_reaches_no_resolver_unread(t):
    """The host's resolver is on its loopback. What is no DNS is reset, and not a byte arrives."""
    loopback = LOOPBACK[t.family]
    seen = []
    t.listen(53, lambda connection: seen.append(connection.recv(100)), t.net.hst, loopback)
    datagrams = t.udp(53, t.net.hst, loopback)

    def answer():
        while True:
            query, source = datagrams.recvfrom(4096)
            seen.append(query)
            end = query.index(b"\0", 12) + 5
            datagrams.sendto(query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0" +
                             query[12:end] + b"\xc0\x0c\0\1\0\1\0\0\1\0\0\4" +
                             bytes([10, 0, 0, 2]), source)

    threading.Thread(target=quietly, args=(answer,), daemon=True).start()
    t.net.resolver(t.net.hst, f"nameserver {loopback}\n")
    out = t.python(STREAM + f"""
for garbage in (b"GET / HTTP/1.0\\r\\n\\r\\n", bytes(2), b"\\0\\x0c" + 12 * b"\\xff", b"SSH-2.0-x"):
    s = socket.create_connection(("{DNS[t.family]}", 53))
    s.settimeout(20)
    s.sendall(garbage)
    try: print("data" if s.recv(100) else "end")
    except ConnectionResetError: print("reset")
s = socket.create_connection(("{DNS[t.family]}", 53))
s.sendall(framed(query("srv.test", 7)))
print(answers(s, 1)[0][:2].hex())
""")
    check_equal(out.split(), ["reset"] * 4 + ["0007"], "ends of the connections")
    check_equal(len(seen), 1, f"what reached the resolver: {seen}")
    check(b"\x03srv\x04test\0" in seen[0], f"{seen}")


@each_family
def test_many_programs_ask_the_same_name(t):
    """None waits for a library's five seconds; the resolver is asked once."""
    known = resolver(t)
    threading.Timer(1.0, known.released.set).start()
    out = t.python(STREAM + f"""
clients = [udp("{DNS[t.family]}") for _ in range(48)]
for i, s in enumerate(clients): s.sendto(query("slow.test", i), ("{DNS[t.family]}", 53))
done = 0
for s in clients:
    s.settimeout(15)
    done += s.recv(512)[-4:] == bytes([10, 0, 0, 9])
print(done)
""")
    check_equal(out.split(), ["48"], "programs that got the address without asking again")
    check(len(known.questions) < 5, f"{known.questions}")


@each_family
def test_many_questions_at_once(t):
    """400 that the resolver takes a second for, asked once each."""
    known = resolver(t)
    threading.Timer(1.5, known.released.set).start()
    out = t.python(STREAM + f"""
s = udp("{DNS[t.family]}")
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
for i in range(400):
    s.sendto(query(f"n{{i}}.slow.test", i), ("{DNS[t.family]}", 53))
    if i % 20 == 19: time.sleep(0.01)
s.settimeout(15)
ids = set()
while len(ids) < 400:
    answer = s.recv(512)
    if answer[-4:] == bytes([10, 0, 0, 9]): ids.add(struct.unpack(">H", answer[:2])[0])
print(len(ids))
""")
    check_equal(out.split(), ["400"], "addresses without asking again")


@each_family
def test_dig_truncated_answer_comes_over_tcp(t):
    resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+noedns", "big.test", "TXT")
    check("a" * 250 in done.stdout and "l" * 250 in done.stdout, f"no TXT: {done.stdout[-400:]}")
    check("Truncated, retrying in TCP" in done.stdout, "dig was not told to use TCP")


@each_family
def test_dig_nxdomain(t):
    resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "nothing.test", "A")
    check("status: NXDOMAIN" in done.stdout, done.stdout)


@each_family
def test_dead_first_resolver(t):
    """The first address swallows packets; the second answers."""
    target = {4: "10.66.0.53", 6: "fd66::53"}[t.family]
    t.net.ip(t.net.srv, f"{'-6 ' if t.family == 6 else ''}route add blackhole {target}")
    resolver(t, f"nameserver {target}\n")
    done = dig(t, f"@{DNS[t.family]}", "+short", "srv.test", "A")
    check_equal(done.stdout.split(), ["10.0.0.2"], "answer after a dead resolver")


@each_family
def test_refusing_first_resolver(t):
    """Nothing listens at the first address: its ICMP error moves on at once."""
    resolver(t, f"nameserver {t.net.CLI[t.family]}\n")
    done = dig(t, f"@{DNS[t.family]}", "+short", "srv.test", "A")
    check_equal(done.stdout.split(), ["10.0.0.2"], "answer after a refusing resolver")


@each_family
def test_all_resolvers_dead_is_said(t):
    """Nobody answers: the guest is told (SERVFAIL) instead of left to wait, or times out."""
    target = {4: "10.66.0.53", 6: "fd66::53"}[t.family]
    t.net.ip(t.net.srv, f"{'-6 ' if t.family == 6 else ''}route add blackhole {target}")
    t.net.resolver(t.net.hst, f"nameserver {target}\n")
    done = t.guest(["dig", "+tries=1", "+time=15", f"@{DNS[t.family]}", "srv.test"])
    check("status: SERVFAIL" in done.stdout, done.stdout[-300:])


@each_family
def test_resolv_conf_is_bound(t):
    resolver(t)
    done = t.guest_ok(["getent", "ahosts", "srv.test"])
    check("10.0.0.2" in done.stdout, done.stdout)
    text = t.guest_ok(["cat", "/etc/resolv.conf"]).stdout
    check(DNS[4] in text or DNS[6] in text, f"resolv.conf: {text}")


@each_family
def test_answers_are_cached(t):
    known = resolver(t)
    code = """
for _ in range(5): socket.getaddrinfo("srv.test", 80, socket.AF_INET)
"""
    t.python(code)
    asked = [question for question in known.questions if question[1] == A]
    check_equal(len(asked), 1, "questions that reached the resolver")


@each_family
def test_no_dns_means_no_resolver(t):
    known = resolver(t)
    done = t.guest(["dig", "+tries=1", "+time=1", f"@{DNS[t.family]}", "srv.test"], ["--no-dns"])
    check(done.returncode != 0, f"dig got an answer: {done.stdout}")
    check_equal(known.questions, [], "questions that reached the resolver")


@each_family
def test_dns_at_another_address(t):
    resolver(t)
    address = {4: "10.0.2.53", 6: "fd00::53"}[t.family]
    done = dig(t, f"@{address}", "+short", "srv.test", "A", options=["--dns", address])
    check_equal(done.stdout.split(), ["10.0.0.2"], "answer from --dns")


@v4_only
def test_resolvers_are_followed_as_they_change(t):
    resolver(t)
    t.net.resolver(t.net.hst, "nameserver 10.0.1.2\n")
    code = """
sys.stdout.write("up\\n"); sys.stdout.flush(); sys.stdin.readline()
time.sleep(1.5)
print(socket.gethostbyname("srv.test"))
"""
    child = t.start_python(code, stdin=subprocess.PIPE)
    check_equal(child.stdout.readline(), b"up\n", "start")
    # Written in place, because ip netns has bound this very file.
    t.net.resolver(t.net.hst, "nameserver 10.0.0.2\n")
    out, err = child.communicate(b"go\n", timeout=30)
    check_equal(out.decode().strip(), "10.0.0.2", f"name after the change ({err.decode()[-200:]})")


@v4_only
def test_another_resolver_forgets_what_the_first_said(t):
    """A name that did not exist exists once the resolver is another one (a VPN came up)."""
    resolver(t)
    datagrams = t.udp(53, t.net.hst, "127.0.0.1")

    def deny():
        while True:
            query, source = datagrams.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            datagrams.sendto(query[:2] + b"\x81\x83" + query[4:6] + b"\0\0\0\1\0\0" +
                             query[12:end] + b"\0\0\6\0\1\0\0\x2a\x30\0\x16\0\0" +
                             4 * b"\0\0\0\1" + b"\0\0\x2a\x30", source)

    threading.Thread(target=quietly, args=(deny,), daemon=True).start()
    t.net.resolver(t.net.hst, "nameserver 127.0.0.1\n")
    code = """
def ask():
    try: return socket.gethostbyname("srv.test")
    except socket.gaierror: return "none"
first = ask(), ask()
sys.stdout.write(" ".join(first) + "\\n"); sys.stdout.flush(); sys.stdin.readline()
time.sleep(1.5)
print(ask())
"""
    child = t.start_python(code, stdin=subprocess.PIPE)
    check_equal(child.stdout.readline(), b"none none\n", "before")
    t.net.resolver(t.net.hst, "nameserver 10.0.0.2\n")
    out, err = child.communicate(b"go\n", timeout=30)
    check_equal(out.decode().strip(), "10.0.0.2", f"name after the change ({err.decode()[-200:]})")


@v6_only
def test_link_local_resolver_is_reached(t):
    """nameserver fe80::…%interface, as a router announces itself."""
    known = resolver(t)
    shown = t.net.ip(t.net.srv, "-6 -o addr show dev eth0 scope link")
    address = shown.split("inet6 ")[1].split("/")[0]
    t.net.resolver(t.net.hst, f"nameserver {address}%s0\n")
    done = dig(t, f"@{DNS[6]}", "+short", "srv.test", "A", "+noedns", "big.test", "TXT")
    check("10.0.0.2" in done.stdout and "a" * 250 in done.stdout, f"{done.stdout}{done.stderr}")
    check({question[2] for question in known.questions} == {"udp", "tcp"}, f"{known.questions}")


@v4_only
def test_options_of_the_host_reach_the_guest(t):
    known = resolver(t, before="options ndots:3 timeout:7\noptions use-vc trust-ad\n")
    text = t.guest_ok(["cat", "/etc/resolv.conf"]).stdout
    check("options ndots:3 timeout:7 use-vc trust-ad\n" in text, f"resolv.conf: {text}")
    done = t.guest_ok(["getent", "ahosts", "srv.test"])
    check("10.0.0.2" in done.stdout, done.stdout)
    check({question[2] for question in known.questions} == {"tcp"}, f"{known.questions}")
