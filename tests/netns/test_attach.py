"""sluice attach: namespaces that somebody else has made."""

import contextlib
import hashlib
import os
import signal
import subprocess
import uuid

import pytest

from harness import (GUEST_PRELUDE, PYTHON, check, check_equal, each_family, echo, finish,
                     processes, v4_only)

HOLD = ["unshare", "--user", "--map-root-user", "--net", "sleep", "600"]


class Attached:
    """A namespace of an ordinary user, and `sluice attach` for it."""

    def __init__(self, t, *options, hold=tuple(HOLD), descriptors=()):
        self.t = t
        self.holder = t.net.popen(t.net.hst, list(hold), True)
        self.process = processes.wait_until(self._inside, 10, "no process in a namespace")
        ready, told = os.pipe()
        self.child = t.net.popen(
            t.net.hst,
            [t.path, "attach", "-v", f"--ready-fd={told}", *options, str(self.process)], True,
            stderr=subprocess.PIPE, pass_fds=[told, *descriptors])
        os.close(told)
        with os.fdopen(ready, "rb") as reader:
            said = reader.read()
        check(said == b"1", f"it is not ready: {self.child.stderr.read() if not said else said}")

    def _inside(self):
        # On its way it is where this process is, and then in hst.
        outside = (None, os.stat(f"/run/netns/{self.t.net.hst}").st_ino,
                   os.stat("/proc/self/ns/net").st_ino)
        return next((pid for pid in processes.descendants(self.holder.pid)
                     if processes.net_namespace(pid) not in outside), None)

    def command(self, *words):
        return ["nsenter", f"--target={self.process}", "--user", "--net",
                "--preserve-credentials", *words]

    def run(self, *words):
        done = self.t.net.run(self.t.net.hst, self.command(*words), True)
        check_equal(done.returncode, 0, f"{' '.join(words)[-80:]}: {done.stderr}")
        return done.stdout

    def python(self, code, *arguments):
        return self.run(PYTHON, "-c", GUEST_PRELUDE + code, *map(str, arguments))

    def ended(self, timeout=20):
        status, _, said = finish(self.child, timeout)
        check_equal(status, 0, f"exit status, after: {said}")
        return said


def digest(connection):
    sum_of = hashlib.sha256()
    while data := connection.recv(1 << 16):
        sum_of.update(data)
    connection.sendall(sum_of.hexdigest().encode())


@pytest.mark.parametrize("path", ["off", "require"])
@each_family
def test_a_namespace_of_an_ordinary_user_is_served(t, path):
    t.listen(7000, digest)
    attached = Attached(t, f"--fast-path={path}")
    code = """
block = os.urandom(1 << 20)
s = connect(args[0], 7000); s.sendall(block * 16); s.shutdown(socket.SHUT_WR)
print(read_all(s).decode() == hashlib.sha256(block * 16).hexdigest())
"""
    check_equal(attached.python(code, t.srv), "True\n", "what came back")
    os.kill(attached.process, signal.SIGKILL)
    check("the namespace has ended" in attached.ended(), "it does not say why it ends")


