"""Policies by name that change while the guest runs, and files of policy that a guest changes."""

import os

from harness import check, check_equal, each_family
from policy_world import POLICY, World
from test_control import Run

TALK = """
import http.client, ssl
def tls(name):
    context = ssl.create_default_context(cafile=args[0])
    return context.wrap_socket(socket.create_connection((name, 443), timeout=30), server_hostname=name)
def say(s, name):
    try:
        s.sendall(f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n".encode())
        return "answered" if s.recv(4096).startswith(b"HTTP/1.1 200") else "ended"
    except OSError:
        return "cut off"  # A reset, however the TLS library calls it.
"""


@each_family
def test_a_rule_on_a_name_ends_its_connections_and_no_other(t):
    world = World(t)
    run = Run(t, TALK + """
lose, keep = tls("ok.test"), tls("a.wild.test")
print(say(lose, "ok.test"), say(keep, "a.wild.test"), flush=True); sys.stdin.readline()
print(say(lose, "ok.test"), say(keep, "a.wild.test"), flush=True)
try:
    tls("ok.test"); print("reached")
except OSError as error:
    print(type(error).__name__)
""", world.environment()["SSL_CERT_FILE"], options=POLICY)
    check_equal(run.line(60), "answered answered", "before")
    check_equal(len(run.flows()), 2, "flows")
    run.ctl_ok("deny", "ok.test:443")
    check_equal(len(run.flows()), 1, "flows")
    run.say()
    check_equal(run.line(60), "cut off answered", "afterwards")
    check_equal(run.line(60), "gaierror", "a new one")
    run.finish()


@each_family
def test_a_file_of_policy_that_the_guest_changes_has_no_effect(t):
    """CONTROL, attack 46."""
    world = World(t)
    path = t.file("policy.toml", 'version = 1\ndefault = "deny"\n[[rule]]\nallow = "ok.test:443"\n')
    os.chmod(path, 0o666)
    run = Run(t, TALK + """
with open(args[1], "a") as file:
    file.write('[[rule]]\\nallow = "alone.evil.test:443"\\n')
time.sleep(1)
print(say(tls("ok.test"), "ok.test"), flush=True)
try:
    tls("alone.evil.test"); print("reached")
except OSError as error:
    print(type(error).__name__)
sys.stdin.readline()
""", world.environment()["SSL_CERT_FILE"], path, options=["--policy", path])
    check_equal(run.line(60), "answered", "what the file allowed at first")
    check_equal(run.line(60), "gaierror", "what the guest wrote into it")
    check_equal(run.status()["generation"], 1, "the policy's generation")
    check(not any(first[0] == "evil" for first in world.first_bytes), "it was reached")
    run.say()
    run.finish()
