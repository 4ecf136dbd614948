"""What the commands that look at a run show in a terminal, 80 and 140 columns wide, as tmux sees it:
lines fit, heads stand above their columns, and nothing of a guest's reaches the terminal raw."""

import itertools
import os
import re
import shutil
import subprocess
import time

import pytest

from harness import NOBODY, check, check_equal, v4_only
from labkit import processes
from policy_world import POLICY, World
from test_ask import Asked
from test_live_policy import TALK

# Where the screens are left to be looked at; nowhere, if it is not set.
SCREENS = os.environ.get("SLUICE_TERMINAL_SCREENS")
LONG = f"{'a-label-that-is-long-' * 2}and-longer-still.wild.test"
OPTIONS = [*POLICY, "--ask=*.asked.test:443"]

# Flows of several names, one that moves data, refusals, and two questions that wait.
GUEST = TALK + """
import threading
kept = [tls(name) for name in ("a.wild.test", args[2], "ok.test")]
print(say(kept[0], "a.wild.test"), flush=True)
bulk = connect(args[1], 9000)
ssh = socket.create_connection(("ssh.test", 22), timeout=30)
def drain():
    while bulk.recv(1 << 20): bulk.sendall(b"more")
threading.Thread(target=drain, daemon=True).start()
def knock(name):
    try: tls(name)
    except OSError: pass
for name in ("one.asked.test", "another.asked.test"):
    threading.Thread(target=knock, args=(name,), daemon=True).start()
print("up", flush=True)
for line in sys.stdin:
    knock("gist.test")
    knock(line.strip() or "alone.evil.test")
    s = tls("ok.test"); say(s, "ok.test"); s.close()
    print("knocked", flush=True)
os._exit(0)
"""


def pour(connection):
    """As much as a slow line gives: about two MiB each second."""
    while True:
        connection.sendall(b"x" * (1 << 17))
        time.sleep(0.06)


NUMBERS = itertools.count()


class Screen:
    """A command in a window of tmux, with a server of its own."""

    def __init__(self, run, columns, *words, color=False, lines=24):
        # Not one that was there a moment ago: its server may be about to end yet.
        self.name = f"sluice-{os.getpid()}-{next(NUMBERS)}"
        environment = {**run.env, "TERM": "screen-256color"}
        environment.pop("NO_COLOR", None)
        if not color:
            environment["NO_COLOR"] = "1"
        command = ["ip", "netns", "exec", run.t.net.hst, *NOBODY, run.t.path, *words]
        # The window stays when the command has ended.
        self._tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), *command,
                   env=environment, options=["-f", run.t.file("tmux", "set -g remain-on-exit on\n"
                                                              "set -g status off\n")])

    def _tmux(self, *words, env=None, options=()):
        return subprocess.run(["tmux", "-L", self.name, *options, *words], capture_output=True,
                              text=True, env=env, timeout=60, check=True).stdout

    def text(self, painted=False):
        # With what the word of the command's end has pushed out.
        return self._tmux("capture-pane", "-p", "-S", "-", *(["-e"] if painted else []))

    def wait(self, *words, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if all(word in (text := self.text()) for word in words):
                return text
            time.sleep(0.2)
        raise AssertionError(f"{words} never were on the screen:\n{self.text()}")

    def wait_end(self, seconds=60):
        """What a command that ends has shown."""
        processes.wait_until(lambda: self._tmux("display-message", "-p", "#{pane_dead}") == "1\n",
                             seconds, f"it does not end:\n{self.text()}", interval=0.1)
        return self.text()

    def keys(self, *keys):
        self._tmux("send-keys", *keys)

    def close(self):
        self._tmux("kill-server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def keep(name, screen):
    if SCREENS:
        for kind, painted in (("txt", False), ("ansi", True)):
            with open(os.path.join(SCREENS, f"{name}.{kind}"), "w", encoding="utf-8") as file:
                file.write(screen.text(painted))


def columns_of(head):
    """(where it begins, where it ends) of each title; two spaces or more are between them."""
    return [match.span() for match in re.finditer(r"\S+(?: \S+)*", head)]


@pytest.fixture
def run(t):
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    world = World(t)
    t.listen(9000, pour)
    run = Asked(t, 'print("up", flush=True)\n' + GUEST, world.environment()["SSL_CERT_FILE"], t.srv,
                LONG, options=[*OPTIONS, "--allow", f"{t.srv}:9000"]).attend()
    check_equal(run.line(60), "answered", "the guest")
    check_equal(run.line(60), "up", "the guest")
    yield run
    run.finish_stdin()
    run.finish()


@v4_only
def test_top_fits_its_terminal(run):
    for columns, color in ((80, False), (80, True), (140, False), (140, True)):
        with Screen(run, columns, "top", color=color) as screen:
            screen.wait("NAME", "wild.test", "MiB")
            time.sleep(2)
            text = screen.wait("q quit")
            keep(f"top-{columns}{'-color' if color else ''}", screen)
            lines = text.splitlines()
            check_equal(len(lines), 24, "lines")
            check("7 flows" in lines[0] and "MiB/s" in lines[0], lines[0])
            titles = lines[1]
            check(titles.startswith("NAME"), titles)
            # What is counted ends where its title does.
            ends = [end for begin, end in columns_of(titles) if titles[begin:end].endswith("/s")]
            rows = [line for line in lines[2:] if line[2:].startswith(("wild.test", "ok.test"))]
            check_equal(len(rows), 2, text)
            for row in rows:
                for end in ends:
                    check(row[end - 1] != " " and row[end:end + 1] in (" ", ""), f"{titles}\n{row}")
            painted = re.search(r"\x1b\[(0;)?7m", screen.text(painted=True)) is not None
            check_equal(painted, color, "paint")
            screen.keys("Enter")
            screen.wait("- ")
            keep(f"top-open-{columns}{'-color' if color else ''}", screen)
            screen.keys("q")


@v4_only
def test_observe_fits_its_terminal(run):
    for columns, color in ((80, False), (140, False), (140, True)):
        with Screen(run, columns, "observe", "-f", run.name(), color=color) as screen:
            time.sleep(1)
            run.say("alone.evil.test")
            check_equal(run.line(60), "knocked", "the guest")
            screen.wait("gist.test", "name-unlisted", "close")
            keep(f"observe-{columns}{'-color' if color else ''}", screen)
            check_equal("\x1b[31m" in screen.text(painted=True), color, "paint")
            for line in screen.text().splitlines():
                check(not line or re.match(r"[0-9:.]{12}  \w|" + " " * 22 + r"\S", line), line)


@v4_only
def test_tables_of_ctl_fit_their_terminal(run):
    for columns in (80, 140):
        for words, head in ((("flows",), "FLOW"), (("pending",), "DOMAIN"), (("rules",), "EFFECT"),
                            (("refused",), "NAME"), (("status",), "run")):
            with Screen(run, columns, "ctl", *words) as screen:
                text = screen.wait_end()
                keep(f"ctl-{words[0]}-{columns}", screen)
                lines = [line for line in text.splitlines() if line and "Pane is" not in line]
                check(lines[0].startswith(head), text)
                rows = {"flows": 7, "pending": 2, "rules": 6}.get(words[0])
                # None is so wide that it has a second line.
                check(rows is None or len(lines) == rows + 1, text)
