"""What workers of one command have together: confinement, report, names, limits."""

import json
import os

from harness import (GATEWAY, GUEST_PRELUDE, PYTHON, check, check_equal, each_family, echo,
                     processes, read_line, v4_only)
from test_datagrams import serve_echo
from test_dns import Resolver
from test_policy import json_of

WORKERS = ["--workers", "2"]


def workers_of(pid):
    """The names of the threads that are not the first."""
    names = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as file:
            names.append(file.read().strip())
    return [name for name in names if name.startswith("sluice-w")]


@each_family
def test_workers_are_threads_that_are_confined(t):
    child = t.start(["sh", "-c", "echo up; sleep 60"], WORKERS)
    read_line(child)
    engine = t.engine_pid(child)
    # They are started, and confined, while the command already starts.
    processes.wait_until(lambda: workers_of(engine) == ["sluice-w1"], 20, "one more thread")

    def status_of(task):
        with open(f"/proc/{engine}/task/{task}/status", encoding="utf-8") as file:
            return dict(line.split(":", 1) for line in file)

    for task in os.listdir(f"/proc/{engine}/task"):
        processes.wait_until(lambda task=task: status_of(task)["Seccomp"].strip() == "2", 20,
                             "no filter of system calls")
        check_equal(status_of(task)["NoNewPrivs"].strip(), "1", "no new privileges")
        check_equal(int(status_of(task)["CapEff"], 16), 0, "capabilities")


@each_family
def test_workers_share_tcp_and_udp(t):
    t.listen(7000, echo)
    serve_echo(t.udp(7001), 10_000)
    code = """
tcp = [connect(args[0], 7000) for _ in range(40)]
for i, s in enumerate(tcp): s.sendall(b"%d;" % i * 5000)
for i, s in enumerate(tcp):
    s.shutdown(socket.SHUT_WR)
    assert read_all(s) == b"%d;" % i * 5000, i
data = [udp(args[0]) for _ in range(40)]
for i, s in enumerate(data):
    s.settimeout(10)
    for size in (10, 1400, 20000):
        s.sendto(b"%d" % i + b"x" * size, (args[0], 7001))
        assert s.recv(70000) == b"%d" % i + b"x" * size, (i, size)
print("all")
"""
    done = t.guest_ok([PYTHON, "-c", GUEST_PRELUDE + code, t.srv], [*WORKERS, "--report=json"])
    check_equal(done.stdout.strip(), "all", "echoes")
    rows = {row["port"]: row for row in json_of(done.stderr)["flows"]}
    check_equal(rows[7000]["flows"], 40, "connections in the report")
    check_equal(rows[7001]["flows"], 40, "UDP flows in the report")
    check(rows[7000]["bytes_to_host"] > 40 * 10_000, "bytes in the report")


@v4_only
def test_workers_share_names_and_ping(t):
    Resolver(t)
    t.net.resolver(t.net.hst, "nameserver 10.0.0.2\n")
    t.listen(7000, echo)
    code = """
for _ in range(20):
    s = connect(socket.gethostbyname("srv.test"), 7000); s.sendall(b"x"); s.recv(1); s.close()
"""
    done = t.guest_ok([PYTHON, "-c", GUEST_PRELUDE + code], [*WORKERS, "--report=json"])
    named = [row for row in json_of(done.stderr)["flows"] if row["name"] == "srv.test"]
    check_equal(sum(row["flows"] for row in named), 20, f"flows by name in {json.dumps(named)}")
    for target in (t.srv, GATEWAY[t.family]):
        t.guest_ok(["ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", target], WORKERS)


@each_family
def test_workers_share_limits(t):
    t.listen(7000, echo)
    code = """
opened = 0
kept = []
for _ in range(30):
    try:
        s = connect(args[0], 7000); s.sendall(b"x"); s.recv(1)
        kept.append(s)
    except OSError:
        pass
print(len(kept))
"""
    said = t.python(code, t.srv, options=[*WORKERS, "--max-flows", "10"])
    check_equal(said.strip(), "10", "connections")
