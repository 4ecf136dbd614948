"""Attacks by questions and answers (docs/attacks.md): what may leave the host by DNS, and which
addresses an answer may open."""

import json
import struct
import threading

from harness import DNS, check, check_equal, each_family
from policy_world import POLICY, World, place
from zone_resolver import A, AAAA, CNAME, HTTPS, address, record, wire_name

ADDRESS = {4: A, 6: AAAA}
ASK = """
NXDOMAIN, NOTIMP, FORMERR = 3, 4, 1
def labels(name):
    # Text, or the labels as they are.
    parts = name.encode().split(b".") if isinstance(name, str) else name
    return b"".join(bytes([len(part)]) + part for part in parts if part) + bytes(1)
def query(name, kind, identity=7, edns=b"\\0\\0\\x29\\x04\\xd0\\0\\0\\0\\0\\0\\0", behind=b"", counts=(0, 0)):
    return (struct.pack(">6H", identity, 0x100, 1, *counts, bool(edns)) + labels(name) +
            struct.pack(">HH", kind, 1) + edns + behind)
def ask(message, where=None, tcp=False):
    where = where or DNS
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect((where, 53))
    if not tcp:
        s.send(message)
        return s.recv(65535)
    s.sendall(struct.pack(">H", len(message)) + message)
    stream = s.makefile("rb")
    return stream.read(struct.unpack(">H", stream.read(2))[0])
def rcode(answer): return answer[3] & 15
def answers(answer): return struct.unpack(">H", answer[6:8])[0]
def resolves(name, kind):
    return answers(ask(query(name, kind))) > 0
"""


def ask(t, code, *arguments, options=POLICY, **more):
    return t.python(ASK + f"DNS, KIND = {DNS[t.family]!r}, {ADDRESS[t.family]}\n" + code, *arguments,
                    options=options, **more)


def with_events(t, options=POLICY):
    return [*options, "--events", t.file("events.jsonl")]


def events(t, kind):
    with open(t.file("events.jsonl"), encoding="utf-8") as file:
        return [event for event in map(json.loads, file) if event["type"] == kind]


def leads_to(name, *texts, ttl=300):
    """Records of a zone: this name, to these addresses."""
    kinds = {A: [], AAAA: []}
    for text in texts:
        kind, data = address(text)
        kinds[kind].append(record(name, kind, data, ttl))
    return {name: kinds}


def left(world, part):
    return sorted(name for name in world.resolver.names() if part in name)


@each_family
def test_a_name_that_is_not_allowed_leaves_nobody_asked(t):
    """1 and 2: by UDP and TCP alike, with the reason in the answer and in the log."""
    world = World(t)
    for way in ("+notcp", "+tcp"):
        done = t.guest(["dig", f"@{DNS[t.family]}", way, "+tries=1", "+time=20", "secret.evil.test",
                        {4: "A", 6: "AAAA"}[t.family]], with_events(t))
        check("status: NXDOMAIN" in done.stdout, done.stdout)
        check("EDE: 15 (Blocked)" in done.stdout, done.stdout)
        check("secret.evil.test" in done.stdout.split("EDE:")[1], done.stdout)
        (told,) = events(t, "dns")
        check_equal((told["name"], told["result"], told["reason"]),
                    ("secret.evil.test", "refused", "name-unlisted"), "the event")
        with open(t.file("events.jsonl"), "w", encoding="utf-8"):
            pass
    check_equal(world.resolver.questions, [], "what left")


@each_family
def test_other_resolvers_are_ours(t):
    """3: port 53 of a public resolver is answered by us, by UDP and TCP, and it hears nothing."""
    world = World(t)
    there = {4: "8.8.8.8", 6: "2001:4860:4860::8888"}[t.family]
    size, via = {4: (32, "10.0.1.2"), 6: (128, "fd01::2")}[t.family]
    t.net.ip(t.net.cli, f"addr add {there}/{size} dev lo" + ("" if t.family == 4 else " nodad"))
    t.net.ip(t.net.hst, f"route add {there}/{size} via {via}")
    heard = []
    datagrams = t.udp(53, t.net.cli, there)
    datagrams.settimeout(None)
    threading.Thread(target=lambda: heard.append(datagrams.recv(4096)), daemon=True).start()
    t.listen(53, lambda connection: heard.append(connection.recv(4096)), t.net.cli, there)
    out = ask(t, """
for tcp in (False, True):
    print(answers(ask(query("ok.test", KIND), args[0], tcp)),
          rcode(ask(query("secret.evil.test", KIND), args[0], tcp)))
""", there)
    check_equal(out.split(), ["1", "3"] * 2, "answers in its name")
    check_equal(heard, [], "what it heard")
    check_equal(left(world, "evil"), [], "what left")


