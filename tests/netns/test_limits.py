"""What flows may carry together: quotas, rates and numbers of flows, of rules and of a run, by the
tap and by the guest's kernel, over several workers."""

import hashlib
import json
import time

import pytest

from harness import check, check_equal, each_family
from policy_world import World

MIB = 1 << 20
TAP, KERNEL = ["--fast-path=off"], ["--fast-path=require"]
each_way = pytest.mark.parametrize("path", [TAP, KERNEL], ids=["tap", "kernel"])

SEND = """
def pour(address, port, size):
    # As much of so many bytes as the other end takes.
    chunk, sent = bytes(range(256)) * 256, 0
    try:
        s = connect(address, port)  # Refused, where nothing is left of the limit.
        while sent < size:
            sent += s.send(chunk[sent % 256:][:size - sent])
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536): pass
        return "whole"
    except OSError:
        return "reset"
"""


def policy(t, limit, address=None, more=""):
    """The options of a run whose rule "few" has this limit."""
    where = address or t.srv
    target = f"[{where}]/128" if ":" in where else where
    path = t.file("policy.toml", f"""version = 1
default = "allow"
{more}
[[rule]]
id = "few"
allow = "{target}"
limit = {{ {limit} }}
""")
    return ["--policy", path]


class Sink:
    """A server that reads all, and says how much and how it ended."""

    def __init__(self, t, port=7000):
        self.got = []
        t.listen(port, self._serve)

    def _serve(self, connection):
        count, digest = 0, hashlib.sha256()
        begun = time.monotonic()
        end = "fin"
        try:
            while part := connection.recv(1 << 18):
                count += len(part)
                digest.update(part)
        except OSError:
            end = "reset"
        self.got.append((count, digest.hexdigest(), end, time.monotonic() - begun))


