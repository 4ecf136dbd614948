"""Asking people: connections that wait for them, every way an answer can come or not come, and what
is remembered. CONTROL, 4.5 and attack 51."""

import json
import os
import subprocess
import time

import pytest

from harness import (ENVIRONMENT, NOBODY, check, check_equal, each_family, echo, finish, processes,
                     read_line)
from policy_world import World
from test_control import Run

# Connects when it is told to, and says how that went.
KNOCK = """
print("up", flush=True)
for line in sys.stdin:
    where, port, patience = line.split()
    said, took = outcome(where, int(port), float(patience))
    print(said, "at once" if took < 1 else "later", flush=True)
"""


class Asked(Run):
    """A guest that asks; who answers has the settings of its own in the test's folder."""

    def __init__(self, t, code=KNOCK, *arguments, options=("--ask",)):
        self.settings = os.path.join(t.folder, "settings")
        os.makedirs(self.settings, exist_ok=True)
        os.chmod(self.settings, 0o777)
        self.env = {**ENVIRONMENT, "XDG_CONFIG_HOME": self.settings}
        self.t = t
        self.answerer = None
        self.child = t.start_python(code, *arguments, options=options, stdin=subprocess.PIPE,
                                    env=self.env)
        check_equal(self.line(), "up", "the guest")

    def command(self, *words):
        return ["ip", "netns", "exec", self.t.net.hst, *NOBODY, self.t.path, *words]

    def sluice(self, *words, timeout=60):
        return subprocess.run(self.command(*words), capture_output=True, text=True, env=self.env,
                              timeout=timeout, check=False)

    def ctl(self, *words, nobody=True, timeout=60):
        return self.sluice("ctl", *words, timeout=timeout)

    def attend(self):
        """Somebody is there."""
        self.answerer = subprocess.Popen(self.command("ctl", "answer"), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         env=self.env)
        read_line(self.answerer)
        return self

    def leave(self):
        self.answerer.kill()
        self.answerer.communicate()

    def knock(self, port, patience=30, where=None):
        self.say(f"{where or self.t.srv} {port} {patience}")

    def pending(self):
        return [line for line in self.answers("pending") if "question" in line]

    def question(self, state="waiting"):
        """The only one, once it is there."""
        for _ in range(200):
            rows = [row for row in self.pending() if row["state"] == state]
            if rows:
                check_equal(len(rows), 1, "questions")
                return rows[0]
            time.sleep(0.05)
        raise AssertionError("nothing is asked")

    def asked(self):
        return self.status()["ask"]

    def finish_stdin(self):
        self.child.stdin.close()
        self.child.stdin = None

    def finish(self, timeout=60):
        if self.answerer is not None and self.answerer.poll() is None:
            self.leave()
        super().finish(timeout)


def refusal(t):
    """What a prohibited connection fails with."""
    return "EHOSTUNREACH" if t.family == 4 else "EACCES"


@each_family
@pytest.mark.parametrize("options", [(), ("--workers=2",), ("--fast-path=require",)],
                         ids=["tap", "workers", "kernel"])
def test_a_connection_waits_and_is_approved_from_another_terminal(t, options):
    t.listen(7, echo)
    run = Asked(t, options=["--ask", *options]).attend()
    run.knock(7)
    row = run.question()
    check_equal((row["address"], row["port"], row["proto"], row["rule"], row["waiting"]),
                (t.srv, 7, "tcp", "default", 1), "what is asked")
    shown = run.ctl_ok("pending")
    check("ASKS FOR" in shown and "7/tcp" in shown, shown)
    time.sleep(1.1)  # Longer than the guest's kernel waits with its first SYN.
    said = run.ctl_ok("approve", str(row["question"]))
    check("allow" in said and "run" in said, said)
    check_equal(run.line(), "ok later", "the connection")
    check_equal(run.pending(), [], "questions")
    # An answer for the run: nothing is asked any more.
    run.knock(7)
    check_equal(run.line(), "ok at once", "the next one")
    check_equal(run.asked()["approved"], 1, "approved")
    run.finish_stdin()
    run.finish()