@each_family
def test_other_ways_to_resolve_are_refused(t):
    """4 and 5: DoT, DoQ, mDNS, LLMNR, NetBIOS, even where all addresses are open; and DoH."""
    world = World(t)
    everything = {4: "0.0.0.0/0", 6: "[::]/0"}[t.family]
    got = []
    for port in (853, 5353, 5355, 137):
        t.listen(port, lambda connection: got.append(connection.recv(100)),
                 address=world.place("shared"))
        listener = t.udp(port, address=world.place("shared"))
        listener.settimeout(None)
        threading.Thread(target=lambda s=listener: got.append(s.recv(100)), daemon=True).start()
    code = """
for port in (853, 5353, 5355, 137):
    said, took = outcome(args[0], port, 20)
    print(said, took < 2)
    s = udp(args[0]); s.settimeout(20); s.connect((args[0], port)); s.send(b"x")
    try: print(s.recv(1))
    except OSError as error: print(errno.errorcode[error.errno])
"""
    refusal = {4: "EHOSTUNREACH", 6: "EACCES"}[t.family]
    for options in ([*POLICY, "--allow", everything],
                    ["--allow", "ok.test:*", "--allow", "ok.test:*/udp"]):
        out = ask(t, f"resolves('ok.test', KIND)\n{code}", world.place("shared"), options=options)
        check_equal(out.split(), [refusal, "True", refusal] * 4, f"under {options}")
    check_equal(got, [], "what arrived")
    doh = {4: "1.1.1.1", 6: "2606:4700:4700::1111"}[t.family]
    out = ask(t, """
print(*outcome(args[0], 443)[:1], resolves("dns.google", KIND))
""", doh, options=with_events(t))
    check_equal(out.split(), [refusal, "False"], "DNS over HTTPS")
    check_equal([event["reason"] for event in events(t, "deny")], ["address-unlisted"], "why")
    check_equal(left(world, "google"), [], "what left")


@each_family
def test_names_below_a_wildcard_have_a_budget(t):
    """6: ten thousand labels; what is beyond the budget has no address, other names do. It is not
    told to be no name, as names below it may have been asked for already (RFC 8020)."""
    world = World(t)
    out = ask(t, """
s = udp(DNS); s.connect((DNS, 53)); s.settimeout(20)
found = 0
for i in range(10000):
    s.send(query(f"d{i}.wild.test", KIND, i))
    answer = s.recv(4096)
    found += rcode(answer) == 0 and answers(answer) == 1
print(found, answers(answer), b"sluice: d9999.wild.test" in answer)
print(resolves("ok.test", KIND), resolves("d5.wild.test", KIND))
""", options=with_events(t), timeout=300)
    check_equal(out.split(), ["120", "0", "True", "True", "True"], "names that have an address")
    check_equal(len(left(world, "wild.test")), 120, "names that left")
    # The line that counts what was left out says neither.
    check_equal({event["reason"] for event in events(t, "dns") if event.get("result") == "refused"},
                {"dns-budget"}, "why")


@each_family
def test_long_labels_have_a_budget_of_bytes(t):
    """7: names of 253 bytes, whatever their letters look like."""
    world = World(t)
    out = ask(t, """
found = 0
for i in range(200):
    name = ".".join(f"{i:04d}{j}" + "e" * 56 for j in range(3)) + "." + "e" * 50 + ".wild.test"
    found += resolves(name, KIND)
print(found, len(name), resolves("ok.test", KIND))
""", timeout=120)
    found, size, others = out.split()
    check(20 < int(found) <= 8192 // 230, f"{found} of 200 names of {size} bytes")
    check_equal(others, "True", "other names")
    out_bytes = sum(len(name) - len(".wild.test") for name in left(world, "wild.test"))
    check(out_bytes <= 8192, f"{out_bytes} bytes of labels left")


@each_family
def test_types_that_carry_data_are_not_asked_for(t):
    """8: TXT, NULL, ANY, AXFR and IXFR of an allowed wildcard."""
    world = World(t)
    out = ask(t, """
for kind in (16, 10, 255, 252, 251):
    for tcp in (False, True):
        answer = ask(query("a.wild.test", kind), tcp=tcp)
        print(rcode(answer) in (0, NOTIMP), answers(answer))
""")
    check_equal(out.split(), ["True", "0"] * 10, "answers")
    check_equal(world.resolver.questions, [], "what left")


REBOUND = {4: ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "192.168.1.1"],
           6: ["::1", "fd00:ec2::254", "fe80::1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
               "::ffff:127.0.0.1", "::7f00:1", "2001:0:7f00:1::", "2001::5601:5601", "fd02::1"]}


