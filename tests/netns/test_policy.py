"""Who may be reached, how often, and what is said about it."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from harness import (GATEWAY, GUEST_PRELUDE, LOOPBACK, PYTHON, bracket, check, check_equal,
                     each_family, echo, finish, read_line, v4_only, v6_only)
from test_dns import Resolver


def outcome(t, address, port, options=(), timeout=4):
    """How a connect ends, the seconds it took, and what the engine printed."""
    code = "print(*outcome(args[0], args[1], float(args[2])))"
    done = t.guest([PYTHON, "-c", GUEST_PRELUDE + code, address, str(port), str(timeout)],
                   options)
    words = done.stdout.split()
    check(len(words) >= 2, f"the guest printed nothing: {done.stderr[-300:]}")
    return words[0], float(words[1]), done.stdout + done.stderr


def host_prefix(t, address):
    return f"{address}/{32 if t.family == 4 else 128}"


@each_family
def test_denied_address_is_refused_at_once(t):
    t.listen(7000, echo)
    name, seconds, said = outcome(t, t.srv, 7000, ["--deny", host_prefix(t, t.srv), "--report"])
    check_equal(name, "ECONNREFUSED", "connect to a denied address")
    check(seconds < 0.5, f"it took {seconds:.2f} s")
    check("den" in said.lower() and t.srv in said, f"the report does not say it: {said[-500:]}")


@each_family
def test_denied_port_leaves_the_others(t):
    t.listen(7000, echo)
    t.listen(7001, echo)
    options = ["--deny", f"{bracket(t.srv)}/{32 if t.family == 4 else 128}:7000"]
    check_equal(outcome(t, t.srv, 7000, options)[0], "ECONNREFUSED", "denied port")
    check_equal(outcome(t, t.srv, 7001, options)[0], "ok", "other port")


@each_family
def test_allow_goes_before_deny(t):
    t.listen(7000, echo)
    everything = {4: "0.0.0.0/0", 6: "::/0"}[t.family]
    options = ["--deny", everything, "--allow", host_prefix(t, t.srv)]
    check_equal(outcome(t, t.srv, 7000, options)[0], "ok", "allowed address")
    check_equal(outcome(t, t.net.CLI[t.family], 7000, options)[0], "ECONNREFUSED", "the rest")


@each_family
def test_denied_udp_gets_icmp_prohibited(t):
    code = """
s = udp(args[0]); s.connect((args[0], 7000)); s.send(b"x")
try: s.recv(1)
except OSError as error: print(errno.errorcode.get(error.errno, "timeout"))
"""
    name = t.python(code, t.srv, options=["--deny", host_prefix(t, t.srv)]).strip()
    check(name in ("EACCES", "EHOSTUNREACH", "ECONNREFUSED"), f"denied datagram: {name}")


@v4_only
def test_link_local_is_denied_by_default(t):
    t.net.ip(t.net.srv, "addr add 169.254.169.254/32 dev lo")
    t.net.ip(t.net.hst, "route add 169.254.169.254/32 via 10.0.0.2")
    t.listen(80, echo)
    check_equal(outcome(t, "169.254.169.254", 80)[0], "ECONNREFUSED", "metadata address")
    check_equal(outcome(t, "169.254.169.254", 80, ["--allow", "169.254.169.254"])[0], "ok",
                "with --allow")


@each_family
def test_host_loopback_is_out_of_reach(t):
    server = t.listen(7000, echo, t.net.hst, LOOPBACK[t.family])
    for address in (GATEWAY[t.family], LOOPBACK[t.family]):
        name, seconds, _ = outcome(t, address, 7000)
        check(name != "ok", f"the guest reached the host's loopback at {address}")
        check(seconds < 3, f"refusing {address} took {seconds:.2f} s")
    check_equal(server.results, [], "connections the host's loopback saw")


@each_family
def test_host_loopback_on_request(t):
    t.listen(7000, echo, t.net.hst, LOOPBACK[t.family])
    check_equal(outcome(t, GATEWAY[t.family], 7000, ["--host-loopback"])[0], "ok", "gateway")


@each_family
def test_max_flows_refuses_the_next_one(t):
    t.listen(7000, echo)
    code = """
held = []
for _ in range(8):
    try: held.append(connect(args[0], 7000))
    except OSError as error: print(errno.errorcode[error.errno])
for s in held: s.sendall(b"x"); assert s.recv(1) == b"x"
print(len(held))
held.pop().close(); time.sleep(0.5)
"""
    lines = t.python(code, t.srv, options=["--max-flows", "5"]).split()
    check_equal(lines, ["ECONNREFUSED"] * 3 + ["5"], "eight connections with --max-flows 5")


@each_family
def test_new_flows_per_second_are_limited(t):
    t.listen(7000, echo)
    code = """
