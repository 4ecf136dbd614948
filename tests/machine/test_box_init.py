"""The program that is /init in a box's guest, in a real kernel: what the command finds, its streams,
its terminal, and how its end is told."""

import os
import pathlib
import signal
import struct
import time

import pytest

from harness import check, check_equal
from init_guest import OUTPUT_CLOSED, SIGNAL, WINDOW, InitGuest, message, setup_message
from machines import kit as kits

MIB = 1 << 20
NETWORK = {"addresses": (("10.0.2.15", 24), ("fd00::15", 64)), "gateways": ("10.0.2.2", "fd00::2"),
           "mtu": 1400}


@pytest.fixture
def guest(request, tmp_path):
    """Starts a guest when a test calls it."""
    init = pathlib.Path(request.config.option.sluice).with_name("sluice-box-init")
    made = []

    def start(**shares):
        try:
            InitGuest.check_present(init)
            made.append(InitGuest(init, tmp_path, **shares))
        except kits.Missing as missing:
            pytest.skip(str(missing))
        return made[-1]

    yield start
    for each in made:
        each.close()


def check_no_warnings(g):
    warned = [heard for heard in g.messages if heard.name == "warned"]
    check(not warned, f"the guest warned of {warned}")


PLACE = """
id -u; id -g; id -G; pwd; umask; ulimit -n; hostname; echo "$MARK"
cat /etc/resolv.conf; stat -c %a /tmp /dev/shm; test -w /dev/null && echo null
echo again > /dev/stdout
ls /proc/self/fd | wc -l
date +%s
echo end
tee /dev/stderr
exit 7
"""