@each_family
def test_answers_that_lead_inside_open_nothing(t):
    """9 and 10: loopback, private, link-local and metadata addresses, in whatever clothes, and the
    host's own. One good address beside them stays. As literals they are refused, too."""
    own = t.hst
    zone = {**leads_to("ok.test", *REBOUND[t.family], own),
            **leads_to("mixed.wild.test", *REBOUND[t.family], place("shared", t.family))}
    world = World(t, zone)
    out = ask(t, """
answer = ask(query("ok.test", KIND))
print(rcode(answer), answers(answer), b"sluice: ok.test" in answer)
print(answers(ask(query("mixed.wild.test", KIND))))
for where in args:
    print(outcome(where, 443, 20)[0] in ("EHOSTUNREACH", "EACCES", "ECONNREFUSED", "ENETUNREACH", "EINVAL"))
""", *[where for where in REBOUND[t.family] if where not in ("127.0.0.1", "::1", "0.0.0.0", "fe80::1")],
              own, options=with_events(t))
    words = out.split()
    check_equal(words[:4], ["0", "0", "True", "1"], "answers")
    check_equal(set(words[4:]), {"True"}, "connections")
    refused = [event for event in events(t, "dns") if event["result"] == "refused"]
    check_equal([event["reason"] for event in refused], ["dns-private"], "why")
    check_equal((world.first_bytes, world.requests), ([], []), "what reached a server")


@each_family
def test_records_of_other_names_open_nothing(t):
    """11: an address of another name in the answer."""
    kind, good = address(place("shared", t.family))
    evil = record("alone.evil.test", kind, address(place("evil", t.family))[1])
    world = World(t, {"ok.test": {kind: [evil, record("ok.test", kind, good), evil]}})
    out = ask(t, """
print(answers(ask(query("ok.test", KIND))), outcome(args[0], 443, 20)[0], outcome(args[1], 443)[0])
""", world.place("evil"), world.place("shared"))
    refusal = {4: "EHOSTUNREACH", 6: "EACCES"}[t.family]
    check_equal(out.split(), ["1", refusal, "ok"], "records, and connections")
    check_equal([first for first in world.first_bytes if first[0] == "evil"], [], "what arrived")


@each_family
def test_an_alias_opens_its_own_name_alone(t):
    """12 and 13: the chain's end is no name that is allowed, and a denial follows it."""
    kind, data = address(place("shared", t.family))
    chain = [record("ok.test", CNAME, wire_name("evil.test")), record("evil.test", kind, data)]
    world = World(t, {"ok.test": {kind: chain}})
    done = world.curl("https://ok.test/")
    check_equal(done.stdout, "hello from shared as ok.test\n", done.stderr)
    world.first_bytes.clear()
    world.requests.clear()
    done = world.curl("https://evil.test/", "-k", "--connect-to", "evil.test:443:ok.test:443")
    check(done.returncode != 0 and "access denied" in done.stderr, done.stderr)
    denied = [*POLICY, "--deny", "evil.test", "--allow", "@public:443"]
    done = world.curl("https://ok.test/", "-k", options=with_events(t, denied))
    check(done.returncode != 0, done.stdout)
    check_equal({event["reason"] for event in events(t, "dns") if event["result"] == "refused"},
                {"name-denied"}, "why")
    check_equal(([first for first in world.first_bytes if first[2]], world.requests), ([], []),
                "what reached a server")