opened = refused = 0
for _ in range(40):
    try: connect(args[0], 7000).close(); opened += 1
    except ConnectionRefusedError: refused += 1
print(opened, refused)
time.sleep(1.2)
connect(args[0], 7000)
"""
    opened, refused = map(int, t.python(code, t.srv,
                                        options=["--new-flows-per-second", "10"]).split())
    check(10 <= opened <= 25 and refused >= 15, f"{opened} opened, {refused} refused of 40")


def json_of(text):
    """The JSON document in what a run printed, which may have other lines around it."""
    start = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
    check(start >= 0, f"no JSON in: {text[-300:]!r}")
    return json.JSONDecoder().raw_decode(text[start:])[0]


@each_family
def test_report_names_whom_the_guest_talked_to(t):
    t.listen(7000, echo)
    code = 's = connect(args[0], 7000); s.sendall(b"12345"); s.recv(5)\n'
    done = t.guest_ok([PYTHON, "-c", GUEST_PRELUDE + code, t.srv], ["--report"])
    check(t.srv in done.stderr and "7000" in done.stderr, f"report: {done.stderr[-500:]!r}")
    done = t.guest_ok([PYTHON, "-c", GUEST_PRELUDE + code, t.srv], ["--report=json"])
    text = json.dumps(json_of(done.stderr))
    check(t.srv in text and "7000" in text, f"report as JSON: {text[:500]}")


def test_report_shows_the_name_that_was_asked(t):
    t.family = 4
    Resolver(t)
    t.net.resolver(t.net.hst, "nameserver 10.0.0.2\n")
    t.listen(7000, echo)
    code = 's = connect(socket.gethostbyname("srv.test"), 7000); s.sendall(b"x"); s.recv(1)\n'
    done = t.guest_ok([PYTHON, "-c", GUEST_PRELUDE + code], ["--report"])
    check("srv.test" in done.stderr, f"the report has no name: {done.stderr[-500:]}")


@each_family
def test_flow_log_has_a_json_line_per_flow(t):
    t.listen(7000, echo)
    path = t.file("flows.jsonl")
    code = 'for _ in range(3): s = connect(args[0], 7000); s.sendall(b"x"); s.recv(1); s.close()\n'
    t.python(code, t.srv, options=["--flow-log", path])
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    ours = [line for line in lines if t.srv in json.dumps(line) and "7000" in json.dumps(line)]
    check(len(ours) >= 3, f"3 flows gave {len(ours)} lines of {len(lines)}: {lines[:3]}")


@each_family
def test_pcap_is_readable_by_tcpdump(t):
    if not shutil.which("tcpdump"):
        pytest.skip("tcpdump is not installed")
    t.listen(7000, echo)
    path = t.file("capture.pcap")
    t.python('s = connect(args[0], 7000); s.sendall(b"x"); s.recv(1)\n', t.srv,
             options=["--pcap", path])
    done = subprocess.run(["tcpdump", "-nn", "-r", path, "tcp port 7000"], capture_output=True,
                          text=True, check=False)
    check_equal(done.returncode, 0, f"tcpdump ({done.stderr.strip()})")
    check("Flags [S]" in done.stdout and "Flags [S.]" in done.stdout,
          f"no handshake: {done.stdout[:300]}")
    check(os.stat(path).st_uid != 0, "the capture belongs to root")


def test_counters_on_sigusr1(t):
    child = t.start(["sh", "-c", "echo up; sleep 3"], ["--deny", "10.0.0.2"])
    read_line(child)
    os.kill(t.engine_pid(child), signal.SIGUSR1)
    status, _, err = finish(child)
    check_equal(status, 0, "status after SIGUSR1")
    check(err.strip() != "", "SIGUSR1 printed nothing")


@each_family
def test_the_hosts_own_addresses_are_refused(t):
    server = t.listen(7000, echo, t.net.hst)
    name, seconds, said = outcome(t, t.hst, 7000, ["--report"])
    check_equal(name, "ECONNREFUSED", "connect to an address of the host")
    check(seconds < 2, f"it took {seconds:.2f} s")
    check(f"host address; --allow {t.hst} opens it" in said, f"the report: {said[-500:]}")
    check("host-address" in said, f"the counters: {said[-500:]}")
    check_equal(server.results, [], "connections that the host saw")
    everything = {4: "0.0.0.0/0", 6: "::/0"}[t.family]
    # Without a --deny the default denies, and what is refused is told so.
    prohibited = {4: "EHOSTUNREACH", 6: "EACCES"}[t.family]
    check_equal(outcome(t, t.hst, 7000, ["--allow", everything])[0], prohibited, everything)
    check_equal(outcome(t, t.hst, 7000, ["--allow", t.hst])[0], "ok", "with --allow")
    check_equal(outcome(t, t.hst, 7000, ["--host-addresses"])[0], "ok", "with --host-addresses")


@each_family
def test_an_address_that_the_host_gets_later_is_refused_too(t):
    new = {4: "10.0.0.77", 6: "fd02::77"}[t.family]
    t.listen(7000, echo, t.net.hst)
    code = """
