"""The control socket of a run and `sluice ctl`: what people see of it, and change; who cannot."""

import hashlib
import json
import os
import re
import subprocess
import time

import pytest

from harness import (NOBODY, PYTHON, check, check_equal, each_family, echo, finish, processes,
                     read_line, unix_in)

# Of whoever starts the guests.
UID = 65534
# Says that it is there, and ends with its standard input.
WAIT = 'print("up", flush=True); sys.stdin.readline()'


class Run:
    """A guest of Python code, and what `sluice ctl` says of it."""

    def __init__(self, t, code, *arguments, options=()):
        self.t = t
        self.child = t.start_python(code, *arguments, options=options, stdin=subprocess.PIPE)

    def line(self, timeout=60):
        return read_line(self.child, timeout)

    def say(self, text="go"):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def ctl(self, *words, nobody=True, timeout=60):
        """As the user who started it, in the network namespace of the host."""
        return ctl(self.t, *words, nobody=nobody, timeout=timeout)

    def ctl_ok(self, *words, **more):
        done = self.ctl(*words, **more)
        check_equal(done.returncode, 0, f"sluice ctl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def answers(self, *words):
        """The lines of --json."""
        return [json.loads(line) for line in self.ctl_ok("--json", *words).splitlines()]

    def status(self):
        return self.answers("status")[0]

    def flows(self):
        return [line for line in self.answers("flows") if "flow" in line]

    def name(self):
        return self.status()["run"]

    def finish(self, timeout=60):
        status, out, _ = finish(self.child, timeout)
        check_equal(status, 0, f"exit status of the guest, which printed {out!r}")


def ctl(t, *words, nobody=True, timeout=60):
    command = ["ip", "netns", "exec", t.net.hst]
    if nobody:
        command += NOBODY
    return subprocess.run([*command, t.path, "ctl", *words], capture_output=True, text=True,
                          timeout=timeout, check=False)


def abstract(t, run):
    """A client of the control socket that is no sluice, in the namespace of the host."""
    client = unix_in(t.net.hst, f"\0sluice/{UID}/{run}")
    client.settimeout(30)
    return client


def lines_of(client):
    return client.makefile("r", encoding="utf-8")


@each_family
def test_people_see_what_runs_and_which_flows_live(t):
    t.listen(7, echo)
    run = Run(t, 's = connect(*args[:2]); s.sendall(b"x" * 1000); s.recv(1); print("up");'
                 'sys.stdin.readline()', t.srv, 7)
    check_equal(run.line(), "up", "the guest")
    status = run.status()
    check_equal(status["program"], "sluice run", "its program")
    check_equal(status["flows"], 1, "its flows")
    check_equal(status["pid"], run.t.engine_pid(run.child), "its process")
    (flow,) = run.flows()
    check_equal((flow["address"], flow["port"], flow["proto"]), (t.srv, 7, "tcp"), "its flow")
    check_equal(flow["bytes_to_host"], 1000, "bytes of its flow")
    check(0 < flow["rtt_s"] < 5, f"its round trip: {flow}")
    check(re.fullmatch("[0-9a-f]{16}", flow["flow"]), flow["flow"])
    listed = run.ctl_ok().splitlines()
    check_equal(listed[0].split(), ["RUN", "PID", "PROGRAM", "FLOWS", "UP"], "the list's head")
    check(status["run"] in listed[1].split(), listed[1])
    shown = run.ctl_ok(status["run"], "flows")
    check(flow["flow"] in shown and "PATH" in shown, shown)
    run.say()
    run.finish()
    check_equal(run.ctl("status").returncode, 1, "status of nothing")


def test_guest_does_not_reach_the_control_socket(t):
    """Neither by its name, nor as root in its own namespaces, nor as a file."""
    knock = """
answers = []
for uid in (%d, 0):
    try:
        s = socket.socket(socket.AF_UNIX); s.connect(f"\\0sluice/{uid}/{sys.stdin.readline().strip()}")
        answers.append("reached")
    except OSError as error:
        answers.append(error.strerror)
print(answers, flush=True)
print([line for line in open("/proc/net/unix") if "sluice/" in line], flush=True)
sys.stdin.readline()
""" % UID
    for options in ((), ("--as-root",)):
        run = Run(t, 'print("up");' + knock, options=options)
        check_equal(run.line(), "up", "the guest")
        name = run.name()
        run.say(name)
        run.say(name)
        check_equal(run.line(), "['Connection refused', 'Connection refused']", "who knocked")
        check_equal(run.line(), "[]", "what the guest sees listening")
        run.say()
        run.finish()


def test_another_user_gets_no_answer(t):
    run = Run(t, WAIT)
    check_equal(run.line(), "up", "the guest")
    name = run.name()
    knock = ("import socket; s = socket.socket(socket.AF_UNIX); "
             f"s.connect('\\0sluice/{UID}/{name}'); s.sendall(b'{{\"do\":\"status\"}}\\n'); "
             "s.settimeout(20); print(s.recv(100))")
    done = subprocess.run(["ip", "netns", "exec", t.net.hst, "setpriv", "--reuid=12345",
                           "--regid=12345", "--clear-groups", PYTHON, "-c", knock],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.stdout.strip() == "b''" or "Error" in done.stderr, done.stdout + done.stderr)
    # Root is answered, if he knows whose run it is.
    with abstract(t, name) as client:
        client.sendall(b'{"id":3,"do":"status"}\n')
        answer = json.loads(lines_of(client).readline())
    check_equal((answer["id"], answer["ok"]), (3, True), "what root gets")
    run.say()
    run.finish()


# Half of the connections go to a port that is denied then; the others go on and are whole.
TWO_PORTS = """
import threading
address, refused, kept, count = args[0], int(args[1]), int(args[2]), int(args[3])
block = os.urandom(1 << 16)
ends = []
started = threading.Barrier(2 * count + 1)
go_on = threading.Event()
def carry(port):
    digest = hashlib.sha256()
    try:
        s = connect(address, port)
        for _ in range(8):
            s.sendall(block); digest.update(block)
        started.wait()
        if port == refused:
            s.recv(1); ends.append((port, "ended")); return
        go_on.wait()
        for _ in range(8):
            s.sendall(block); digest.update(block)
        s.shutdown(socket.SHUT_WR)
        whole = read_all(s).decode() == digest.hexdigest()
        ends.append((port, "whole" if whole else "damaged"))
    except OSError as error:
        ends.append((port, error.strerror))
threads = [threading.Thread(target=carry, args=(port,)) for port in (refused, kept) * count]
for thread in threads: thread.start()
started.wait(); print("up", flush=True)
sys.stdin.readline()
for thread in threads[::2]: thread.join()
print("cut off", flush=True)
go_on.set()
for thread in threads: thread.join()
print(sorted((port, end, ends.count((port, end))) for port, end in set(ends)))
"""


def digest_back(connection):
    digest = hashlib.sha256()
    while data := connection.recv(1 << 16):
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())


