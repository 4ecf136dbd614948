"""Counters for Prometheus: what they say of flows, names and refusals; who asks, and how."""

import re
import shutil
import subprocess
import threading
import time

from harness import check, check_equal, each_family, echo, finish, read_line, v4_only
from policy_world import World


def ask(t, port, text=None, address="127.0.0.1"):
    """All that is answered to a request, from the namespace of the host."""
    client = t.connect_from(t.net.hst, address, port)
    client.sendall(text or b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    client.close()
    return answer.decode()


def metrics(t, port):
    """{series: value}, as a scrape has them."""
    answer = ask(t, port)
    head, _, body = answer.partition("\r\n\r\n")
    check(head.startswith("HTTP/1.1 200 OK\r\n") and "version=0.0.4" in head, head)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in body.splitlines() if not line.startswith("#")}, body


@v4_only
def test_what_a_guest_does_is_counted_and_nothing_names_it(t):
    world = World(t)
    code = """
print("up", flush=True); sys.stdin.readline()
for name, port in (("ok.test", 443), ("evil.test", 443)):
    try:
        s = socket.create_connection((name, port), 10)
        s.sendall(b"x" * 1000); s.close()
    except OSError as error:
        pass
s = connect(args[0], 7)
s.sendall(b"y" * 5000); s.recv(1)
print("done", flush=True); sys.stdin.readline()
"""
    t.listen(7, echo)
    options = ["--metrics", "9100", "--allow", "ok.test:443", "--allow", f"{t.srv}:7"]
    child = t.start_python(code, t.srv, options=options, stdin=subprocess.PIPE)
    check_equal(read_line(child), "up", "the guest")
    before, _ = metrics(t, 9100)
    check_equal(before['sluice_bytes_total{direction="to_host",path="tap"}'], 0, "bytes at first")
    child.stdin.write(b"go\n")
    child.stdin.flush()
    check_equal(read_line(child), "done", "the guest")
    time.sleep(0.2)
    now, text = metrics(t, 9100)
    check_equal(now['sluice_flows_open{proto="tcp",path="tap"}'] +
                now['sluice_flows_open{proto="tcp",path="kernel"}'], 1, "flows that live")
    moved = sum(value for name, value in now.items()
                if name.startswith('sluice_bytes_total{direction="to_host"'))
    check(moved >= 5000, f"{moved} bytes to the host")
    check(now['sluice_dns_queries_total{result="refused"}'] >= 1, "refused questions")
    check(now['sluice_dns_queries_total{result="asked"}'] >= 1, "questions that were asked")
    check_equal(now["sluice_dns_upstream_seconds_count"],
                now['sluice_dns_upstream_seconds_bucket{le="+Inf"}'], "all answers in the histogram")
    check(now['sluice_drops_total{reason="name-unlisted"}'] >= 1, "refused names")
    check(now["sluice_pins"] >= 1, "pins")
    check_equal(now["sluice_policy_generation"], 1, "the policy's generation")
    check(any(name.startswith("sluice_build_info") for name in now), "the build")
    for secret in ("ok.test", "evil", t.srv, world.place("shared")):
        check(secret not in text, f"{secret} is in the metrics")
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                              text=True, timeout=60, check=False)
        check_equal((done.returncode, done.stderr), (0, ""), "promtool check metrics")
    status, _, _ = finish(child)
    check_equal(status, 0, "the guest's status")


@each_family
def test_a_port_of_the_kernels_choice_is_told(t):
    child = t.start_python('print("up", flush=True); sys.stdin.readline()',
                           options=["--metrics", "[::1]:0"], stdin=subprocess.PIPE)
    read_line(child)
    told = child.stderr.readline().decode()
    match = re.fullmatch(r"sluice: metrics: http://\[::1\]:(\d+)/metrics\n", told)
    check(match, told)
    client = subprocess.run(["ip", "netns", "exec", t.net.hst, "curl", "-sS", "-g",
                             f"http://[::1]:{match.group(1)}/metrics"], capture_output=True,
                            text=True, timeout=30, check=False)
    check("sluice_flows_open" in client.stdout, client.stderr)
    finish(child)


@v4_only
def test_a_port_that_is_taken_is_an_error_before_the_guest(t):
    t.listen(9100, echo, name=t.net.hst, address="127.0.0.1")
    done = t.guest(["echo", "ran"], ["--metrics", "9100"])
    check_equal((done.returncode, done.stdout), (125, ""), "a guest whose metrics have no place")
    check("--metrics: cannot listen at 127.0.0.1:9100: Address already in use" in done.stderr,
          done.stderr)


@v4_only
def test_guest_reaches_them_only_with_host_loopback(t):
    code = 'print(outcome(args[0], 9100)[0])'
    check(t.python(code, "10.0.2.2", options=["--metrics", "9100"]).strip() != "ok",
          "the metrics' port from the guest")
    check_equal(t.python(code, "10.0.2.2", options=["--metrics", "9100", "--host-loopback"]).strip(),
                "ok", "... with --host-loopback")


@v4_only
def test_flows_go_on_under_garbage_floods_and_slow_readers(t):
    """Ten thousand requests, and clients that say nothing, rubbish, or read nothing."""
    t.listen(7, echo)
    code = """
s = connect(args[0], 7)
print("up", flush=True)
worst = 0
for _ in range(200):
    began = time.monotonic()
    s.sendall(b"x" * 100)
    got = 0
    while got < 100: got += len(s.recv(100))
    worst = max(worst, time.monotonic() - began)
    time.sleep(0.02)
print(worst, flush=True)
sys.stdin.readline()
"""
    child = t.start_python(code, t.srv, options=["--metrics", "9100"], stdin=subprocess.PIPE)
    check_equal(read_line(child), "up", "the guest")
    engine = t.engine_pid(child)
    silent = [t.connect_from(t.net.hst, "127.0.0.1", 9100) for _ in range(20)]
    silent[0].sendall(b"\x16\x03\x01garbage")
    silent[1].sendall(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 3000)
    asked = []

    def flood():
        until = time.monotonic() + 4
        while time.monotonic() < until:
            try:
                asked.append(ask(t, 9100)[:15])
            except OSError:
                asked.append("")

    crowd = [threading.Thread(target=flood) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    worst = float(read_line(child, 60))
    check(worst < 2, f"an answer took {worst} s")
    check(sum(one == "HTTP/1.1 200 OK" for one in asked) > 100, f"{len(asked)} were asked")
    with open(f"/proc/{engine}/status", encoding="ascii") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    check(peak < 200_000, f"{peak} KiB at most in memory")
    finish(child)