@v4_only
def test_it_serves_until_the_last_process_has_left(t):
    t.listen(7000, echo)
    attached = Attached(t)
    code = "print(flush=True); sys.stdin.readline()"
    other = t.net.popen(t.net.hst, attached.command(PYTHON, "-c", GUEST_PRELUDE + code), True,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    inside = next(pid for pid in processes.descendants(other.pid)
                  if processes.net_namespace(pid) == processes.net_namespace(attached.process))
    os.kill(attached.process, signal.SIGKILL)
    attached.process = inside
    check_equal(attached.python("print(outcome(args[0], 7000)[0])", t.srv), "ok\n", "a connection")
    check(attached.child.poll() is None, "it ended with the process that it was told of")
    other.communicate(b"go\n")
    attached.ended()


@each_family
def test_when_told_to_end_it_leaves_nothing_behind(t):
    t.listen(7000, digest)
    attached = Attached(t, "--fast-path=require")
    attached.python("s = connect(args[0], 7000); s.sendall(bytes(1 << 20)); "
                    "s.shutdown(socket.SHUT_WR); read_all(s)", t.srv)
    check("sluice" in attached.run("nft", "list", "tables"), "no table while it serves")
    sluice = next(pid for pid in processes.descendants(attached.child.pid)
                  if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(t.path))
    os.kill(sluice, signal.SIGTERM)
    attached.ended()
    processes.wait_until(lambda: "sluice" not in attached.run("nft", "list", "tables"), 10,
                         "a table is left")
    processes.wait_until(lambda: "fwmark" not in attached.run("ip", "rule"), 10, "a rule is left")
    processes.wait_until(lambda: "tap0" not in attached.run("ip", "-o", "link"), 10,
                         "the interface is left")
    check(processes.is_alive(attached.process), "the namespace's process is gone")


@v4_only
def test_a_namespace_with_a_name_is_served_until_it_is_deleted(t):
    # Not as those of other tests, which look for what is left of theirs.
    name = f"attached-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    with contextlib.ExitStack() as closing:
        closing.callback(subprocess.run, ["ip", "netns", "delete", name],
                         stderr=subprocess.DEVNULL, check=False)
        t.listen(7000, echo)
        pid_file = t.file("pid")
        done = t.net.run(t.net.hst, [t.path, "attach", "--background", f"--pid-file={pid_file}",
                                     "--deny", f"{t.srv}:7001", name])
        check_equal(done.returncode, 0, f"exit status: {done.stderr}")
        with open(pid_file, encoding="ascii") as file:
            sluice = int(file.read())
        code = GUEST_PRELUDE + "print([outcome(args[0], port)[0] for port in (7000, 7001)])"
        done = subprocess.run(["ip", "netns", "exec", name, PYTHON, "-c", code, t.srv],
                              stdout=subprocess.PIPE, text=True, check=True)
        check_equal(done.stdout, "['ok', 'ECONNREFUSED']\n", "connections")
        check(processes.is_alive(sluice), "it ended by itself")
        subprocess.run(["ip", "netns", "delete", name], check=True)
        processes.wait_until(lambda: not processes.is_alive(sluice), 10,
                             "it outlives the namespace")
        processes.wait_until(lambda: not os.path.exists(pid_file), 5, "its pid file is left")


@v4_only
def test_it_ends_when_a_descriptor_is_closed(t):
    until, held = os.pipe()
    attached = Attached(t, f"--exit-fd={until}", descriptors=[until])
    os.close(until)
    check(attached.child.poll() is None, "it ended by itself")
    os.close(held)
    check("--exit-fd was closed" in attached.ended(), "it does not say why it ends")
    check(processes.is_alive(attached.process), "the namespace's process is gone")


@v4_only
def test_what_cannot_be_served_is_said(t):
    def refused(*words):
        done = t.net.run(t.net.hst, [t.path, "attach", *words], True)
        return done.returncode, done.stderr

    status, said = refused("--netns", "/proc/self/ns/net")
    check_equal(status, 125, f"exit status: {said}")
    check("is the network namespace that we are in" in said, said)
    status, said = refused("/proc/self/ns/pid")
    check_equal(status, 125, f"exit status: {said}")
    check("is no network namespace" in said, said)
    status, said = refused("no-such-namespace")
    check_equal(status, 125, f"exit status: {said}")
    check("open '/run/netns/no-such-namespace'" in said and "lsns" in said, said)
    status, said = refused("1")
    check_equal(status, 125, f"exit status: {said}")
    check("another user's" in said, said)
    for words, wanted in ((["4294967296"], "out of range"), ([], "nothing says which"),
                          (["a", "b"], "only one"), (["--netns", "/x", "a"], "already"),
                          (["--exit-fd=77", "1"], "77 is not open")):
        status, said = refused(*words)
        check_equal(status, 2, f"exit status of {words}: {said}")
        check(wanted in said, said)
