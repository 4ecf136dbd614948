"""Names through the engine's resolver address, which relays to the host's resolvers."""

import socket
import struct
import subprocess
import threading

from harness import DNS, check, check_equal, sluice_only

A, TXT, AAAA = 1, 16, 28
TRUNCATED, NXDOMAIN = 0x0200, 3


class Resolver:
    """A resolver in srv, on UDP and TCP port 53. Knows srv.test, big.test and nothing else."""

    def __init__(self, t):
        self.questions = []
        self._udp = t.udp(53)
        self._udp.settimeout(None)
        threading.Thread(target=self._serve_udp, daemon=True).start()
        t.listen(53, self._serve_tcp)

    def _serve_udp(self):
        while True:
            try:
                query, source = self._udp.recvfrom(4096)
            except OSError:
                return
            self._udp.sendto(self.answer(query, "udp"), source)

    def _serve_tcp(self, connection):
        stream = connection.makefile("rb")
        while len(head := stream.read(2)) == 2:
            reply = self.answer(stream.read(struct.unpack(">H", head)[0]), "tcp")
            connection.sendall(struct.pack(">H", len(reply)) + reply)

    def answer(self, query, transport):
        """RFC 1035, 4.1; the answer's name is a pointer to the question."""
        identity, _, _, _, _, _ = struct.unpack(">6H", query[:12])
        end = 12
        labels = []
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
            end += query[end] + 1
        name, kind = ".".join(labels), struct.unpack(">H", query[end + 1:end + 3])[0]
        self.questions.append((name, kind, transport))
        records = self._records(name, kind)
        flags = 0x8180
        if records is None:
            flags, records = flags | NXDOMAIN, []
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 300, len(data)) + data
                        for data in records)
        if transport == "udp" and len(body) > 450:
            flags, records, body = flags | TRUNCATED, [], b""
        head = struct.pack(">6H", identity, flags, 1, len(records), 0, 0)
        return head + query[12:end + 5] + body

    @staticmethod
    def _records(name, kind):
        if name == "srv.test":
            return {A: [socket.inet_aton("10.0.0.2")],
                    AAAA: [socket.inet_pton(socket.AF_INET6, "fd02::2")]}.get(kind, [])
        if name == "big.test":
            return [bytes([250]) + bytes([97 + i]) * 250 for i in range(12)] if kind == TXT else []
        return None


def resolver(t, before=""):
    made = Resolver(t)
    t.net.resolver(t.net.hst, f"{before}nameserver {t.srv}\n")
    return made


def dig(t, *words, options=()):
    return t.guest(["dig", "+tries=2", "+time=4", *words], options)


@sluice_only()
def dig_over_udp(t):
    known = resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+short", "srv.test", "A", "srv.test", "AAAA")
    check_equal(done.stdout.split(), ["10.0.0.2", "fd02::2"], "addresses of srv.test")
    check(all(question[2] == "udp" for question in known.questions), f"{known.questions}")


@sluice_only()
def dig_over_tcp(t):
    resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+tcp", "+short", "srv.test", "A")
    check_equal(done.stdout.split(), ["10.0.0.2"], "address over TCP")


@sluice_only()
def dig_truncated_answer_comes_over_tcp(t):
    resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "+noedns", "big.test", "TXT")
    check("a" * 250 in done.stdout and "l" * 250 in done.stdout, f"no TXT: {done.stdout[-400:]}")
    check("Truncated, retrying in TCP" in done.stdout, "dig was not told to use TCP")


@sluice_only()
def dig_nxdomain(t):
    resolver(t)
    done = dig(t, f"@{DNS[t.family]}", "nothing.test", "A")
    check("status: NXDOMAIN" in done.stdout, done.stdout)


@sluice_only()
def dead_first_resolver(t):
    """The first address swallows packets; the second answers."""
    target = {4: "10.66.0.53", 6: "fd66::53"}[t.family]
    t.net.ip(t.net.srv, f"{'-6 ' if t.family == 6 else ''}route add blackhole {target}")
    resolver(t, f"nameserver {target}\n")
    done = dig(t, f"@{DNS[t.family]}", "+short", "srv.test", "A")
    check_equal(done.stdout.split(), ["10.0.0.2"], "answer after a dead resolver")


@sluice_only()
def refusing_first_resolver(t):
    """Nothing listens at the first address: its ICMP error moves on at once."""
    resolver(t, f"nameserver {t.net.CLI[t.family]}\n")
    done = dig(t, f"@{DNS[t.family]}", "+short", "srv.test", "A")
    check_equal(done.stdout.split(), ["10.0.0.2"], "answer after a refusing resolver")


@sluice_only()
def all_resolvers_dead_is_said(t):
    """Nobody answers: the guest is told (SERVFAIL) instead of left to wait, or times out."""
    target = {4: "10.66.0.53", 6: "fd66::53"}[t.family]
    t.net.ip(t.net.srv, f"{'-6 ' if t.family == 6 else ''}route add blackhole {target}")
    t.net.resolver(t.net.hst, f"nameserver {target}\n")
    done = t.guest(["dig", "+tries=1", "+time=15", f"@{DNS[t.family]}", "srv.test"])
    check("status: SERVFAIL" in done.stdout, done.stdout[-300:])


@sluice_only()
def resolv_conf_is_bound(t):
    resolver(t)
    done = t.guest_ok(["getent", "ahosts", "srv.test"])
    check("10.0.0.2" in done.stdout, done.stdout)
    text = t.guest_ok(["cat", "/etc/resolv.conf"]).stdout
    check(DNS[4] in text or DNS[6] in text, f"resolv.conf: {text}")


@sluice_only()
def answers_are_cached(t):
    known = resolver(t)
    code = """
for _ in range(5): socket.getaddrinfo("srv.test", 80, socket.AF_INET)
"""
    t.python(code)
    asked = [question for question in known.questions if question[1] == A]
    check_equal(len(asked), 1, "questions that reached the resolver")


@sluice_only()
def no_dns_means_no_resolver(t):
    known = resolver(t)
    done = t.guest(["dig", "+tries=1", "+time=1", f"@{DNS[t.family]}", "srv.test"], ["--no-dns"])
    check(done.returncode != 0, f"dig got an answer: {done.stdout}")
    check_equal(known.questions, [], "questions that reached the resolver")


@sluice_only()
def dns_at_another_address(t):
    resolver(t)
    address = {4: "10.0.2.53", 6: "fd00::53"}[t.family]
    done = dig(t, f"@{address}", "+short", "srv.test", "A", options=["--dns", address])
    check_equal(done.stdout.split(), ["10.0.0.2"], "answer from --dns")


@sluice_only(families=(4,))
def resolvers_are_followed_as_they_change(t):
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