def test_place_of_a_command_and_its_streams(guest, tmp_path):
    os.chmod(tmp_path, 0o755)
    g = guest()
    data = os.urandom(8 * MIB)
    clock = int((time.time() + 86400) * 1e9)
    status = g.run(setup_message(
        ["sh", "-c", PLACE], environment=["PATH=/usr/bin:/bin", "MARK=two words"], directory="/usr",
        uid=1000, gid=1001, groups=[1001, 27], umask=0o027, descriptors=777, clock=clock,
        host_name="boxed", files=[("/etc/resolv.conf", "nameserver 10.0.2.3\n")], **NETWORK), data)
    head, _, rest = bytes(g.output).partition(b"end\n")
    found = head.decode().split("\n")[:-1]
    now = int(found.pop())
    check(0 <= now - clock // 10**9 < 3600, f"the clock is {now}, set to {clock} ns")
    check_equal(found,
                ["1000", "1001", "1001 27", "/usr", "0027", "777", "boxed", "two words",
                 "nameserver 10.0.2.3", "1777", "1777", "null", "again", "4"],
                "what the command finds")
    check(rest == data, f"{len(rest)} of {len(data)} bytes, or others, to standard output")
    check(g.errors == data, f"{len(g.errors)} of {len(data)} bytes, or others, to standard error")
    check_equal(status, 7, "the status")
    check_no_warnings(g)
    stages = [heard.words[0] for heard in g.messages if heard.name == "stage"]
    check_equal(stages, ["kernel", "modules", "console", "setup", "root", "network", "command"],
                "stages")


ROOT = """
set -e
date -u -d @0 > /dev/null
ip -o address show dev net7 | awk '{print $4}' | sort
ip -o link show dev net7 | grep -o 'mtu [0-9]*'
ip route show default; ip -6 route show default
ip -o address show dev lo | awk '{print $4}' | sort
ip -6 address show dev net7 tentative
echo written > /etc/sluice-was-here; cat /etc/sluice-was-here
mv /etc/apt /etc/apt-renamed; ls -d /etc/apt-renamed
cat /run/rw/given; echo back > /run/rw/made
cat /below/ro/given; ! touch /below/ro/made 2>/dev/null
findmnt -no FSTYPE / ; findmnt -no FSTYPE /dev/pts; findmnt -no FSTYPE /run
test "$(stat -c %u /run/user/0)" = 0
# An orphan that holds the outputs, and one that was reaped.
(sleep 1000 &) ; (true &)
sleep 0.2; ! ps -eo stat | grep -q Z
# Whoever kills the command's parent, which is ours, does not get rid of the command's status.
kill -KILL $PPID
trap 'echo told; kill -KILL $$' TERM
echo ready
while :; do sleep 0.1; done
"""


def test_root_network_shares_and_signals(guest, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "given").write_text(f"{folder.name}\n")
    g = guest(shares=folders)
    g.say(setup_message(["sh", "-c", ROOT], interface="net7", **NETWORK,
                        environment=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                        shares=[("share0", "/run/rw", True), ("share1", "/below/ro", False)]))
    g.until(lambda: b"ready\n" in g.output or g.first("exited"), "the command's last line")
    g.say(message(SIGNAL, bytes([signal.SIGTERM])))
    status = g.finish()
    said = g.output.decode().split("\n")[:-1]
    link_local = [line for line in said if line.startswith("fe80")]
    check(len(link_local) == 1, f"one link-local address: {said} {bytes(g.errors)}")
    check_equal([line.strip() for line in said if line not in link_local],
                ["10.0.2.15/24", "fd00::15/64", "mtu 1400",
                 "default via 10.0.2.2 dev net7 proto static",
                 "default via fd00::2 dev net7 proto static metric 1024 pref medium",
                 "127.0.0.1/8", "::1/128", "written", "/etc/apt-renamed", "a", "b",
                 "overlay", "devpts", "tmpfs", "ready", "told"], "what the command finds")
    check_equal(status, 128 + signal.SIGKILL, "the status")
    check(not os.path.exists("/etc/sluice-was-here"), "the guest wrote to this machine")
    check_equal((folders[0] / "made").read_text(), "back\n", "a share that may be written")
    check(not (folders[1] / "made").exists(), "a share that may not be written was")
    check_no_warnings(g)


def test_terminal(guest):
    g = guest()
    g.say(setup_message(["bash", "--norc", "-i"], window=(31, 97), error_in_terminal=True, uid=1000,
                        gid=1000, environment=["PATH=/usr/bin:/bin", "PS1=", "TERM=dumb"]))
    g.hear("started")

    def ask(line, answer):
        begin = len(g.output)
        g.type(line)
        g.until(lambda: answer in g.output[begin:], f"{answer} of {line}")

    ask(b"stty size; tty; test -t 2 && echo all$((1))\n", b"31 97\r\n/dev/pts/0\r\nall1")
    g.say(message(WINDOW, struct.pack("<HH", 40, 100)))
    ask(b"sleep 0.5; stty size\n", b"40 100")
    # Ctrl-C ends what runs, not the shell. (What is typed before it runs would be the shell's.)
    ask(b"sh -c 'echo run$((2)); exec sleep 1000'; echo not here\n", b"run2")
    ask(b"\x03echo status $?\n", b"status 130")
    # Jobs: one is stopped by Ctrl-Z, and goes on.
    ask(b"sh -c 'echo run$((3)); exec sleep 999'\n", b"run3")
    ask(b"\x1a", b"Stopped")
    ask(b"bg; jobs -r | wc -l; echo >/dev/tty jobs$((2))\n", b"jobs2")
    ask(b"kill %1; wait; echo over$((3))\n", b"over3")
    # What is the shell's own is stopped by a shell's outside.
    g.say(message(SIGNAL, bytes([signal.SIGSTOP])))
    check_equal(g.hear("stopped").numbers, [signal.SIGSTOP], "the signal that stopped it")
    g.say(message(SIGNAL, bytes([signal.SIGCONT])))
    g.type(b"exit 5\n")
    check_equal(g.finish(), 5, "the status")
    check_equal(bytes(g.errors), b"", "standard error beside the terminal")


def test_command_of_a_terminal_is_stopped_by_it(guest):
    """As under a shell: it is no leader of a session, whom Ctrl-Z would not stop."""
    g = guest()
    # No shell: one that just starts a process by vfork() cannot be stopped meanwhile.
    g.say(setup_message(["sleep", "1000"], window=(24, 80)))
    g.hear("started")
    g.type(b"\x1a")
    check_equal(g.hear("stopped").numbers, [signal.SIGTSTP], "the signal that stopped it")
    g.say(message(SIGNAL, bytes([signal.SIGCONT])))
    g.type(b"\x03")
    check_equal(g.finish(), 128 + signal.SIGINT, "the status")


def test_output_that_nobody_reads_is_a_broken_pipe(guest):
    g = guest()
    g.say(setup_message(["bash", "-c", "trap '' TERM; yes; echo ${PIPESTATUS[0]} >&2; exit 3"]))
    g.until(lambda: len(g.output) > MIB, "some output")
    g.say(message(OUTPUT_CLOSED, b"\1"))
    check_equal(g.finish(), 3, "the status")
    check_equal(bytes(g.errors), b"141\n", "the end of who wrote there")


def test_guest_ends_when_its_host_is_gone(guest):
    g = guest()
    g.say(setup_message(["sleep", "1000"]))
    g.hear("started")
    g.hang_up()
    check_equal(g.wait(), 0, "the machine's end")


@pytest.mark.parametrize("setup, status, step", [
    ({"command": ["no-such-command"]}, 127, "no-such-command"),
    ({"command": ["/etc/passwd"]}, 126, "/etc/passwd"),
    ({"command": ["true"], "shares": [("absent", "/x", False)]}, 125, "mount virtiofs at /x"),
], ids=["missing", "not-executable", "no-such-share"])
def test_command_that_cannot_start_is_told(guest, setup, status, step):
    g = guest()
    check_equal(g.run(setup_message(**setup)), status, "the status")
    failed = g.first("failed")
    check_equal((failed.numbers[0], failed.words[0]), (status, step), "what failed")
    check(failed.numbers[1] != 0, "errno is told")
    check(g.first("started") is None, "a command that could not start has not started")