@each_way
@each_family
def test_a_quota_to_the_host_ends_the_flow_at_it(t, path):
    sink = Sink(t)
    options = policy(t, 'to-host = "50MiB"')
    done = t.python(SEND + f"""
print(pour(args[0], 7000, {60 * MIB}))
try:
    connect(args[0], 7000); print("reached")
except OSError as error:
    print(type(error).__name__)
""", t.srv, options=[*options, *path])
    check_equal(done.split("\n")[:2], ["reset", "ConnectionRefusedError"], "the guest's")
    check_equal(len(sink.got), 1, "connections that reached the server")
    count, digest, _, _ = sink.got[0]
    check(50 * MIB - 65536 <= count <= 50 * MIB, f"{count} bytes got there")
    whole = hashlib.sha256((bytes(range(256)) * (1 + count // 256))[:count]).hexdigest()
    check_equal(digest, whole, "what got there")


@each_way
@each_family
def test_a_quota_from_the_host_ends_the_flow_at_it(t, path):
    def serve(connection):
        chunk = bytes(1 << 16)
        try:
            for _ in range(20 * MIB >> 16):
                connection.sendall(chunk)
        except OSError:
            pass
    t.listen(7000, serve)
    options = policy(t, 'from-host = "10MiB"')
    done = t.python("""
s, got = connect(args[0], 7000), 0
try:
    while part := s.recv(65536): got += len(part)
    print("fin", got)
except OSError:
    print("reset", got)
""", t.srv, options=[*options, *path, "--report"])
    end, got = done.split()[:2]
    check_equal(end, "reset", "how it ended")
    check(10 * MIB - 65536 <= int(got) <= 10 * MIB, f"{got} bytes came")


@each_way
@each_family
def test_a_rate_holds_both_ways_and_nothing_is_lost(t, path):
    sink = Sink(t)
    data = bytes(range(256)) * (5 * MIB // 256)

    def serve(connection):
        connection.sendall(data)
    t.listen(7001, serve)
    options = policy(t, 'rate = "1MiB/s"')
    done = t.python(SEND + f"""
import threading, hashlib, time
up = threading.Thread(target=lambda: pour(args[0], 7000, {5 * MIB}))
up.start()
begun, s, digest = time.monotonic(), connect(args[0], 7001), hashlib.sha256()
while part := s.recv(65536): digest.update(part)
print(time.monotonic() - begun, digest.hexdigest())
up.join()
""", t.srv, options=[*options, *path], timeout=60)
    took, digest = done.split()[:2]
    check_equal(digest, hashlib.sha256(data).hexdigest(), "what came")
    count, digest, end, up_took = sink.got[0]
    check_equal((count, digest, end), (len(data), hashlib.sha256(data).hexdigest(), "fin"),
                "what got there")
    # Five seconds, less what the first burst of 50 ms carries.
    for way, seconds in (("down", float(took)), ("up", up_took)):
        check(4.75 <= seconds <= 5.25, f"{way} took {seconds} s")


@each_way
@each_family
def test_so_many_flows_at_a_time(t, path):
    Sink(t)
    done = t.python("""
flows, refused = [], 0
for _ in range(12):
    try:
        flows.append(connect(args[0], 7000))
    except ConnectionRefusedError:
        refused += 1
print(len(flows), refused)
for s in flows: s.close()
time.sleep(0.5)
print(bool(connect(args[0], 7000)))
""", t.srv, options=[*policy(t, "flows = 8"), *path])
    check_equal(done.split("\n")[:2], ["8 4", "True"], "flows")


@each_family
def test_workers_share_a_limit(t):
    sink = Sink(t)
    done = t.python(SEND + f"""
import threading
ends = []
def one(): ends.append(pour(args[0], 7000, {4 * MIB}))
threads = [threading.Thread(target=one) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(ends.count("reset"))
""", t.srv, options=[*policy(t, 'to-host = "10MiB"'), "--workers", "2"])
    check(int(done.split()[0]) >= 5, done)
    time.sleep(0.5)
    total = sum(count for count, _, _, _ in sink.got)
    check(10 * MIB - 65536 <= total <= 10 * MIB, f"{total} bytes got there")


@each_way
@each_family
def test_a_limit_of_the_run_and_what_is_said_of_it(t, path):
    sink = Sink(t)
    events = t.file("events.jsonl")
    done = t.guest(["python3", "-c", "import socket,sys\n" + SEND.replace(
        "connect(address, port)", "socket.create_connection((address, port))") + f"""
print(pour({t.srv!r}, 7000, {2 * MIB}))
"""], ["--limit", "to-host=1MiB", "--events", events, *path])
    check_equal(done.stdout.strip(), "reset", done.stderr)
    check_equal(sink.got[0][0], MIB, "bytes that got there")
    check("sluice: policy: default allow, 0 rules, limit to-host=1MiB" in done.stderr, done.stderr)
    check("sluice: limit reached: of the run (1048576 of 1048576 bytes to hosts): 1 flow ended, "
          "0 refused" in done.stderr, done.stderr)
    with open(events, encoding="utf-8") as file:
        limits = [event for event in map(json.loads, file) if event["type"] == "limit"]
    check_equal([(e["reason"], e["decided_by"], e["bytes_to_host"]) for e in limits],
                [("quota", "limits", MIB)], "events")


@each_family
def test_datagrams_over_a_quota_end_their_flow(t):
    server = t.udp(7001)
    done = t.python("""
s = udp(args[0]); s.settimeout(1); s.connect((args[0], 7001))
sent = 0
try:
    for _ in range(20):
        s.send(bytes(1000)); sent += 1; time.sleep(0.01)
except OSError as error:
    print(sent, type(error).__name__)
""", t.srv, options=policy(t, 'to-host = "5000"'))
    sent, error = done.split()[:2]
    check(5 <= int(sent) <= 8 and error in ("PermissionError", "OSError"), done)
    server.settimeout(0.5)
    got = 0
    try:
        while True:
            got += len(server.recv(2000))
    except OSError:
        pass
    check_equal(got, 5000, "bytes that got there")


@each_family
def test_datagrams_over_a_rate_are_lost_and_counted(t):
    server = t.udp(7001)
    done = t.guest(["python3", "-c", f"""
import socket, time
s = socket.socket(socket.AF_INET6 if ":" in {t.srv!r} else socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(200): s.sendto(bytes(1000), ({t.srv!r}, 7001)); time.sleep(0.005)
time.sleep(0.2)
"""], [*policy(t, 'to-host-rate = "20kB/s"'), "--report"])
    server.settimeout(0.5)
    got = 0
    try:
        while server.recv(2000):
            got += 1
    except OSError:
        pass
    # 20 a second for a second or a little more, and the burst of four.
    check(18 <= got <= 45, f"{got} of 200 datagrams got there")
    check("over-rate" in done.stdout + done.stderr, done.stderr)


@each_family
def test_plain_http_is_told_by_a_page(t):
    world = World(t)
    path = t.file("policy.toml", 'version = 1\n[[rule]]\nid = "few"\nallow = "plain.test:80"\n'
                  'note = "One at a time."\nlimit = { flows = 1 }\n')
    out = t.python("""
import subprocess
s = socket.create_connection(("plain.test", 80), timeout=20)
s.sendall(b"GET /one HTTP/1.1\\r\\nHost: plain.test\\r\\n\\r\\n")
print(s.recv(15))
print(subprocess.run(["curl", "-sSi", "http://plain.test/two"], capture_output=True, text=True).stdout)
""", options=["--policy", path])
    check("HTTP/1.1 200 OK" in out.split("\n")[0], out)
    check("HTTP/1.1 429 Too Many Requests" in out and "why:  quota" in out, out)
    check("rule: few" in out and "note: One at a time." in out, out)
    check_equal([path for _, _, path in world.requests], ["/one"], "requests that reached a server")


@each_family
def test_the_narrower_of_a_rule_and_the_run_counts(t):
    sink = Sink(t)
    done = t.python(SEND + f"print(pour(args[0], 7000, {2 * MIB}))", t.srv,
                    options=policy(t, 'to-host = "1MiB"', more='[limits]\nto-host = "512KiB"'))
    check_equal(done.strip(), "reset", "how it ended")
    check_equal(sink.got[0][0], 512 << 10, "bytes that got there")