@each_family
def test_curl_waits_and_succeeds(t):
    def page(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")

    t.listen(8000, page)
    host = t.srv if t.family == 4 else f"[{t.srv}]"
    run = Asked(t, """
import subprocess
print("up", flush=True); sys.stdin.readline()
print(subprocess.run(["curl", "-sS", args[0]], capture_output=True, text=True).stdout.strip())
""", f"http://{host}:8000/").attend()
    run.say()
    run.ctl_ok("approve", str(run.question()["question"]), "once")
    check_equal(run.line(), "hello", "what curl printed")
    run.finish()


@each_family
def test_refused_timed_out_nobody_and_asked_again(t):
    t.listen(7, echo)
    run = Asked(t, options=["--ask", "--ask-timeout", "2s", "--events", t.file("e.jsonl")])
    run.knock(7)
    check_equal(run.line(), f"{refusal(t)} at once", "with nobody there")
    check_equal(run.asked()["nobody"], 1, "flows that found nobody")
    check_equal(run.question("unanswered")["count"], 1, "the question stays")
    run.attend()
    run.knock(7)
    run.ctl_ok("refuse", str(run.question()["question"]))
    check_equal(run.line().split()[0], refusal(t), "refused")
    run.knock(7)
    check_equal(run.line(), f"{refusal(t)} later", "timed out")
    check_equal(run.asked()["timeout"], 1, "questions that timed out")
    run.knock(7)
    again = run.question()
    check_equal(again["count"], 2, "it is asked again")
    run.leave()
    check_equal(run.line().split()[0], refusal(t), "whoever was there has left")
    run.finish_stdin()
    run.finish()
    with open(t.file("e.jsonl"), encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    reasons = [event["reason"] for event in events if event["type"] == "deny"]
    check_equal(reasons, ["ask-nobody", "ask-refused", "ask-timeout", "ask-nobody"], "reasons")
    results = [event["result"] for event in events if event["type"] == "decision"]
    check_equal(results, ["refused", "timeout", "nobody"], "decisions")
    check_equal(len([event for event in events if event["type"] == "ask"]), 3, "questions")


@each_family
def test_an_answer_that_comes_too_late_is_for_the_next_try(t):
    t.listen(7, echo)
    run = Asked(t, options=["--ask", "--ask-timeout", "3s"]).attend()
    run.knock(7)
    number = str(run.question()["question"])
    check_equal(run.line(), f"{refusal(t)} later", "nobody said anything")
    said = run.answers("approve", number, "once")[0]
    check_equal((said["late"], said["flows"]), (True, 0), "the answer")
    run.knock(7)
    check_equal(run.line(), "ok at once", "the next try")
    run.knock(7)
    run.question()
    run.leave()
    check_equal(run.line().split()[0], refusal(t), "the one after it")
    run.finish_stdin()
    run.finish()


@each_family
def test_always_is_remembered_by_the_next_run_until_it_is_forgotten(t):
    t.listen(7, echo)
    run = Asked(t).attend()
    run.knock(7)
    run.ctl_ok("approve", str(run.question()["question"]), "always")
    check_equal(run.line().split()[0], "ok", "approved")
    run.finish_stdin()
    run.finish()
    path = os.path.join(run.settings, "sluice", "decisions.toml")
    check_equal(os.stat(path).st_mode & 0o777, 0o600, "who may read it")
    listed = run.sluice("decisions", "list").stdout
    check(":7/tcp" in listed and "ctl" in listed, listed)

    run = Asked(t)
    run.knock(7)
    check_equal(run.line(), "ok at once", "in the next run")
    run.finish_stdin()
    status, _, said = finish(run.child)
    check_equal(status, 0, "its status")
    check("default ask, 1 rule, +1 remembered" in said or "+1 remembered" in said, said)

    check_equal(run.sluice("decisions", "forget", "1").stdout, "1 forgotten\n", "forgotten")
    run = Asked(t)
    run.knock(7)
    check_equal(run.line().split()[0], refusal(t), "after it was forgotten")
    run.finish_stdin()
    run.finish()


@each_family
def test_the_guest_does_not_see_what_is_remembered(t):
    """CONTROL, attack 45: the folder is covered, and the command has no right to uncover it."""
    run = Asked(t)
    folder = os.path.join(run.settings, "sluice")
    run.finish_stdin()
    run.finish()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "decisions.toml"), "w", encoding="utf-8") as file:
        file.write("version = 1\n")
    os.chown(folder, 65534, 65534)
    os.chown(os.path.join(folder, "decisions.toml"), 65534, 65534)
    os.chmod(os.path.join(folder, "decisions.toml"), 0o600)
    run = Asked(t, """
import subprocess
print("up", flush=True); sys.stdin.readline()
print(os.listdir(args[0]))
try:
    open(args[0] + "/decisions.toml", "w"); print("written")
except OSError as error:
    print(errno.errorcode[error.errno])
print(subprocess.run(["umount", args[0]], capture_output=True).returncode != 0)
print(subprocess.run(["unshare", "-rm", "umount", args[0]], capture_output=True).returncode != 0)
""", folder)
    run.say()
    check_equal(run.line(), "[]", "what the guest sees")
    check_equal(run.line(), "EROFS", "what it writes")
    check_equal(run.line(), "True", "it cannot uncover it")
    check_equal(run.line(), "True", "... as root of its own either")
    run.finish()
    with open(os.path.join(folder, "decisions.toml"), encoding="utf-8") as file:
        check_equal(file.read(), "version = 1\n", "the file")