@pytest.mark.parametrize("path", ["off", "require"])
@each_family
def test_what_a_rule_denies_is_reset_on_both_sides_and_the_rest_is_whole(t, path):
    """CONTROL, attack 37."""
    count = 10 if t.fast else 500
    ends = []

    def until_the_end(connection):
        try:
            while connection.recv(1 << 16):
                pass
            ends.append("ended")
        except ConnectionResetError:
            ends.append("reset")

    t.listen(7001, until_the_end)
    t.listen(7002, digest_back)
    run = Run(t, TWO_PORTS, t.srv, 7001, 7002, count, options=[f"--fast-path={path}"])
    check_equal(run.line(300), "up", "the guest")
    # A busy machine leaves some of them on the tap, which is the other half of the attack.
    if path == "require":
        processes.wait_until(lambda: sum(flow["path"] == "kernel" for flow in run.flows()) >= count,
                             60, "half of the connections are not handed over")
    # What is timed is the change, not the rest of what the hosts have to take before.
    processes.wait_until(lambda: sum(flow["bytes_to_host"] for flow in run.flows()) ==
                         2 * count * 8 * (1 << 16), 120, "bytes do not arrive")
    print(f"{sum(flow['path'] == 'kernel' for flow in run.flows())} of them by the kernel")
    rule = f"{t.srv}/{32 if t.family == 4 else 128}:7001"
    with abstract(t, run.name()) as client:
        answers = lines_of(client)
        begun = time.monotonic()
        client.sendall(json.dumps({"do": "deny", "rule": rule}).encode() + b"\n")
        check_equal(json.loads(answers.readline())["generation"], 2, "the policy's generation")
        answered = time.monotonic()
    processes.wait_until(lambda: len(ends) == count, 60, "hosts do not see the end")
    print(f"{count} flows: answered after {1000 * (answered - begun):.1f} ms, all hosts have seen "
          f"the end after {1000 * (time.monotonic() - begun):.0f} ms")
    check_equal(set(ends), {"reset"}, "what hosts see")
    check_equal(len(run.flows()), count, "flows that live")
    check(all(flow["rtt_s"] > 0 for flow in run.flows()), "each has its round trip, on either path")
    run.say()
    check_equal(run.line(60), "cut off", "the guest")
    check_equal(run.line(300),
                str([(7001, "Connection reset by peer", count), (7002, "whole", count)]),
                "what the guest sees")
    run.finish()


