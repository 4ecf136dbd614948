"""Called as passt: started, left behind and ended as QEMU and libvirt do it with passt."""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from harness import check, check_equal
from labkit import processes


class Passt:
    """Our program under the name of passt, in a folder where nobody may make a socket."""

    def __init__(self, program, folder):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o777)
        self.program = self.folder / "passt"
        self.program.symlink_to(program)
        self.socket = self.folder / "socket"
        self.pid_file = self.folder / "pid"
        self._left_behind = []

    def run(self, *options):
        """The process that was started has ended when this returns, and its output is closed."""
        return subprocess.run([self.program, *map(str, options)], capture_output=True, text=True,
                              timeout=60, check=False)

    def start(self, *options):
        """In the background: the number of the process that serves."""
        done = self.run("-s", self.socket, "-P", self.pid_file, *options)
        check_equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "its start")
        pid = int(self.pid_file.read_text())
        self._left_behind.append(pid)
        return pid

    def popen(self, *options, **how):
        child = subprocess.Popen([self.program, *map(str, options)], **how)
        self._left_behind.append(child.pid)
        return child

    def connect(self):
        guest = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        guest.connect(str(self.socket))
        return guest

    def end_all(self):
        for pid in self._left_behind:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except FileNotFoundError:
        return False
    return not state.startswith("Z")


def ends(pid):
    processes.wait_until(lambda: not is_alive(pid), 30, f"process {pid} does not end")


@pytest.fixture
def passt(request):
    with tempfile.TemporaryDirectory(prefix="sluice-passt-") as folder:
        made = Passt(request.config.option.sluice, folder)
        yield made
        made.end_all()


def test_the_one_who_started_it_goes_on_once_the_socket_listens(passt):
    pid = passt.start()
    check(is_alive(pid), "nobody serves")
    passt.connect().close()
    check_equal(os.stat(f"/proc/{pid}").st_uid, 65534, "the user of the one who serves")
    os.kill(pid, signal.SIGTERM)
    ends(pid)
    check(not passt.socket.exists(), "its socket's file is still there")


def test_one_off_ends_with_its_guest(passt):
    pid = passt.start("--one-off")
    guest = passt.connect()
    time.sleep(0.3)
    check(is_alive(pid), "it has ended before its guest")
    guest.close()
    ends(pid)


def test_a_passed_socket_is_served_until_it_closes(passt):
    ours, theirs = socket.socketpair()
    child = passt.popen("-f", "-q", "--fd", theirs.fileno(), pass_fds=[theirs.fileno()])
    theirs.close()
    time.sleep(0.3)
    check(child.poll() is None, "it has ended before its guest")
    ours.close()
    check_equal(child.wait(30), 0, "its exit status")


def test_a_passed_socket_may_speak_vhost_user(passt):
    ours, theirs = socket.socketpair()
    child = passt.popen("-f", "-q", "--vhost-user", "--fd", theirs.fileno(),
                        pass_fds=[theirs.fileno()])
    theirs.close()
    ours.settimeout(60)
    # GET_FEATURES, and what it is answered: the request again, and 64 bits.
    ours.sendall(struct.pack("<III", 1, 1, 0))
    answer = ours.recv(20, socket.MSG_WAITALL)
    check_equal(struct.unpack("<III", answer[:12]), (1, 5, 8), "the answer's head")
    ours.close()
    check_equal(child.wait(60), 0, "its exit status")


def test_messages_go_to_the_log_file(passt):
    log = passt.folder / "log"
    pid = passt.start("--debug", "--log-file", log, "-i", "eth0")
    passt.connect().close()
    processes.wait_until(lambda: "a guest has come" in log.read_text(), 20, "nothing is logged")
    check("passt: " in log.read_text(), "it does not speak as passt")
    os.kill(pid, signal.SIGTERM)
    ends(pid)


def test_what_differs_is_said_to_who_debugs(passt):
    ours, theirs = socket.socketpair()
    child = passt.popen("-f", "-d", "-i", "eth0", "--fd", theirs.fileno(),
                        pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
    theirs.close()
    ours.close()
    said = child.communicate(timeout=30)[1]
    check("differs from passt: --interface eth0" in said, said)


def test_what_fails_at_the_start_is_told_with_status_1(passt):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    for options, told in ((["-s", passt.socket, "-t", f"127.0.0.1/{port}"], "Address already"),
                          (["-s", "/nowhere/socket"], "/nowhere/socket"),
                          (["-s", passt.socket, "--runas", "nobody-there"], "nobody-there"),
                          (["-s", passt.socket, "-P", "/nowhere/pid"], "/nowhere/pid"),
                          (["-a", "nowhere"], "--address: 'nowhere'"), (["--what"], "--what")):
        done = passt.run(*options)
        check_equal(done.returncode, 1, f"status of {options}")
        check(told in done.stderr, f"{options}: {done.stderr}")
    taken.close()


def test_a_socket_that_is_served_already_is_left_alone(passt):
    pid = passt.start()
    done = passt.run("-s", passt.socket)
    check_equal(done.returncode, 1, "status of the second")
    check(is_alive(pid), "the first one is gone")
    passt.connect().close()


def test_it_says_what_it_can_do(passt):
    done = passt.run("--print-capabilities")
    check_equal((done.returncode, done.stdout), (0, '{"type": "net"}\n'), "capabilities")
