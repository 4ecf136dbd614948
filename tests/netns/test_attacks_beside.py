"""Attacks round the side (docs/attacks.md): processes of the same user, and texts that are meant for
whoever reads about them."""

import json
import subprocess
import time

from harness import DNS, NOBODY, check, check_equal, each_family, finish
from policy_world import POLICY, World
from test_attacks_names import ADDRESS, ASK
from test_control import Run
from test_names_gate import TALK

PRY = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def tried(action):
    try: return "done" if action() else "refused"
    except OSError: return "refused"
def attach(pid):
    return libc.ptrace(16, pid, 0, 0) == 0
def join(pid):
    return libc.setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), 0x40000000) == 0
print("up", flush=True)
for pid in map(int, sys.stdin.readline().split()):
    print(*(tried(lambda p=part: open(f"/proc/{pid}/{p}", "rb").read(1) or True)
            for part in ("environ", "mem", "maps")),
          tried(lambda: attach(pid)), tried(lambda: join(pid)), flush=True)
sys.stdin.readline()
"""


@each_family
def test_processes_of_the_same_user_are_closed_to_the_guest(t):
    """48: neither the one that serves it nor any other of its user's."""
    bystander = t.net.popen(t.net.hst, ["env", "SECRET=1", "sleep", "60"], nobody=True)
    for options in (POLICY, [*POLICY, "--as-root"]):
        run = Run(t, PRY, options=options)
        check_equal(run.line(60), "up", "the guest")
        run.say(f"{run.status()['pid']} {sleeper(bystander.pid)}")
        for whose in ("ours", "a bystander's"):
            check_equal(run.line(60), "refused " * 4 + "refused", f"{whose}, with {options[-1]}")
        run.say()
        run.finish()


def sleeper(pid):
    """Of a child that became the command by a chain of exec, or the command below it."""
    for _ in range(100):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            if file.read().strip() == "sleep":
                return pid
        time.sleep(0.05)
    raise AssertionError("the bystander does not start")


@each_family
def test_nothing_that_a_guest_says_reaches_a_terminal_raw(t):
    """50: names of questions, of hellos, of requests and of agents, in every place that shows them."""
    world = World(t)
    path = t.file("events.jsonl")
    code = ASK + TALK + f"DNS, KIND = {DNS[t.family]!r}, {ADDRESS[t.family]}\n" + r"""
ugly = b"\x1b[31m\r\n\x07\x9b"
ask(query([b"a" + ugly, b"evil", b"test"], KIND)); ask(query([ugly, b"wild", b"test"], KIND))
wire = hello("x" * 9 + ".ok.test")
s = open_to("ok.test", 443); s.sendall(wire.replace(b"x" * 9, ugly.ljust(9)[:9])); rest(s)
for host in (b"a" + b"\x1b[31m" + b".test", b"evil.test"):
    s = open_to("plain.test", 80)
    s.sendall(b"GET /\x1b[31m HTTP/1.1\r\nHost: " + host + b"\r\nUser-Agent: \x1b[31m\r\n\r\n")
    page = rest(s); print(page.count(b"\x1b"))
import urllib.request
print(urllib.request.urlopen("http://sluice.internal/denials").read().count(b"\x1b"), flush=True)
sys.stdin.readline()
"""
    run = Run(t, code, options=[*POLICY, "--events", path, "--report"])
    for what in ("a page", "another page", "what the guest can look up"):
        check_equal(run.line(60), "0", what)
    seen = {"ctl flows": run.ctl_ok("flows"), "ctl status": run.ctl_ok("status")}
    run.say()
    status, _, seen["the end"] = finish(run.child, 60)
    check_equal(status, 0, "the guest")
    seen["observe"] = subprocess.run([*NOBODY, t.path, "observe", path], capture_output=True, text=True,
                                     timeout=60, check=True).stdout
    for form in ("eve", "zeek", "ocsf"):
        done = subprocess.run([*NOBODY, t.path, "log", "convert", "--to", form, path], capture_output=True,
                              text=True, timeout=60, check=False)
        seen[f"as {form}"] = done.stdout
        check(done.returncode == 0, f"log convert --to {form}: {done.stderr}")
    with open(path, "rb") as file:
        seen["events"] = file.read().decode("latin-1")
    for where, text in seen.items():
        raw = sorted({char for char in text if ord(char) < 32 and char not in "\n\t" or 127 <= ord(char) < 160})
        check_equal(raw, [], f"raw characters in {where}")
    check("evil.test" in seen["the end"] and "evil.test" in seen["observe"], seen["the end"])
    check(any("\\027[31m" in line for line in seen["events"].splitlines() if json.loads(line)),
          "the event has the name, escaped")
    check_equal(world.requests, [], "what reached a server")