@each_family
def test_datagrams_and_pings_are_judged_again(t):
    server = t.udp(5000)
    run = Run(t, """
s = udp(args[0]); s.settimeout(20); s.connect((args[0], 5000)); s.send(b"one"); print("up", flush=True)
sys.stdin.readline()
try:
    for _ in range(100):
        s.send(b"two"); time.sleep(0.1)
    print("sent")
except OSError as error:
    print(error.strerror)
""", t.srv)
    check_equal(run.line(), "up", "the guest")
    server.settimeout(20)
    check_equal(server.recv(10), b"one", "what came")
    check_equal(len(run.flows()), 1, "flows")
    run.ctl_ok("deny", f"{t.srv}")
    check_equal(run.flows(), [], "flows that live")
    run.say()
    check_equal(run.line(), "No route to host" if t.family == 4 else "Permission denied",
                "what the guest sees")
    run.finish()
    server.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.recv(10)


@each_family
def test_one_flow_is_killed_and_told_to_subscribers(t):
    t.listen(7, echo)
    run = Run(t, """
keep, lose = connect(*args[:2]), connect(*args[:2])
for s in (keep, lose): s.sendall(b"x"); s.recv(1)
print(lose.getsockname()[1], flush=True); sys.stdin.readline()
try:
    print(lose.recv(1))
except OSError as error:
    print(error.strerror)
keep.sendall(b"y"); print(keep.recv(1))
""", t.srv, 7)
    port = int(run.line())
    number = next(flow["flow"] for flow in run.flows() if flow["guest_port"] == port)
    client = abstract(t, run.name())
    events = lines_of(client)
    client.sendall(b'{"do":"subscribe"}\n')
    check_equal(json.loads(events.readline())["ok"], True, "subscribe")
    run.ctl_ok("kill", number)
    event = json.loads(events.readline())
    check_equal((event["type"], event["flow"], event["reason"], event["decided_by"]),
                ("revoke", number, "killed", "person"), "the event")
    again = run.ctl("kill", number)
    check_equal(again.returncode, 1, "to kill it again")
    check("there is no such flow" in again.stderr, again.stderr)
    run.say()
    check_equal([run.line(), run.line()], ["Connection reset by peer", "b'y'"],
                "what the guest sees")
    run.finish()
    check_equal(json.loads(list(events)[-1])["type"], "end", "the last event")


