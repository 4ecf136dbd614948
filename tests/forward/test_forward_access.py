"""Who may connect: global and per rule, by address, prefix and wildcard, before a byte is read."""

import time

from forwarding import check
from harness import check_equal
from test_forward_udp import UdpServer


def rules(t, targets, text="", host="127.0.0.1", name="rules.conf"):
    """One rule for each entry of `targets`: (server's port, lines after it)."""
    ports, lines = [], [text]
    for target, own in targets:
        ports.append(t.port())
        lines.append(f"{host} {ports[-1]} {host} {target}\n{own}\n")
    t.forward_file("\n".join(lines), ready=[f"{port}" for port in ports], name=name)
    return ports


def allowed(t, port, source=None, host="127.0.0.1"):
    """Whether a client is served; one that is not must see a close or RST, and soon."""
    try:
        client = t.connect(port, host, timeout=3, source=source)
        client.sendall(b"ping")
        verdict, data = "data", client.recv(4)
    except ConnectionResetError:
        verdict, data = "rst", b""
    check_equal(data in (b"ping", b""), True, f"what came ({verdict})")
    return data == b"ping"


def check_sources(t, port, wanted, host="127.0.0.1"):
    for source, may in wanted.items():
        check_equal(allowed(t, port, source, host), may, f"from {source}")


def test_access_global_deny(t):
    server = t.serve()
    (port,) = rules(t, [(server.port, "")], "deny 127.0.0.9")
    check_sources(t, port, {"127.0.0.1": True, "127.0.0.9": False, "127.0.0.90": True})


def test_access_global_allow(t):
    server = t.serve()
    (port,) = rules(t, [(server.port, "")], "allow 127.0.0.9\nallow 127.0.1.*")
    check_sources(t, port, {"127.0.0.1": False, "127.0.0.9": True, "127.0.1.77": True})


def test_access_of_one_rule_only(t):
    server = t.serve()
    first, second, third = rules(t, [(server.port, "allow 127.0.0.5"), (server.port, ""),
                                     (server.port, "deny 127.0.0.5")])
    check_sources(t, first, {"127.0.0.1": False, "127.0.0.5": True})
    check_sources(t, second, {"127.0.0.1": True, "127.0.0.5": True})
    check_sources(t, third, {"127.0.0.1": True, "127.0.0.5": False})


def test_access_order_global_then_rule(t):
    """Global allow, global deny, the rule's allow, the rule's deny: each can refuse."""
    server = t.serve()
    (port,) = rules(t, [(server.port, "allow 127.0.0.?\ndeny 127.0.0.4")],
                    "allow 127.0.*\ndeny 127.0.0.3")
    check_sources(t, port, {"127.0.0.2": True, "127.0.0.3": False, "127.0.0.4": False,
                            "127.0.0.20": False, "127.1.0.1": False})


def test_access_wildcards_of_one_character(t):
    server = t.serve()
    (port,) = rules(t, [(server.port, "")], "deny 127.0.2.1?")
    check_sources(t, port, {"127.0.2.1": True, "127.0.2.10": False, "127.0.2.100": True})


def test_access_by_prefix(t):
    server = t.serve()
    (port,) = rules(t, [(server.port, "")], "allow 127.0.0.0/25\ndeny 127.0.0.64/26")
    check_sources(t, port, {"127.0.0.63": True, "127.0.0.64": False, "127.0.0.127": False,
                            "127.0.0.128": False})


def test_access_by_options_of_the_command_line(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--allow=127.0.0.0/8",
              "--deny=127.0.0.7")
    check_sources(t, port, {"127.0.0.1": True, "127.0.0.7": False})


def add_addresses(t):
    t.start(["ip", "-6", "addr", "add", "fd00::5/128", "dev", "lo"]).wait()
    t.start(["ip", "-6", "addr", "add", "fd01::5/128", "dev", "lo"]).wait()


def test_access_of_ipv6(t):
    add_addresses(t)
    server = t.serve(host="::1")
    text = '''
    [[forwarding_rules]]
    listen = "[::]:{port}"
    targets = ["[::1]:{target}"]
    deny = ["{pattern}"]
    '''
    for pattern in ("fd00::/16", "fd00::5", "fd00:*"):
        port = t.port()
        t.forward_file(text.format(port=port, target=server.port, pattern=pattern), ready=[port],
                       name=f"rules{port}.toml")
        check_sources(t, port, {"::1": True, "fd00::5": False, "fd01::5": True}, "::1")


def test_access_of_ipv4_through_a_dual_stack_listener(t):
    server = t.serve()
    port = t.port()
    t.forward(f"[::]:{port}", f"127.0.0.1:{server.port}", "--deny=127.0.0.7")
    check_sources(t, port, {"127.0.0.1": True, "127.0.0.7": False})


def test_access_refused_before_a_byte_is_read(t):
    """The target sees no connection, and the client is not kept waiting for it to speak."""
    seen = []
    server = t.serve(lambda c: seen.append(c.recv(100)))
    (port,) = rules(t, [(server.port, "deny 127.0.0.1")])
    started = time.monotonic()
    verdict, data = t.ending(port, 3)
    check(verdict in ("rst", "fin") and data == b"", f"the client saw {verdict} {data!r}")
    check(time.monotonic() - started < 1, "the client had to wait")
    time.sleep(0.2)
    check_equal(seen, [], "what the target saw")


def test_access_of_udp(t):
    server = UdpServer(t)
    port = t.port()
    t.forward(f"udp://127.0.0.1:{port}", f"udp://127.0.0.1:{server.port}", "--deny=127.0.0.9")
    denied = t.udp("127.0.0.9", 0, timeout=0.5)
    denied.connect(("127.0.0.1", port))
    denied.send(b"denied")
    client = t.udp_client(port)
    client.send(b"allowed")
    check_equal(client.recv(100), b"allowed", "an allowed client")
    try:
        check(False, f"a denied client got {denied.recv(10)!r}")
    except (TimeoutError, ConnectionRefusedError):
        pass
    check_equal([data for data, _ in server.got], [b"allowed"], "what the server got")


def test_access_of_the_references_toml(t):
    """[[global_rules]] and [[forwarding_rules.rules]]: oi parses and ignores them."""
    server = t.serve()
    port = t.port()
    t.forward_file(f'''
    [[global_rules]]
    type = "deny"
    pattern = "127.0.0.8"
    [[forwarding_rules]]
    bind_address = "127.0.0.1"
    bind_port = {port}
    connect_address = "127.0.0.1"
    connect_port = {server.port}
    [[forwarding_rules.rules]]
    type = "allow"
    pattern = "127.0.0.*"
    [[forwarding_rules.rules]]
    type = "deny"
    pattern = "127.0.0.0/30"
    ''', ready=[port])
    check_sources(t, port, {"127.0.0.1": False, "127.0.0.5": True, "127.0.0.8": False,
                            "127.0.1.5": False})