print(outcome(args[0], 7000)[0]); sys.stdin.readline()
print(outcome(args[1], 7000)[0])
"""
    child = t.start_python(code, t.hst, new, stdin=subprocess.PIPE)
    check_equal(read_line(child), "ECONNREFUSED", "the first address")
    t.net.ip(t.net.hst, f"addr add {new}/32 dev lo" if t.family == 4 else
             f"-6 addr add {new}/128 dev lo nodad")
    time.sleep(0.5)
    child.stdin.write(b"\n")
    child.stdin.flush()
    check_equal(read_line(child), "ECONNREFUSED", "the address that came")
    check_equal(finish(child)[0], 0, "status")


@v6_only
def test_ipv4_in_ipv6_clothes_is_judged_as_ipv4(t):
    translated = "64:ff9b::a00:63"  # 10.0.0.99
    metadata = "64:ff9b::a9fe:a9fe"
    for address in (translated, metadata):
        t.net.ip(t.net.srv, f"-6 addr add {address}/128 dev lo nodad")
        t.net.ip(t.net.hst, f"-6 route add {address}/128 via fd02::2")
    t.listen(7000, echo)
    check_equal(outcome(t, translated, 7000)[0], "ok", "without a rule")
    check_equal(outcome(t, translated, 7000, ["--deny", "10.0.0.0/8"])[0], "ECONNREFUSED",
                "with --deny 10.0.0.0/8")
    check_equal(outcome(t, metadata, 7000)[0], "ECONNREFUSED", "metadata behind NAT64")
    own = "2001:db8:64::a00:63"
    t.net.ip(t.net.srv, f"-6 addr add {own}/128 dev lo nodad")
    t.net.ip(t.net.hst, f"-6 route add {own}/128 via fd02::2")
    options = ["--deny", "10.0.0.0/8", "--nat64-prefix", "2001:db8:64::/96"]
    check_equal(outcome(t, own, 7000, options)[0], "ECONNREFUSED", "the network's own prefix")


@each_family
def test_refusals_do_not_fill_the_flow_log(t):
    path = t.file("flows.jsonl")
    code = """
s = udp(args[0]); s.connect((args[0], 7000))
for _ in range(20000):
    try: s.send(b"x")
    except OSError: pass
"""
    t.python(code, t.srv, options=["--flow-log", path, "--deny", host_prefix(t, t.srv)])
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    told = [line for line in lines if "left_out" not in line]
    left_out = sum(line["left_out"] for line in lines if "left_out" in line)
    check(len(told) < 1000, f"{len(told)} lines for 20000 refusals")
    check(len(told) + left_out > 5000, f"only {len(told)} + {left_out} of 20000 are accounted for")
    check_equal(os.stat(path).st_mode & 0o777, 0o600, "mode of the flow log")


def test_another_network_where_the_usual_is_the_hosts(t):
    t.net.ip(t.net.hst, "route add 10.0.2.0/24 via 10.0.0.2")
    t.net.ip(t.net.hst, "-6 route add fd00::/64 via fd02::2")
    shown = t.guest_ok(["ip", "-brief", "address", "show", "dev", "tap0"]).stdout
    check("10.0.3.15/24" in shown and "fd00:0:0:2::15/64" in shown, f"addresses: {shown}")
    named = t.guest_ok(["true"], ["--address", "10.0.2.15/24"])
    check("hides 10.0.2.0/24 of the host" in named.stderr, f"no warning: {named.stderr}")
    check_equal(t.guest_ok(["true"]).stderr, "", "messages without an option")


def test_names_lead_to_ipv6_where_the_host_has_no_ipv4(t):
    t.family = 6
    t.listen(7000, echo)
    t.net.ip(t.net.hst, "-4 addr flush dev s0")
    t.net.ip(t.net.hst, "-4 addr flush dev c0")
    code = """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.connect(("10.0.0.2", 7000)); print("a way by IPv4")
except OSError as error: print(errno.errorcode[error.errno])
print(outcome(args[0], 7000)[0], outcome("10.0.2.2", 7000)[0])
"""
    words = t.python(code, t.srv).split()
    check_equal(words, ["ENETUNREACH", "ok", "ECONNREFUSED"], "IPv4, IPv6, the gateway")
