"""A terminal through `sluice box`, in nested KVM: in test_box.py's level 1."""

import shlex
import time

import pytest

import box_place as places
from harness import check, check_equal

pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

TERMINAL = """
import os, pty, struct, fcntl, sys, termios, time, signal
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
os.kill(pid, signal.SIGWINCH)
heard = b""
def until(word):
    global heard
    end = time.monotonic() + 200
    while word not in heard:
        if time.monotonic() > end: sys.exit(f"no {word!r} in {heard!r}")
        heard += os.read(fd, 65536)
until(b"ready")
os.write(fd, b"stty size\\n"); until(b"33 77")
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 88, 0, 0))
os.kill(pid, signal.SIGWINCH)
time.sleep(1)
os.write(fd, b"stty size\\n"); until(b"44 88")
os.write(fd, b"sleep 1000\\n"); time.sleep(2)
os.write(fd, b"\\x03"); os.write(fd, b"echo st=$?\\n"); until(b"st=130")
os.write(fd, b"exit 5\\n")
try:
    while os.read(fd, 65536): pass
except OSError: pass
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_terminal_is_one_in_the_machine(box):
    (box.level.scratch / "terminal.py").write_text(TERMINAL)
    done = box.level.run(f"python3 /scratch/terminal.py {box.sluice} box --cpus 1 --memory 256MiB -- "
                         "sh -c 'echo re''ady; exec sh -i'", places.SECONDS)
    check_equal(done.stdout.strip(), "5", done.stderr)


class Tmux:
    """A terminal of tmux's in level 1, in which a line of shell runs; it stays when that has ended."""

    def __init__(self, box, line):
        self._level = box.level
        kept = f"{line}; echo ended=$?; exec sleep 1000"
        # What else runs in level 1 does not see it, and finds no server of its own.
        self._ok("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", kept)

    def _ok(self, *words):
        return self._level.ok(f"TERM=xterm LC_ALL=C.UTF-8 tmux -L box {shlex.join(words)}")

    def type(self, *keys):
        self._ok("send-keys", *keys)

    def resize(self, columns, rows):
        self._ok("resize-window", "-x", str(columns), "-y", str(rows))

    def size(self):
        """As `stty size` has it."""
        return self._ok("display-message", "-p", "#{pane_height} #{pane_width}").strip()

    def screen(self):
        """With colours."""
        return self._ok("capture-pane", "-p", "-e")

    def until(self, word):
        end = time.monotonic() + places.SECONDS
        while word not in (screen := self.screen()):
            check(time.monotonic() < end, f"no {word!r} on the screen:\n{screen}")
            time.sleep(0.5)
        return screen

    def close(self):
        self._level.run("tmux -L box kill-server")


@pytest.fixture
def terminal(box):
    if box.level.run("command -v tmux").returncode != 0:
        pytest.skip("no tmux")
    made = Tmux(box, f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -i")
    yield made
    made.close()


def test_tmux_shows_a_shell_in_the_machine(box, terminal):
    terminal.until("#")
    terminal.type("echo \"<$(stty size)>\"", "Enter")
    terminal.until(f"<{terminal.size()}>")
    terminal.type("printf '\\033[31mred\\033[0m\\n'", "Enter")
    terminal.until("\x1b[31mred")
    # A program that has the whole screen, and gives it back.
    terminal.type("clear; seq 1000 | less", "Enter")
    screen = terminal.until("\n:")
    check("\n20" in screen and "<" not in screen, f"the screen of less:\n{screen}")
    terminal.resize(100, 40)
    terminal.until("\n35")
    terminal.type("q")
    terminal.type("clear; echo \"<$(stty size)>\"", "Enter")
    terminal.until(f"<{terminal.size()}>")
    # Keys that are signals are the command's: it stops, goes on, and is interrupted.
    terminal.type("sleep 1000", "Enter")
    terminal.type("C-z")
    terminal.until("Stopped")
    terminal.type("fg", "Enter")
    terminal.type("C-c")
    terminal.type("echo \"<st=$?>\"", "Enter")
    terminal.until("<st=130>")
    terminal.type("exit 5", "Enter")
    terminal.until("ended=5")
    terminal.close()  # Its command line names us.
    check_equal(box.left_behind(), "", "what is left behind")