@each_family
def test_an_answer_of_thousands_of_addresses_is_bounded(t):
    """14: a hundred are open, the others are not, and what lives goes on."""
    many = [f"203.0.{113 + i // 250}.{i % 250 + 1}" if t.family == 4 else f"2001:db8:2::{i + 1:x}"
            for i in range(1300)]
    world = World(t, leads_to("big.wild.test", *many))
    out = ask(t, """
live = socket.create_connection(("ssh.test", 22)); print(live.recv(64)[:3])
answer = ask(query("big.wild.test", KIND), tcp=True)
print(0 < answers(answer) <= 100)
size = 4 if KIND == 1 else 16
at = 12 + len(labels("big.wild.test")) + 4
kept = set()
for i in range(answers(answer)):
    at += 2 if answer[at] >= 0xc0 else len(labels("big.wild.test"))
    length = struct.unpack(">H", answer[at + 8:at + 10])[0]
    family = socket.AF_INET if KIND == 1 else socket.AF_INET6
    kept.add(socket.inet_ntop(family, answer[at + 10:at + 10 + length])); at += 10 + length
others = [where for where in args if where not in kept][:100]
print({outcome(where, 443, 20)[0] for where in others})
live.sendall(b"hello\\r\\n"); print(live.recv(10))
""", *many)
    refusal = {4: "EHOSTUNREACH", 6: "EACCES"}[t.family]
    check_equal(out.split("\n")[:4], ["b'SSH'", "True", f"{{'{refusal}'}}", "b''"], "what the guest sees")
    check_equal(world.first_bytes, [("ssh", 22, b"hello\r\n")], "what the living one carried")


@each_family
def test_a_pin_holds_for_its_grace_and_is_asked_for_again(t):
    """15: an answer without a time to live. Pins end in steps of ten seconds."""
    world = World(t, leads_to("ok.test", place("shared", t.family), ttl=0))
    policy = t.file("policy.toml", 'version = 1\n[dns]\nmin-ttl = "1s"\ngrace = "4s"\n'
                    '[[rule]]\nallow = "ok.test:443"\n')
    out = ask(t, """
print(resolves("ok.test", KIND)); time.sleep(2.5)
print(outcome(args[0], 443)[0]); time.sleep(14)
print(outcome(args[0], 443, 20)[0]); resolves("ok.test", KIND)
print(outcome(args[0], 443)[0])
""", world.place("shared"), options=with_events(t, ["--policy", policy]))
    refusal = {4: "EHOSTUNREACH", 6: "EACCES"}[t.family]
    check_equal(out.split(), ["True", "ok", refusal, "ok"], "connections")
    check_equal([event["reason"] for event in events(t, "deny")], ["pin-expired"], "why")


@each_family
def test_names_are_labels_and_not_text(t):
    """16 and 17: case, dots within labels, zero bytes, and letters of other alphabets."""
    world = World(t)
    out = ask(t, r"""
def one(name):
    answer = ask(query(name, KIND))
    print(rcode(answer), answers(answer), answer[12:12 + len(labels(name))] == labels(name))
one("OK.TEST"); one("oK.tEsT")
for odd in ([b"ok.test", b"evil", b"test"], [b"ok.test"], [b"ok", b"test\0"], [b"ok\0", b"test"],
            [b"\xd0\xbek", b"test"], [b"ok", b"test "], ["оk".encode("idna"), b"test"]):
    one(odd)
""", options=with_events(t))
    words = out.split()
    check_equal(words[:6], ["0", "1", "True"] * 2, "the name in other letters")
    check_equal(words[7::3], ["0"] * 7, "records for odd names")
    check_equal(words[8::3], ["True"] * 7, "the question as it was asked")
    check_equal(world.resolver.names(), {"ok.test"}, "what left")
    told = {event["name"] for event in events(t, "dns") if event["result"] == "refused"}
    check("xn--k-0tb.test" in told and "\\208\\190k.test" in told, f"how they are shown: {told}")


def service(*parameters):
    """The data of an HTTPS record, of the owner itself: (key, value) each."""
    return struct.pack(">H", 1) + bytes(1) + b"".join(
        struct.pack(">HH", key, len(value)) + value for key, value in parameters)