@each_family
def test_datagrams_wait_and_go_out_in_their_order(t):
    server = t.udp(7)
    run = Asked(t, """
print("up", flush=True); sys.stdin.readline()
s = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET, socket.SOCK_DGRAM)
for i in range(12):
    s.sendto(b"%d" % i, (args[0], 7))
    if i in (0, 11): print("sent", flush=True); sys.stdin.readline()
""", t.srv).attend()
    run.say()
    check_equal(run.line(), "sent", "the guest")
    row = run.question()
    check_equal((row["proto"], row["waiting"]), ("udp", 1), "what is asked")
    # Its kernel knows the gateway's MAC by now. Those that wait for one can be overtaken.
    run.say()
    check_equal(run.line(), "sent", "the guest")
    processes.wait_until(lambda: run.status()["drops"].get("udp-held-full") == 4, 10,
                         "the others are not dropped")
    run.ctl_ok("approve", str(row["question"]))
    server.settimeout(10)
    got = [server.recv(100) for _ in range(8)]
    check_equal(got, [b"%d" % i for i in range(8)], "the first eight")
    run.say()
    run.finish()


@each_family
def test_an_echo_request_asks_and_the_next_one_passes(t):
    run = Asked(t, """
import subprocess
print("up", flush=True)
for line in sys.stdin:
    ping = ["ping", "-c1", "-W2", args[0]]
    print(subprocess.run(ping, capture_output=True).returncode, flush=True)
""", t.srv).attend()
    run.say()
    check_equal(run.line(), "1", "it is dropped")
    row = run.question()
    check_equal((row["proto"], row["waiting"]), ("icmp", 0), "what is asked")
    run.ctl_ok("approve", str(row["question"]))
    run.say()
    check_equal(run.line(), "0", "the next one")
    run.finish_stdin()
    run.finish()


@each_family
@pytest.mark.parametrize("options", [(), ("--workers=2",)], ids=["one", "workers"])
def test_a_flood_fills_its_places_and_no_more(t, options):
    """CONTROL, attack 51: a thousand new targets."""
    run = Asked(t, """
print("up", flush=True)
for line in sys.stdin:
    family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
    flood = [socket.socket(family, socket.SOCK_STREAM) for _ in range(1000)]
    for i, s in enumerate(flood):
        s.setblocking(False); s.connect_ex((args[0], 2000 + i))
    print("sent", flush=True)
""", t.srv, options=["--ask", *options]).attend()
    run.say()
    check_equal(run.line(), "sent", "the guest")
    for _ in range(100):
        asked = run.asked()
        if asked["pending"] + asked["queue_full"] >= 1000:
            break
        time.sleep(0.1)
    check_equal(asked["pending"], 32, "questions that wait")
    check_equal(asked["queue_full"], 968, "the rest")
    check_equal(len(run.pending()), 32, "rows")
    started = time.monotonic()
    run.status()
    check(time.monotonic() - started < 2, "the control socket answers")
    run.finish_stdin()
    run.finish()


def exec_options(t, script):
    path = t.file("answers.sh", script)
    os.chmod(path, 0o755)
    return ["--ask", "--ask-exec", f"sh {path}", "--ask-timeout", "3s"]


APPROVE = """
while read -r line; do
  case $line in *'"port":7,'*) verb=approve;; *) verb=refuse;; esac
  echo "{\\"do\\":\\"$verb\\",\\"question\\":$(echo "$line" | sed 's/.*"question":\\([0-9]*\\).*/\\1/')}"
done
"""


@each_family
def test_a_program_answers(t):
    t.listen(7, echo)
    t.listen(9, echo)
    run = Asked(t, options=exec_options(t, APPROVE))
    run.knock(7)
    check_equal(run.line().split()[0], "ok", "approved by the program")
    run.knock(9)
    check_equal(run.line().split()[0], refusal(t), "refused by the program")
    check_equal(run.asked()["attached"], 1, "who is there")
    run.finish_stdin()
    run.finish()


