"""What people see of a run while it lives, by name: events of questions, first bytes and policies,
`sluice observe` and `sluice top`; a policy that is read again, tried out, and learnt."""

import json
import os
import subprocess
import time

from harness import NOBODY, check, check_equal, each_family
from policy_world import POLICY, World
from test_control import Run
from test_live_policy import TALK


def sluice(t, *words, **more):
    """As the user who started the guest, in the network namespace of the host."""
    return subprocess.run(["ip", "netns", "exec", t.net.hst, *NOBODY, t.path, *words],
                          capture_output=True, text=True, timeout=60, check=False, **more)


def observe(t, *words):
    return subprocess.Popen(["ip", "netns", "exec", t.net.hst, *NOBODY, t.path, "observe", *words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@each_family
def test_questions_first_bytes_and_changes_are_events_of_a_live_run(t):
    world = World(t)
    run = Run(t, TALK + """
print("up", flush=True); sys.stdin.readline()
print(say(tls("ok.test"), "ok.test"), flush=True)
try:
    socket.getaddrinfo("gist.test", 443)
except OSError as error:
    print(type(error).__name__, flush=True)
print(outcome(socket.getaddrinfo("ok.test", 443)[0][4][0], 22)[0], flush=True)
sys.stdin.readline()
""", world.environment()["SSL_CERT_FILE"], options=POLICY)
    check_equal(run.line(60), "up", "the guest")
    watcher = observe(t, "--json")
    shown = observe(t, "--denied", run.name())
    time.sleep(1)
    run.say()
    check_equal(run.line(60), "answered", "what is allowed")
    check_equal(run.line(60), "gaierror", "what is not")
    run.line(60)
    run.ctl_ok("deny", "ok.test")
    run.say()
    run.finish()
    events = [json.loads(line) for line in watcher.communicate(timeout=60)[0].splitlines()]
    check_equal(watcher.returncode, 0, "observe, whose run has ended")
    check_equal(events[-1]["type"], "end", "the last event")
    dns = [e for e in events if e["type"] == "dns" and e.get("query") in ("A", "AAAA")]
    answered = [e for e in dns if e["name"] == "ok.test" and e["addresses"] > 0]
    check_equal((answered[0]["result"], answered[0]["source"], answered[0]["rule"]),
                ("answered", "resolver", "--allow #1"), "the question that was answered")
    check(any(e["source"] == "cache" for e in answered[1:]), f"{answered}")
    refused = [e for e in dns if e["name"] == "gist.test"]
    check(refused and refused[0]["result"] == "refused" and refused[0]["rule"] == "default"
          and refused[0]["reason"] == "name-unlisted", f"{refused}")
    (gate,) = [e for e in events if e["type"] == "gate"]
    check_equal((gate["kind"], gate["name"], gate["result"], gate["rule"]),
                ("tls", "ok.test", "passed", "--allow #1"), "the first bytes")
    (opened,) = [e for e in events if e["type"] == "open" and e["flow"] == gate["flow"]]
    check_equal((opened["flow"], opened["rule"], opened["generation"]),
                (gate["flow"], "--allow #1", 1), "its flow")
    (denied,) = [e for e in events if e["type"] == "deny" and e["port"] == 22]
    check_equal((denied["reason"], denied["rule"]), ("port-unlisted", "default"), "a refusal")
    (policy,) = [e for e in events if e["type"] == "policy"]
    check_equal((policy["by"], policy["change"], policy["generation"], policy["default"]),
                ("ctl", "deny ok.test", 2, "deny"), "the change")
    numbers = [e["seq"] for e in events]
    check_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers")
    lines = shown.communicate(timeout=60)[0].decode().splitlines()
    check(any("gist.test" in line and "name-unlisted, by policy (rule default)" in line
              for line in lines), f"{lines}")
    check(not any(" open " in line for line in lines), f"{lines}")
    path = t.file("events.jsonl", "".join(json.dumps(e) + "\n" for e in events))
    zeek = sluice(t, "log", "convert", "--to", "zeek-dns", path).stdout
    check("\tok.test\t" in zeek and "\tgist.test\t" in zeek, zeek)


@each_family
def test_deny_of_a_name_is_of_all_its_ports_and_finds_what_lives(t):
    """Also where another rule lets through one of the ports, and where no rule spoke of names."""
    world = World(t)
    for options in (POLICY, ["--default", "allow"]):
        run = Run(t, TALK + """
lose = tls("ok.test")
print(say(lose, "ok.test"), flush=True); sys.stdin.readline()
print(say(lose, "ok.test"), flush=True); sys.stdin.readline()
""", world.environment()["SSL_CERT_FILE"], options=options)
        check_equal(run.line(60), "answered", "before")
        run.ctl_ok("deny", "ok.test")
        check_equal(run.flows(), [], "flows")
        run.say()
        check_equal(run.line(60), "cut off", "afterwards")
        run.ctl_ok("allow", "ok.test:443")
        run.say()
        run.finish()


FILE = 'version = 1\ndefault = "deny"\n[[rule]]\nallow = ["ok.test:443", "a.wild.test:443"]\n'


@each_family
def test_a_policy_is_read_again_whole_or_not_at_all(t):
    world = World(t)
    path = t.file("ci.toml", FILE)
    os.chmod(path, 0o666)
    run = Run(t, TALK + """
lose, keep = tls("ok.test"), tls("a.wild.test")
print(say(lose, "ok.test"), say(keep, "a.wild.test"), flush=True); sys.stdin.readline()
print(say(lose, "ok.test"), say(keep, "a.wild.test"), flush=True); sys.stdin.readline()
print(say(tls("b.wild.test"), "b.wild.test"), flush=True); sys.stdin.readline()
""", world.environment()["SSL_CERT_FILE"], options=["--policy", path])
    check_equal(run.line(60), "answered answered", "before")
    with open(path, "w", encoding="utf-8") as file:
        file.write(FILE + "[[rule]]\nallow = 7\n")
    broken = run.ctl("reload")
    check(broken.returncode == 1 and "ci.toml:6" in broken.stderr, broken.stderr)
    check_equal(run.status()["generation"], 1, "after a mistake")
    with open(path, "w", encoding="utf-8") as file:
        file.write(FILE.replace('"ok.test:443", ', "").replace("a.wild", "*.wild"))
    said = run.ctl_ok("reload")
    check(said.startswith("generation 2: default deny, 1 rule") and "1 flows ended" in said, said)
    run.say()
    check_equal(run.line(60), "cut off answered", "afterwards")
    run.ctl_ok("deny", "c.wild.test")
    check("generation 4" in run.ctl_ok("reload"), "another time")
    check_equal(run.status()["rules"], 2, "a rule that was added stays")
    run.say()
    check_equal(run.line(60), "answered", "what the new policy allows")
    run.say()
    run.finish()


@each_family
def test_an_audit_refuses_nothing_and_tells_all(t):
    world = World(t)
    events = t.file("events.jsonl")
    done = world.curl("https://alone.evil.test/", options=[*POLICY, "--audit", "--events", events])
    check_equal(done.returncode, 0, f"curl: {done.stderr}")
    check("hello from" in done.stdout, done.stdout)
    check("audit: 1 name would be refused: alone.evil.test:443 ×1 (name-unlisted)" in done.stderr,
          done.stderr)
    with open(events, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    (closed,) = [e for e in lines if e["type"] == "close" and e["port"] == 443]
    check_equal((closed["would_deny"], closed["rule"], closed["name"]),
                ("name-unlisted", "default", "alone.evil.test"), "its flow")
    check(any(e.get("result") == "would-refuse" for e in lines if e["type"] == "dns"), f"{lines}")
    done = world.curl("https://ok.test/", options=[*POLICY, "--audit"])
    check("would be refused" not in done.stderr, done.stderr)


@each_family
def test_what_was_learnt_is_a_policy_under_which_the_same_works(t):
    world = World(t)
    path = t.file("learnt.toml")
    for url in ("https://ok.test/", "http://plain.test/"):
        done = world.curl(url, options=["--learn", path])
        check_equal(done.returncode, 0, f"curl: {done.stderr}")
    check("learnt 1 rule: " + path in done.stderr, done.stderr)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    check('allow = "plain.test:80"' in text and "ok.test" not in text, text)
    check_equal(world.curl("http://plain.test/", options=["--policy", path]).returncode, 0, text)
    check(world.curl("https://ok.test/", options=["--policy", path]).returncode != 0, text)
    check_equal([name for name in os.listdir(os.path.dirname(path)) if "learnt" in name],
                ["learnt.toml"], "files beside it")


@each_family
def test_the_shared_address_is_learnt_by_the_name_of_the_hello(t):
    """ok.test and a.wild.test have the same address; TLS says which it was."""
    world = World(t)
    path = t.file("learnt.toml")
    done = t.guest(["sh", "-c", f"curl -{t.family} -sS https://ok.test/ https://a.wild.test/"],
                   ["--learn", path], env=world.environment())
    check_equal(done.returncode, 0, f"curl: {done.stderr}")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    check('"ok.test:443"' in text and '"a.wild.test:443"' in text, text)


@each_family
def test_top_shows_the_flows_by_domain_with_their_process(t):
    world = World(t)
    run = Run(t, TALK + """
kept = tls("a.wild.test"), tls("b.wild.test")
print(say(kept[0], "a.wild.test"), flush=True); sys.stdin.readline()
""", world.environment()["SSL_CERT_FILE"], options=POLICY)
    check_equal(run.line(60), "answered", "the guest")
    shown = sluice(t, "top", "--once")
    check_equal(shown.returncode, 0, shown.stderr)
    lines = shown.stdout.splitlines()
    check("2 flows" in lines[0] and "default deny  4 rules" in lines[0], lines[0])
    (domain,) = [line for line in lines if line.startswith("wild.test")]
    check_equal(domain.split()[1], "2", "flows of the domain")
    check(any("a.wild.test:443/tcp" in line and "python" in line for line in lines), shown.stdout)
    check_equal(sluice(t, "top", "nowhere", "--once").returncode, 1, "top of no run")
    run.say()
    run.finish()
