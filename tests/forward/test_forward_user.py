"""Started as root: whom the forwarder becomes, and what it still can do."""

import contextlib
import os
import pwd
import signal
import socket
import time

import pytest

from forwarding import check, echo, wait_until
from harness import check_equal

NET_BIND_SERVICE = 1 << 10
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13


def status(pid, thread=None):
    path = f"/proc/{pid}/status" if thread is None else f"/proc/{pid}/task/{thread}/status"
    with open(path, encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("there is no user nobody")


def check_identity(pid, entry, capabilities):
    said = status(pid)
    check_equal(said["Uid"].split(), [str(entry.pw_uid)] * 4, "its user")
    check_equal(said["Gid"].split(), [str(entry.pw_gid)] * 4, "its group")
    check_equal(said["Groups"].strip(), "", "its other groups")
    for name in ("CapEff", "CapPrm", "CapBnd"):
        check_equal(int(said[name], 16) & ~capabilities, 0, name)
    check_equal(int(said["CapEff"], 16), capabilities, "CapEff")
    check_equal(said["NoNewPrivs"], "1", "NoNewPrivs")


def answered(t, port):
    try:
        return t.ask(port, b"x", timeout=2) == b"x"
    except OSError:
        return False


def check_confined(pid, workers, filters):
    """The supervisor has one filter, however many upgrades there were; each worker has `filters`.

    A thread confines itself when it begins, which may be after the process said that it serves."""
    wait_until(lambda: status(pid)["Seccomp"] == "2", "the supervisor has no filter")
    check_equal(status(pid)["Seccomp_filters"], "1", "the supervisor's filters")

    def of_workers():
        names = [name for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
        return [status(pid, name)["Seccomp_filters"] for name in names]

    wait_until(lambda: of_workers() == [filters] * workers,
               f"not {workers} workers with {filters} filters: {of_workers()}")


def test_user_of_root_is_nobody(t):
    entry = need_root()
    server = t.serve(echo)
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--workers=2")
    check_equal(t.ask(port, b"hello"), b"hello", "the answer")
    check_identity(forwarder.pid, entry, NET_BIND_SERVICE)
    check_confined(forwarder.pid, 2, "1")


def test_user_keeps_what_the_rules_need(t):
    entry = need_root()
    server = t.serve(echo)
    port = t.port()
    forwarder, _ = t.forward_file(f'''
    [[forwarding_rules]]
    listen = "127.0.0.1:{port}"
    targets = ["127.0.0.1:{server.port}"]
    mark = 7
    ''', ready=[port])
    check_equal(t.ask(port, b"hello"), b"hello", "the answer of a marked connection")
    check_identity(forwarder.pid, entry, NET_BIND_SERVICE | NET_ADMIN | NET_RAW)


def test_user_root_stays(t):
    need_root()
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", "127.0.0.1:9", "--user=root")
    check_equal(status(forwarder.pid)["Uid"].split(), ["0"] * 4, "its user")
    check_equal(status(forwarder.pid)["NoNewPrivs"], "1", "NoNewPrivs")


def test_user_that_is_not_there(t):
    need_root()
    code, said = t.fails("--user=nosuchuser", f"127.0.0.1:{t.port()}", "127.0.0.1:9")
    check(code == 1 and "--user: there is no user 'nosuchuser'" in said, f"{code}: {said}")


def test_user_opens_low_ports_at_a_reload_and_hands_over(t):
    """What root could do before: a port below 1024, the log and the pid file anew, an upgrade."""
    entry = need_root()
    server = t.serve(echo)
    port, log, pid_file = t.port(), t.path("log"), t.path("pid")

    def rules(*ports):
        return "".join(f'[[forwarding_rules]]\nlisten = "127.0.0.1:{one}"\n'
                       f'targets = ["127.0.0.1:{server.port}"]\n' for one in ports)

    forwarder, path = t.forward_file(rules(port), f"--log-file={log}", f"--pid-file={pid_file}",
                                     ready=[port])
    t.replace(path, rules(port, 81))
    forwarder.send_signal(signal.SIGHUP)

    wait_until(lambda: answered(t, 81), "the low port of the reload", 10)
    check_equal(os.stat(log).st_uid, entry.pw_uid, "the log's owner")
    forwarder.send_signal(signal.SIGUSR2)

    def successor():
        with open(pid_file, encoding="ascii") as file:
            text = file.read().strip()
        return int(text) if text and int(text) != forwarder.pid else 0

    new = wait_until(successor, "no process has taken over", 20)
    forwarder.wait(20)
    check(answered(t, 81) and answered(t, port), "the new process does not serve")
    check_identity(new, entry, NET_BIND_SERVICE)
    os.kill(new, signal.SIGTERM)


def test_user_that_cannot_read_the_configuration_is_told(t):
    need_root()
    port = t.port()
    path = t.path("secret.toml", f'[[forwarding_rules]]\nlisten = "127.0.0.1:{port}"\n'
                                 'targets = ["127.0.0.1:9"]\n')
    os.chmod(path, 0o600)
    forwarder = t.sluice("-c", path, ready=[f"tcp:{port}"])
    wait_until(lambda: "user 'nobody' cannot read" in forwarder.err(), "it says nothing", 5)
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in forwarder.err(), "the reload is not refused", 5)
    # The old rules go on: a client is accepted, and reset as nobody listens at the target.
    with contextlib.suppress(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            time.sleep(0.1)


def test_user_of_any_name_is_confined_over_upgrades(t):
    """A filter is inherited by the program that takes over, which works beneath it."""
    server = t.serve(echo)
    port, log, pid_file = t.port(), t.path("log"), t.path("pid")

    def rules(*ports):
        return "workers = 2\n" + "".join(
            f'[[forwarding_rules]]\nlisten = "127.0.0.1:{one}"\n'
            f'targets = ["localhost:{server.port}"]\n' for one in ports)

    forwarder, path = t.forward_file(rules(port), f"--log-file={log}", f"--pid-file={pid_file}",
                                     ready=[port])
    pid = forwarder.pid
    check_confined(pid, 2, "1")
    for upgrade in range(3):
        os.kill(pid, signal.SIGUSR2)

        def successor(before=pid):
            with open(pid_file, encoding="ascii") as file:
                text = file.read().strip()
            return int(text) if text and int(text) != before else 0

        pid = wait_until(successor, f"nobody takes over in upgrade {upgrade}", 20)
        # Its supervisor's filter came with it, and its workers have their own beside that.
        check_confined(pid, 2, "2")
        check_equal(t.ask(port, b"hello"), b"hello", "the answer")
    # It does what it always did: another listener, another log.
    other = t.port()
    t.replace(path, rules(port, other))
    os.rename(log, log + ".1")
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: os.path.exists(log), "no new log", 10)
    wait_until(lambda: answered(t, other), "the listener of the reload", 10)
    os.kill(pid, signal.SIGTERM)
