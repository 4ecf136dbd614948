"""What --events tells: every flow as it begins and as it ends, and what is missing."""

import json
import os
import subprocess

from harness import check, check_equal, each_family, echo, finish, processes, read_line, v4_only
from test_datagrams import serve_echo
from test_policy import host_prefix

WORKERS = ["--workers", "2"]


def events_of(path):
    """Those of a whole run, whose numbers have been checked."""
    with open(path, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    last = 0
    for event in events:
        step = event["count"] if event["type"] == "lost" else 1
        check_equal(event["seq"], last + step, f"number of {event}")
        last = event["seq"]
    check_equal(len({event["run"] for event in events}), 1, "runs in one file")
    check_equal((events[0]["type"], events[-1]["type"]), ("start", "end"), "first and last event")
    return events


def of_port(events, port):
    return [event for event in events if event.get("port") == port]


@each_family
def test_events_tell_of_a_flow_while_it_lives(t):
    t.listen(7000, echo)
    path = t.file("events.jsonl")
    code = """
s = connect(args[0], 7000); s.sendall(b"x" * 100)
assert len(s.recv(100, socket.MSG_WAITALL)) == 100
print("up", flush=True)
sys.stdin.readline()
s.close()
"""
    child = t.start_python(code, t.srv, options=["--events", path], stdin=subprocess.PIPE)
    read_line(child)

    def lives():
        with open(path, encoding="utf-8") as file:
            return any('"open"' in line and '"port":7000' in line for line in file)

    processes.wait_until(lives, 20, "no event of a flow that lives")
    child.stdin.write(b"go on\n")
    child.stdin.flush()
    finish(child)
    events = events_of(path)
    begun, ended = of_port(events, 7000)
    check_equal((begun["type"], ended["type"]), ("open", "close"), "types")
    check_equal(begun["flow"], ended["flow"], "the flow's name")
    check_equal((ended["bytes_to_host"], ended["bytes_to_guest"]), (100, 100), "bytes")
    check_equal((begun["address"], begun["proto"], begun["reason"]), (t.srv, "tcp", "accepted"),
                "flow")
    check_equal(os.stat(path).st_mode & 0o777, 0o600, "mode of the file")


@each_family
def test_events_of_refusals_have_their_reason_and_a_bound(t):
    path = t.file("events.jsonl")
    code = """
s = udp(args[0]); s.connect((args[0], 7000))
for _ in range(20000):
    try: s.send(b"x")
    except OSError: pass
print(outcome(args[0], 7001)[0])
"""
    t.python(code, t.srv, options=["--events", path, "--deny", host_prefix(t, t.srv)])
    denied = [event for event in events_of(path) if event["type"] == "deny"]
    told = [event for event in denied if "left_out" not in event]
    left_out = sum(event["left_out"] for event in denied if "left_out" in event)
    check(all(event["reason"] == "denied-by-policy" for event in denied), f"reasons: {denied[:3]}")
    check(len(told) < 1000, f"{len(told)} lines for 20000 refusals")
    check(len(told) + left_out > 5000, f"{len(told)} + {left_out} of 20000 are accounted for")


@each_family
def test_events_of_several_workers_are_one_stream(t):
    t.listen(7000, echo)
    serve_echo(t.udp(7001), 1000)
    path = t.file("events.jsonl")
    code = """
kept = []  # A port that is used again goes on with its flow.
for i in range(40):
    s = connect(args[0], 7000); s.sendall(b"x"); s.recv(1); s.close()
    u = udp(args[0]); u.settimeout(10); u.sendto(b"x", (args[0], 7001)); u.recv(1)
    kept.append(u)
"""
    t.python(code, t.srv, options=["--events", path, *WORKERS])
    events = events_of(path)
    for port, proto in ((7000, "tcp"), (7001, "udp")):
        ours = of_port(events, port)
        begun = [event["flow"] for event in ours if event["type"] == "open"]
        ended = [event["flow"] for event in ours if event["type"] == "close"]
        check_equal(len(set(begun)), 40, f"{proto} flows that begin")
        check_equal(sorted(begun), sorted(ended), f"{proto} flows that end")
        check(all(event["proto"] == proto for event in ours), "protocols")


@v4_only
def test_events_go_on_where_nobody_reads(t):
    """A pipe whose reader sleeps: the command is not held up, and what is missing is told."""
    t.listen(7000, echo)
    path = t.file("pipe")
    os.mkfifo(path)
    os.chmod(path, 0o666)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    code = """
s = udp(args[0])
for port in range(1, 12000):
    s.sendto(b"x", (args[0], port))
print("done")
"""
    done = t.python(code, t.srv, options=["--events", path])
    check_equal(done.strip(), "done", "the command's words")
    text = b""
    while piece := os.read(reader, 1 << 16):
        text += piece
    os.close(reader)
    lines = text.decode().splitlines()
    check(json.loads(lines[0])["type"] == "start", lines[0])
    check(len(lines) > 100, f"{len(lines)} lines")