def test_clients_that_misbehave_hold_up_nobody(t):
    """Garbage, lines without end, ten thousand requests, and a reader that does not read."""
    t.family = 4
    t.listen(7002, digest_back)
    run = Run(t, """
digest = hashlib.sha256(); s = connect(args[0], 7002); print("up", flush=True)
block = os.urandom(1 << 16)
for _ in range(256):
    s.sendall(block); digest.update(block)
s.shutdown(socket.SHUT_WR); print(read_all(s).decode() == digest.hexdigest(), flush=True)
sys.stdin.readline()
""", t.srv)
    check_equal(run.line(), "up", "the guest")
    name = run.name()
    garbage, endless, deaf, greedy = (abstract(t, name) for _ in range(4))
    garbage.sendall(os.urandom(1 << 16).replace(b"\n", b"")[:60_000] + b"\n{\"do\":")
    with pytest.raises(OSError):
        for _ in range(64):
            endless.sendall(b"x" * (1 << 16))
            time.sleep(0.01)
    deaf.setblocking(False)
    with pytest.raises(BlockingIOError):
        for _ in range(1 << 20):
            deaf.sendall(b'{"do":"status"}\n')
    greedy_answers = lines_of(greedy)
    for _ in range(100):
        greedy.sendall(b'{"do":"flows"}\n' * 100)
        for _ in range(100):
            while "ok" not in json.loads(greedy_answers.readline()):
                pass
    check_equal(run.status()["ok"], True, "how others are answered")
    check_equal(run.line(60), "True", "the transfer meanwhile")
    with open(f"/proc/{t.engine_pid(run.child)}/status", encoding="ascii") as file:
        peak = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])
    check(peak < 256 * 1024, f"the engine's memory grew to {peak} KiB")
    for client in (garbage, endless, deaf, greedy):
        client.close()
    run.say()
    run.finish()


@each_family
def test_ports_are_published_and_withdrawn_while_it_runs(t):
    run = Run(t, """
listener = socket.create_server(("" if ":" not in args[0] else "::", 80),
                                family=socket.AF_INET6 if ":" in args[0] else socket.AF_INET)
print("up", flush=True)
first, _ = listener.accept()
first.sendall(first.recv(10)); first.sendall(first.recv(10)); print("done", flush=True)
""", t.hst, options=["--workers=2"])
    check_equal(run.line(), "up", "the guest")
    where = f"[{t.hst}]" if t.family == 6 else t.hst
    spec = f"{where}:8080:80"
    run.ctl_ok("publish", spec)
    check_equal(run.ctl_ok("published").split(), [f"{spec}"], "what is published")
    again = run.ctl("publish", spec)
    check(again.returncode == 1 and "is published already" in again.stderr, again.stderr)
    client = t.connect_from(t.net.srv, t.hst, 8080)
    client.sendall(b"one")
    check_equal(client.recv(10), b"one", "by the published port")
    run.ctl_ok("unpublish", spec)
    check_equal(run.ctl_ok("published"), "", "what is published")
    with pytest.raises(ConnectionRefusedError):
        t.connect_from(t.net.srv, t.hst, 8080)
    client.sendall(b"two")
    check_equal(client.recv(10), b"two", "what was accepted before goes on")
    check_equal(run.line(), "done", "the guest")
    run.finish()


@each_family
def test_a_published_port_of_datagrams_goes_with_its_last_client(t):
    run = Run(t, """
s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53000)); print("up", flush=True)
while True:
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)
    if data == b"end": break
""", t.hst)
    check_equal(run.line(), "up", "the guest")
    spec = (f"[{t.hst}]" if t.family == 6 else t.hst) + ":5300:53000/udp"
    run.ctl_ok("publish", spec)
    old, new = t.udp(0, t.net.srv), t.udp(0, t.net.srv)

    def ask(client, text):
        client.settimeout(0.2)
        for _ in range(50):
            client.sendto(text, (t.hst, 5300))
            try:
                return client.recv(100)
            except TimeoutError:
                continue
        return None

    check_equal(ask(old, b"one"), b"one", "by the published port")
    run.ctl_ok("unpublish", spec)
    new.settimeout(1)
    new.sendto(b"two", (t.hst, 5300))
    with pytest.raises(OSError):
        new.recv(100)
    check_equal(ask(old, b"end"), b"end", "who has called goes on")
    run.finish()
