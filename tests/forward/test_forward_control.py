"""The control socket of a forwarder and its events: what people see, what they change, who cannot."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from forwarding import check, how_it_ends, processes, read_exactly, wait_until
from harness import check_equal


class Control:
    """A client of the socket that is no sluice: lines go there, lines come."""

    def __init__(self, t, run, uid=None):
        self.socket = socket.socket(socket.AF_UNIX)
        t.on_close(self.socket.close)
        self.socket.connect(f"\0sluice/{os.getuid() if uid is None else uid}/{run}")
        self.socket.settimeout(10)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def ask(self, do, **members):
        """The lines of an answer, the last one last."""
        self.socket.sendall(json.dumps({"do": do, **members}).encode() + b"\n")
        answer = []
        while not answer or "ok" not in answer[-1]:
            answer.append(json.loads(self.lines.readline()))
        return answer

    def done(self, do, **members):
        answer = self.ask(do, **members)
        check(answer[-1]["ok"], f"{do}: {answer[-1]}")
        return answer

    def error(self, do, **members):
        last = self.ask(do, **members)[-1]
        check_equal(last["ok"], False, f"{do} is carried out")
        check(last["message"], f"{do}: no sentence")
        return last["error"]

    def flows(self, **members):
        return [line for line in self.done("flows", **members) if "flow" in line]

    def status(self):
        return self.done("status")[-1]


def runs_of(uid=None):
    """The names of what listens in this network namespace."""
    before = f"@sluice/{os.getuid() if uid is None else uid}/"
    with open("/proc/net/unix", encoding="utf-8") as file:
        return sorted({line.rsplit(before, 1)[1].strip() for line in file
                       if before in line and " 00010000 " in line})


def control(t, uid=None):
    (run,) = wait_until(lambda: runs_of(uid), "no control socket")
    return Control(t, run, uid)


def ctl(t, *words, **more):
    return subprocess.run([t.options.sluice, "ctl", *words], capture_output=True, text=True,
                          timeout=30, check=False, **more)


def conversation(t, port):
    """A client whose session is open."""
    client = t.connect(port)
    client.sendall(b"x" * 1000)
    read_exactly(client, 1000)
    return client


def alive(client):
    client.sendall(b"?")
    return read_exactly(client, 1) == b"?"


def events_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def check_whole(events):
    """Each number is one above that of the line before, or above that by what is lost."""
    for before, event in zip(events, events[1:]):
        step = event["count"] if event["type"] == "lost" else 1
        check_equal(event["seq"], before["seq"] + step, f"the number of {event}")
    check_equal(len({event["run"] for event in events}), 1, "runs")


def test_control_status_and_flows(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    client = conversation(t, port)
    asked = control(t)
    status = asked.status()
    check_equal((status["program"], status["kind"], status["state"]),
                ("sluice forward", "forward", "serving"), "what it is")
    check_equal(status["pid"], t.forwarders[0].pid, "its process")
    check_equal((status["rules"], status["accepted"], status["flows"]), (1, 1, 1), "its counts")
    (flow,) = asked.flows()
    check_equal((flow["address"], flow["port"]), client.getsockname(), "the client")
    check_equal((flow["guest"], flow["guest_port"]), ("127.0.0.1", server.port), "the target")
    check_equal(flow["listen"], f"tcp://127.0.0.1:{port}", "where it came to")
    check_equal(flow["target"], f"tcp://127.0.0.1:{server.port}", "the target as configured")
    check_equal((flow["bytes_to_guest"], flow["bytes_to_host"]), (1000, 1000), "its bytes")
    check_equal((flow["proto"], flow["direction"], flow["path"], flow["outcome"]),
                ("tcp", "in", "relay", "open"), "what it is")
    check(flow["rule"] and 0 <= flow["duration_s"] < 60, flow)
    (rule, last) = asked.done("rules")
    check_equal((rule["effect"], rule["hits"], rule["flows"]), ("forward", 1, 1), "its rule")
    check_equal(last["next"], None, "more rules")
    client.close()
    wait_until(lambda: not asked.flows(), "a flow that has ended is listed")


def test_control_pages_are_whole(t):
    """Over several workers, and TCP beside UDP: each session once."""
    server, datagrams = t.serve(), t.udp()
    port, udp_port = t.port(), t.port()
    t.sluice("--workers=3", f"127.0.0.1:{port}", f"127.0.0.1:{server.port}",
             f"udp://127.0.0.1:{udp_port}", f"udp://127.0.0.1:{datagrams.getsockname()[1]}",
             ready=[f"tcp:{port}", f"udp:{udp_port}"])
    clients = [conversation(t, port) for _ in range(40)]
    for _ in range(10):
        clients.append(t.udp_client(udp_port))
        clients[-1].send(b"x")
        datagrams.recvfrom(10)
    asked = control(t)
    for most in (1, 7, 256):
        seen, place = [], {}
        while True:
            *page, last = asked.done("flows", max=most, **place)
            check(len(page) <= most, f"{len(page)} in a page of {most}")
            seen += page
            if last["next"] is None:
                break
            place = {"from": last["next"]}
        check_equal(len({flow["flow"] for flow in seen}), 50, f"names in pages of {most}")
        check_equal(len(seen), 50, f"lines in pages of {most}")
        check_equal(sorted((flow["proto"], flow["port"]) for flow in seen),
                    sorted(("udp" if client.type == socket.SOCK_DGRAM else "tcp",
                            client.getsockname()[1]) for client in clients), "the clients")


def test_control_kill_ends_one(t):
    server = t.serve()
    port = t.port()
    log = t.path("log")
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", f"--log-file={log}",
              "--log-format=json", "--workers=2")
    clients = [conversation(t, port) for _ in range(6)]
    asked = control(t)
    doomed = clients[3]
    (number,) = [flow["flow"] for flow in asked.flows()
                 if flow["port"] == doomed.getsockname()[1]]
    asked.done("kill", flow=number)
    check_equal(how_it_ends(doomed), ("rst", b""), "the one that was killed")
    check(all(alive(client) for client in clients if client is not doomed), "another one ended")
    check_equal(len(asked.flows()), 5, "flows that live")
    check_equal(asked.error("kill", flow=number), "no-such-flow", "the second time")
    for wrong in ("0" * 16, "f" * 16):
        check_equal(asked.error("kill", flow=wrong), "no-such-flow", wrong)
    for wrong in ("", "7", "g" * 16, "0" * 17):
        check_equal(asked.error("kill", flow=wrong), "bad-flow", wrong)
    wait_until(lambda: '"result":"killed"' in open(log, encoding="utf-8").read(),
               "the log does not tell of it")


def test_control_kill_of_datagrams_and_across(t):
    """A session of datagrams, and those that cross to the other kind."""
    server, datagrams = t.serve(), t.udp()
    udp_port, from_tcp, from_udp = t.port(), t.port(), t.port()
    target = f"udp://127.0.0.1:{datagrams.getsockname()[1]}"
    t.sluice(f"udp://127.0.0.1:{udp_port}", target, f"tcp://127.0.0.1:{from_tcp}", target,
             f"udp://127.0.0.1:{from_udp}", f"tcp://127.0.0.1:{server.port}",
             ready=[f"udp:{udp_port}", f"tcp:{from_tcp}", f"udp:{from_udp}"])
    plain = t.udp_client(udp_port)
    plain.send(b"a")
    _, first = datagrams.recvfrom(10)
    stream = t.connect(from_tcp)
    stream.sendall(b"b")
    datagrams.recvfrom(10)
    crossing = t.udp_client(from_udp)
    crossing.send(b"c")
    check_equal(crossing.recv(10), b"c", "an answer of the stream")
    asked = control(t)
    flows = {flow["port"]: flow["flow"] for flow in asked.flows()}
    check_equal(len(flows), 3, f"sessions: {flows}")
    for client in (plain, stream, crossing):
        asked.done("kill", flow=flows[client.getsockname()[1]])
    check_equal(asked.flows(), [], "flows that live")
    check_equal(how_it_ends(stream), ("rst", b""), "the stream")
    plain.send(b"d")
    check(datagrams.recvfrom(10)[1] != first, "the next datagram is of the session that was killed")


def test_control_reload(t):
    server = t.serve()
    one, two = t.port(), t.port()
    rule = f"127.0.0.1 {one} 127.0.0.1 {server.port}\n"
    _, path = t.forward_file(rule, "--no-watch", ready=[one], name="rules.conf")
    client = conversation(t, one)
    asked = control(t)
    t.replace(path, rule + f"127.0.0.1 {two} 127.0.0.1 {server.port}\n")
    done = asked.done("reload")[-1]
    check_equal((done["rules"], done["listeners_opened"], done["listeners_closed"],
                 done["generation"], done["in_force"]), (2, 1, 0, 2, True), "the reload")
    check_equal(t.ask(two), b"ping", "the new rule")
    check_equal(asked.status()["generation"], 2, "the generation")
    t.replace(path, rule + "127.0.0.1 nonsense here\n")
    answer = asked.ask("reload")[-1]
    check_equal(answer["error"], "bad-configuration", "a broken file")
    check("rules.conf:2" in answer["message"], answer["message"])
    check_equal(t.ask(two), b"ping", "a rule of before")
    status = asked.status()
    check_equal((status["generation"], status["rules"]), (2, 2), "what is in force")
    os.unlink(path)
    check("rules.conf" in asked.ask("reload")[-1]["message"], "a file that is gone")
    t.replace(path, rule)
    said = ctl(t, "reload")
    check_equal((said.returncode, said.stdout), (0, "generation 3: 1 rules, 0 new listeners, "
                                                    "1 closed\n"), said.stderr)
    wait_until(lambda: t.refused(two), "the rule that is gone")
    check(alive(client), "a connection was cut")
    check_equal(asked.error("reload", draft="{}"), "bad-request", "a policy")


def test_control_of_the_command_line_reloads_too(t):
    """Its rules stay, and its log is opened anew, as at SIGHUP."""
    server = t.serve()
    port = t.port()
    log, events = t.path("log"), t.path("events")
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", f"--log-file={log}",
              f"--events={events}")
    asked = control(t)
    os.rename(log, log + ".1")
    os.rename(events, events + ".1")
    asked.done("reload")
    check_equal(t.ask(port), b"ping", "its rule")
    wait_until(lambda: os.path.exists(log) and os.path.getsize(log), "no new log")
    wait_until(lambda: os.path.exists(events) and os.path.getsize(events), "no new events")
    time.sleep(0.3)
    check_whole(events_of(events + ".1") + events_of(events))


def test_control_events_are_whole(t):
    server = t.serve()
    port, closed, guarded = t.port(), t.port(), t.port()
    path = t.path("events")
    text = (f'[[forwarding_rules]]\nname = "web"\nlisten = "127.0.0.1:{port}"\n'
            f'targets = ["127.0.0.1:{server.port}"]\n'
            f'[[forwarding_rules]]\nname = "none"\nlisten = "127.0.0.1:{closed}"\n'
            f'targets = ["127.0.0.1:{t.port()}"]\n'
            f'[[forwarding_rules]]\nname = "guarded"\nlisten = "127.0.0.1:{guarded}"\n'
            f'targets = ["127.0.0.1:{server.port}"]\ndeny = ["127.0.0.1"]\n')
    forwarder, file = t.forward_file(text, f"--events={path}", "--no-watch", "--workers=2",
                                     ready=[port, closed, guarded])
    asked, listens = control(t), control(t)
    listens.done("subscribe")
    for _ in range(20):
        check_equal(t.ask(port), b"ping", "an answer")
    check_equal(t.ending(closed)[0], "rst", "no target")
    check_equal(t.ending(guarded)[0], "rst", "a client that may not")
    doomed = conversation(t, port)
    (flow,) = asked.flows()
    asked.done("kill", flow=flow["flow"])
    check_equal(how_it_ends(doomed)[0], "rst", "the one that was killed")
    t.replace(file, "nonsense")
    check_equal(asked.ask("reload")[-1]["ok"], False, "a broken file")
    t.replace(file, text)
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: asked.status()["generation"] == 2, "no reload")
    check_equal(forwarder.stop(), 0, "exit status")
    events = events_of(path)
    check_whole(events)
    heard = [json.loads(line) for line in listens.lines]
    check_whole(heard)
    check_equal(heard, [event for event in events if event["seq"] >= heard[0]["seq"]],
                "what a subscriber heard")
    types = [event["type"] for event in events]
    check_equal((types[0], types[-1]), ("start", "end"), "first and last")
    check_equal(events[0]["program"], "sluice forward", "who it is")
    check_equal((events[-1]["status"], events[-1]["events_lost"]), (0, 0), "the last word")
    opened = [event["flow"] for event in events if event["type"] == "open"]
    ended = [event["flow"] for event in events if event["type"] in ("close", "revoke")
             and event["rule"] == "web"]
    check_equal(len(set(opened)), 21, "sessions")
    check_equal(sorted(opened), sorted(ended), "each session ends once")
    (failed,) = [event for event in events if event["type"] == "close" and event["rule"] == "none"]
    check_equal(failed["outcome"], "refused", "no target")
    (denied,) = [event for event in events if event["type"] == "deny"]
    check_equal((denied["rule"], denied["reason"], denied["target"], denied["listen"]),
                ("guarded", "denied-by-policy", None, f"tcp://127.0.0.1:{guarded}"), "the refusal")
    (revoked,) = [event for event in events if event["type"] == "revoke"]
    check_equal((revoked["reason"], revoked["decided_by"], revoked["bytes_to_guest"]),
                ("killed", "person", 1000), "the one that was killed")
    check_equal([(event["by"], event["result"], event["generation"]) for event in events
                 if event["type"] == "reload"], [("ctl", "failed", 1), ("signal", "done", 2)],
                "reloads")


def test_control_flood_of_refusals_is_counted(t):
    """A burst is told one by one, then some in a second; none is missing from the sum."""
    port = t.port()
    path = t.path("events")
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{t.port()}", "--deny=127.0.0.1",
                          f"--events={path}", "--workers=2")
    for _ in range(1000):
        t.ending(port)
    forwarder.stop()
    events = events_of(path)
    check_whole(events)
    denied = [event for event in events if event["type"] == "deny"]
    check(100 <= sum("flow" in event for event in denied) < 500, f"{len(denied)} lines")
    check_equal(sum(event.get("left_out", 1) for event in denied), 1000, "refusals")


def test_control_subscriber_that_does_not_read_loses_and_is_told(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    listens = control(t)
    listens.done("subscribe")
    for _ in range(3000):
        t.ask(port)
    check_equal(control(t).status()["accepted"], 3000, "connections")
    events = []

    def read():
        for line in listens.lines:
            events.append(json.loads(line))

    reading = threading.Thread(target=read)
    reading.start()
    wait_until(lambda: any(event["type"] == "lost" for event in list(events)), "no word of it")
    t.forwarders[0].stop()
    reading.join()
    check_whole(events)
    check_equal(events[-1]["type"], "end", "the last word")
    lost = sum(event["count"] for event in events if event["type"] == "lost")
    check(lost > 0, f"{len(events)} events were all kept")
    check_equal(events[-1]["events_lost"], lost, "what the end says")


def test_control_verbs_that_a_forwarder_has_not(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    asked = control(t)
    for do, members, error in (("allow", {"rule": "example.org"}, "no-policy"),
                               ("deny", {"rule": "example.org"}, "no-policy"),
                               ("refused", {}, "no-policy"),
                               ("publish", {"port": "8080"}, "no-guest"),
                               ("unpublish", {"port": "8080"}, "no-guest"),
                               ("published", {}, "no-guest"),
                               ("pending", {}, "no-questions"),
                               ("approve", {"question": 1}, "no-questions"),
                               ("refuse", {"question": 1}, "no-questions")):
        check_equal(asked.error(do, **members), error, do)
    said = ctl(t, "allow", "example.org")
    check_equal(said.returncode, 1, "the exit status")
    check("no policy" in said.stderr, said.stderr)
    check_equal(t.ask(port), b"ping", "the rule")


def test_control_garbage_changes_nothing(t):
    server = t.serve()
    port = t.port()
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    client = conversation(t, port)
    asked = control(t)
    garbage = [b"\0\xff\xfe\n", b"[" * 5000 + b"\n", b"{}\n", b'{"do":"flows","from":"zz"}\n',
               b'{"do":"flows","from":"ffffffffffffffff"}\n', b'{"do":"kill","flow":7}\n',
               b'{"do":"reload","draft":"x","part":9}\n', b"\n" * 2000, os.urandom(20000) + b"\n",
               b'{"do":"flows","max":18446744073709551615}\n', b"x" * 70000]
    for words in garbage:
        other = control(t)
        try:
            other.socket.sendall(words)
            other.socket.shutdown(socket.SHUT_WR)
            while other.socket.recv(65536):
                pass
        except OSError:
            pass  # It was cut off.
        other.socket.close()
        check(alive(client), f"a session ended by {words[:40]!r}")
    check_equal(asked.status()["rules"], 1, "its rules")
    check_equal(t.ask(port), b"ping", "a new connection")


def test_control_under_load_holds_nobody_up(t):
    """Requests without end, of clients who do not read, while sessions go on."""
    server = t.serve()
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    client = conversation(t, port)
    asked = control(t)
    over = threading.Event()

    def pester():
        while not over.is_set():
            try:
                other = control(t)
                other.socket.settimeout(0.2)
                while not over.is_set():
                    other.socket.sendall(b'{"do":"flows"}\n' * 500)
            except OSError:
                pass

    threads = [threading.Thread(target=pester) for _ in range(3)]
    for thread in threads:
        thread.start()
    before = forwarder.anon_kib()
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            check(alive(client), "the session")
            check_equal(t.ask(port), b"ping", "a new connection")
            # One who is silent for a second leaves his place to those who wait for one.
            check_equal(asked.status()["rules"], 1, "another client of the socket")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    check(forwarder.anon_kib() - before < 8192, "memory")
    client.close()
    check_equal(forwarder.stop(timeout=5), 0, "exit status")


def test_control_of_root_refuses_others(t):
    """Also whom the forwarder has become: it obeys who started it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    nobody = pwd.getpwnam("nobody")
    server = t.serve()
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
    (run,) = wait_until(runs_of, "no control socket")
    knock = ("import os, socket, sys\nos.setuid(int(sys.argv[1]))\ns = socket.socket("
             f"socket.AF_UNIX)\ns.connect('\\0sluice/0/{run}')\n"
             "try:\n    s.sendall(b'{\"do\":\"status\"}\\n')\n    print(len(s.recv(100)))\n"
             "except ConnectionError: print(0)\n")
    for uid in (nobody.pw_uid, 12345):
        said = subprocess.run(["/usr/bin/python3", "-c", knock, str(uid)], capture_output=True,
                              text=True, timeout=20, check=False)
        check_equal(said.stdout, "0\n", f"what user {uid} is told {said.stderr}")
    with open(f"/proc/{forwarder.pid}/status", encoding="ascii") as file:
        check(f"Uid:\t{nobody.pw_uid}\t" in file.read(), "it is root yet")
    check_equal(control(t).status()["run"], run, "root is told")