@each_family
@pytest.mark.parametrize("script, said", [
    ("read -r line; exit 0", "later"),                        # It dies with a question open.
    ("exit 0", ""),                                           # It is gone before the first one.
    ("while read -r line; do echo nonsense; done", "later"),  # The question times out.
    ("exec sleep 10", "later"),                               # The same.
    ("cat /dev/zero", ""), ("yes", ""),                       # It is not listened to for long.
], ids=["dies", "gone", "garbage", "slow", "endless", "babbles"])
def test_a_program_that_does_not_answer_lets_nothing_through(t, script, said):
    t.listen(7, echo)
    run = Asked(t, options=exec_options(t, script))
    run.knock(7)
    got = run.line().split()
    check_equal(got[0], refusal(t), "the connection")
    if script == "read -r line; exit 0":
        check_equal(run.asked()["attached"], 0, "who is there")
        run.knock(7)
        check_equal(run.line(), f"{refusal(t)} at once", "the next one")
    run.finish_stdin()
    run.finish()


@each_family
def test_only_what_is_asked_is_asked(t):
    """The floor, a denial and what a rule allows never are; an answer beats no denial."""
    t.listen(7, echo)
    t.listen(9, echo)
    host = t.srv if t.family == 4 else f"[{t.srv}]"
    run = Asked(t, options=["--ask", "--allow", f"{host}:7", "--deny", f"{host}:9"]).attend()
    run.knock(7)
    check_equal(run.line(), "ok at once", "allowed")
    run.knock(9)
    check_equal(run.line().split()[0], refusal(t), "denied")
    run.knock(80, where="169.254.169.254" if t.family == 4 else "fe80::1%tap0")
    check(not run.line().startswith("ok"), "the floor")
    check_equal(run.pending(), [], "questions")
    run.finish_stdin()
    run.finish()


@each_family
def test_answers_are_checked(t):
    t.listen(7, echo)
    run = Asked(t).attend()
    run.knock(7)
    number = str(run.question()["question"])
    for words, why in [(("approve", "99"), "no such question"),
                       (("approve", number, "run", "domain"), "no registrable domain"),
                       (("approve", number, "once", "name"), "'once' is for what was asked")]:
        done = run.ctl(*words)
        check_equal(done.returncode, 1, " ".join(words))
        check(why in done.stderr, done.stderr)
    check_equal(run.ctl("approve").returncode, 2, "approve of nothing")
    check_equal(run.ctl("approve", number, "forever").returncode, 2, "no such scope")
    # The answers of the one who stays.
    run.answerer.stdin.write(f"hello\napprove {number} run name\n".encode())
    run.answerer.stdin.flush()
    check_equal(run.line().split()[0], "ok", "the connection")
    run.finish_stdin()
    run.finish()


CURLS = """
import subprocess
print("up", flush=True)
for line in sys.stdin:
    curl = ["curl", "-sS", "-m", "30", *line.split()]
    done = subprocess.run(curl, capture_output=True, text=True)
    print(done.returncode, (done.stdout or done.stderr).strip(), flush=True)
"""


@each_family
def test_a_name_is_asked_about_before_anything_leaves(t):
    """CONTROL, attacks 21 and 52: the name, its registrable domain first; nobody upstream hears of it
    before it is approved, and nobody is confused by what stands in front of the domain."""
    world = World(t)
    certificate = world.environment()["SSL_CERT_FILE"]
    run = Asked(t, CURLS).attend()
    run.say(f"--cacert {certificate} https://github.com.evil.test/")
    row = run.question()
    check_equal((row["name"], row["domain"], row["rules"]["domain"]),
                ("github.com.evil.test", "evil.test", ".evil.test:443/tcp"), "what is asked")
    check(run.ctl_ok("pending").splitlines()[1].startswith("evil.test "), "the domain stands first")
    check_equal([name for name in world.resolver.names() if "evil" in name], [], "what left")
    run.ctl_ok("refuse", str(row["question"]), "run", "domain")
    check(not run.line(60).startswith("0"), "refused")
    run.say(f"--cacert {certificate} https://alone.evil.test/")
    check(not run.line(60).startswith("0"), "another name of the domain")
    check_equal([name for name in world.resolver.names() if "evil" in name], [], "what left")

    run.say(f"--cacert {certificate} https://ok.test/")
    row = run.question()
    check_equal((row["name"], row["port"]), ("ok.test", 443), "what is asked")
    run.ctl_ok("approve", str(row["question"]), "once")
    check_equal(run.line(60), "0 hello from shared as ok.test", "approved once")
    run.say(f"--cacert {certificate} https://ok.test/")
    run.ctl_ok("approve", str(run.question()["question"]), "run")
    check_equal(run.line(60), "0 hello from shared as ok.test", "approved for the run")
    run.say(f"--cacert {certificate} https://ok.test/")
    check_equal(run.line(60), "0 hello from shared as ok.test", "not asked any more")
    run.finish_stdin()
    run.finish()