@each_family
def test_hints_of_services_are_addresses_and_keys_are_removed(t):
    """18."""
    hint, inside = address(place("evil", t.family))[1], address({4: "10.1.2.3", 6: "fd00:5::5"}[t.family])[1]
    key = 4 if t.family == 4 else 6
    parameters = [(1, b"\x02h2"), (5, b"ECHCONFIGLIST")]
    parameters.insert(1 if key == 4 else 2, (key, hint + inside))
    world = World(t, {"ok.test": {HTTPS: [record("ok.test", HTTPS, service(*parameters))]}})
    out = ask(t, """
hint, inside = bytes.fromhex(args[1]), bytes.fromhex(args[2])
print(outcome(args[0], 443, 20)[0])
answer = ask(query("ok.test", 65))
print(answers(answer), b"ECHCONFIG" in answer, hint in answer, inside in answer)
print(outcome(args[0], 443)[0])
""", world.place("evil"), hint.hex(), inside.hex())
    refusal = {4: "EHOSTUNREACH", 6: "EACCES"}[t.family]
    check_equal(out.split(), [refusal, "1", "False", "True", "False", "ok"], "what the guest gets")


@each_family
def test_reverse_names_and_words_are_nobodys(t):
    """19 and 20: answered from pins alone, and no word of a search list leaves."""
    world = World(t)
    out = ask(t, """
import ipaddress
def pointer(address): return ipaddress.ip_address(address).reverse_pointer
print(answers(ask(query(pointer(args[0]), 12))))
resolves("ok.test", KIND)
answer = ask(query(pointer(args[0]), 12))
print(answers(answer), b"\\x02ok\\x04test" in answer)
for name, kind in ((pointer(args[1]), 12), ("deadbeef.in-addr.arpa", 12), ("secret.ip6.arpa", 12),
                   ("5.4.3.2.1.in-addr.arpa", 12), ("secret", KIND), ("localdomain", KIND)):
    print(answers(ask(query(name, kind))))
""", world.place("shared"), world.place("evil"))
    check_equal(out.split(), ["0", "1", "True"] + ["0"] * 6, "answers")
    check_equal(world.resolver.names(), {"ok.test"}, "what left")


@each_family
def test_a_question_carries_nothing_but_its_name(t):
    """Letters in two cases, options, bits of the header, records beside the question and bytes
    behind it: a name that is allowed must not be an envelope."""
    World(t)
    heard = []
    # A resolver of our own, which keeps what it hears as it is.
    other = {4: "198.51.100.53", 6: "2001:db8:1::53"}[t.family]
    t.net.ip(t.net.srv, f"addr add {other}/{32 if t.family == 4 else 128} dev lo" +
             ("" if t.family == 4 else " nodad"))
    datagrams = t.udp(53, address=other)
    datagrams.settimeout(None)

    def answer():
        while True:
            query, source = datagrams.recvfrom(4096)
            heard.append(query)
            end = query.index(b"\0", 12) + 5
            kind, data = address(place("shared", t.family))
            datagrams.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c" +
                             struct.pack(">HHIH", kind, 1, 0, len(data)) + data, source)

    def quietly():
        try:
            answer()
        except OSError:
            pass

    threading.Thread(target=quietly, daemon=True).start()
    t.net.resolver(t.net.hst, f"nameserver {other}\n")
    out = ask(t, r"""
secret = b"SECRET"
record = labels("ok.test") + struct.pack(">HHIH", 16, 1, 0, len(secret) + 1) + bytes([len(secret)]) + secret
plain = query("Ok.TesT", KIND)
flags = plain[:2] + b"\x07\x4f" + plain[4:]
option = b"\0\0\x29\x12\x34\x77\x00\x12\x34" + struct.pack(">HHH", 4 + len(secret), 65001, len(secret)) + secret
envelopes = [plain, flags, plain + secret, query("ok.TEST", KIND, edns=option),
             query("ok.test", KIND, edns=b"", behind=record, counts=(1, 0)),
             query("ok.test", KIND, edns=b"", behind=record, counts=(0, 1)),
             struct.pack(">6H", 7, 0x100, 1, 0, 0, 1) + labels("ok.test") +
             struct.pack(">HH", KIND, 1) + record,
             b"\0\7\x28\0" + plain[4:], b"\0\7\x20\0" + plain[4:]]
for message in envelopes:
    for tcp in (False, True):
        print(rcode(ask(message, tcp=tcp)), end=" ")
""")
    check_equal(out.split(), ["0"] * 8 + ["1"] * 6 + ["4"] * 4, "answers")
    check(heard, "the resolver was asked")
    name = wire_name("ok.test") + struct.pack(">HH", ADDRESS[t.family], 1)
    for query in heard:
        check_equal(query[2:12], b"\x01\0\0\1\0\0\0\0\0\1", "the header")
        check_equal(query[12:], name + b"\0\0\x29\x04\xd0\0\0\0\0\0\0", "the question")