def test_control_over_an_upgrade(t):
    """Each process answers for its own sessions, to who started the first, and tells its events."""
    program = t.path("sluice")
    shutil.copy(t.options.sluice, program)
    server = t.serve()
    port = t.port()
    pid_file, path = t.path("pid"), t.path("events")
    open(path, "w", encoding="ascii").close()
    forwarder = t.start([program, "forward", f"--pid-file={pid_file}", f"--events={path}",
                         f"127.0.0.1:{port}", f"127.0.0.1:{server.port}"], [f"tcp:{port}"])
    wait_until(lambda: "forwarding:" in forwarder.err(), "it does not forward")
    kept = conversation(t, port)
    asked = control(t)
    old = asked.status()["run"]
    forwarder.send_signal(signal.SIGUSR2)
    wait_until(lambda: asked.status()["state"] == "draining", "no hand-over")
    with open(pid_file, encoding="ascii") as file:
        pid = int(file.read())
    lines = [json.loads(line) for line in ctl(t, "--json").stdout.splitlines()]
    check_equal(sorted(line["pid"] for line in lines), sorted([forwarder.pid, pid]), "the list")
    (new,) = [line["run"] for line in lines if line["pid"] == pid]
    fresh = conversation(t, port)
    for run, client in ((old, kept), (new, fresh)):
        said = ctl(t, "--json", run, "flows")
        flows = [json.loads(line) for line in said.stdout.splitlines() if '"flow"' in line]
        check_equal([flow["port"] for flow in flows], [client.getsockname()[1]], f"of {run}")
        check_equal(ctl(t, run, "kill", flows[0]["flow"]).returncode, 0, "kill")
        check_equal(how_it_ends(client)[0], "rst", "the one that was killed")
    check_equal(forwarder.wait(), 0, "the old process")
    check_equal(ctl(t, new, "status").returncode, 0, "the new one")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not processes.is_alive(pid), "the new process does not end")
    events = events_of(path)
    for run in (old, new):
        own = [event for event in events if event["run"] == run]
        check_whole(own)
        check_equal((own[0]["type"], own[-1]["type"]), ("start", "end"), f"of {run}")


def test_control_is_seen_by_observe_and_top(t):
    server = t.serve()
    port = t.port()
    path = t.path("events")
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", f"--events={path}")
    client = conversation(t, port)
    listed = ctl(t)
    check("sluice forward" in listed.stdout, listed.stdout + listed.stderr)
    flows = ctl(t, "flows")
    check(f"127.0.0.1:{client.getsockname()[1]}" in flows.stdout, flows.stdout + flows.stderr)
    watch = subprocess.Popen([t.options.sluice, "observe"], stdout=subprocess.PIPE, text=True)
    t.on_close(watch.kill)
    wait_until(lambda: control(t).status()["flows"] == 1, "its flow")
    time.sleep(0.5)
    client.close()
    check_equal(forwarder.stop(), 0, "exit status")
    said = watch.communicate(timeout=10)[0]
    check(f"tcp://127.0.0.1:{server.port} < 127.0.0.1:" in said, said)
    check("end" in said, said)
    said = subprocess.run([t.options.sluice, "observe", path], capture_output=True, text=True,
                          timeout=10, check=True).stdout
    check("sluice forward" in said and "open" in said and "close" in said, said)
