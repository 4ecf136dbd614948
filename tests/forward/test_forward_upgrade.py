"""SIGUSR2: a new binary takes over the listeners, without a refused connection or a lost byte."""

import os
import shutil
import signal
import threading
import time

import pytest

from forwarding import check, processes, read_exactly, wait_until
from harness import check_equal
from streams import EchoLoad, echo_in_process


GOES_ON = "; this process goes on\n"  # What it says when the new binary is no good.


def start(t, *rules, options=()):
    """The program from a copy of its own, so that it can be replaced."""
    program = t.path("sluice")
    shutil.copy(t.options.sluice, program)
    pid_file = t.path("pid")
    words = [program, "forward", f"--pid-file={pid_file}", *options]
    ready = []
    for port, target in rules:
        words += [f"127.0.0.1:{port}", f"127.0.0.1:{target}"]
        ready.append(f"tcp:{port}")
    forwarder = t.start(words, ready)
    # It listens a moment before it can hand over.
    wait_until(lambda: "forwarding:" in forwarder.err(), "it does not say that it forwards")
    return forwarder, program, pid_file


def new_pid(forwarder, pid_file, timeout=10):
    def changed():
        try:
            with open(pid_file, encoding="ascii") as file:
                pid = int(file.read())
            return pid if pid != forwarder.pid and processes.is_alive(pid) else None
        except (OSError, ValueError):
            return None

    return wait_until(changed, "no new process takes over", timeout)


def test_upgrade_hands_over(t):
    server = t.serve()
    port = t.port()
    forwarder, _, pid_file = start(t, (port, server.port))
    kept = t.connect(port)
    kept.sendall(b"a")
    read_exactly(kept, 1)
    forwarder.send_signal(signal.SIGUSR2)
    pid = new_pid(forwarder, pid_file)
    check_equal(t.ask(port), b"ping", "a new connection")
    kept.sendall(b"b")
    check_equal(read_exactly(kept, 1), b"b", "a connection of the old process")
    check(forwarder.child.poll() is None, "the old process left its connection")
    kept.close()
    check_equal(forwarder.wait(), 0, "the old process's exit status")
    check_equal(t.ask(port), b"ping", "with the old process gone")
    check(processes.is_alive(pid), "the new process has ended")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not processes.is_alive(pid), "the new process does not end")
    check(not os.path.exists(pid_file), "the pid file is left behind")


def test_upgrade_twice(t):
    server = t.serve()
    port = t.port()
    forwarder, _, pid_file = start(t, (port, server.port))
    forwarder.send_signal(signal.SIGUSR2)
    second = new_pid(forwarder, pid_file)
    check_equal(forwarder.wait(), 0, "the first one's exit status")
    os.kill(second, signal.SIGUSR2)

    def third():
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read() or second)
        return pid if pid != second else None

    wait_until(third, "the second process hands over to nobody")
    wait_until(lambda: not processes.is_alive(second), "the second process stays")
    check_equal(t.ask(port), b"ping", "through the third")


@pytest.mark.within(60)
def test_upgrade_under_load(t):
    """No refused connection, no lost byte, and the old process ends."""
    listening = t.listener(backlog=4096)
    echo_in_process(listening)
    target = listening.getsockname()[1]
    port = t.port()
    forwarder, _, pid_file = start(t, (port, target))
    load = EchoLoad([t.connect(port) for _ in range(300)])
    failed, count, stop = [], [0], threading.Event()

    def connect_on_and_on():
        while not stop.is_set():
            try:
                check_equal(t.ask(port, b"hello"), b"hello", "echo")
                count[0] += 1
            except Exception as error:  # Told below.
                failed.append(repr(error))

    threads = [threading.Thread(target=connect_on_and_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: load.bytes > 1_000_000 and count[0] > 30, "no data moves", 20)
    forwarder.send_signal(signal.SIGUSR2)
    new_pid(forwarder, pid_file, 20)
    before, made = load.bytes, count[0]
    wait_until(lambda: load.bytes > before + 1_000_000 and count[0] > made + 30,
               "data moves no more", 20)
    stop.set()
    for thread in threads:
        thread.join()
    load.stop(30)
    check(not failed, f"{len(failed)} of {count[0]} connections failed, such as {failed[:2]}")
    check_equal(forwarder.wait(), 0, "the old process's exit status")


def test_upgrade_to_a_failing_binary_changes_nothing(t):
    server = t.serve()
    port = t.port()
    forwarder, program, _ = start(t, (port, server.port))
    for script in ("#!/bin/sh\nexit 7\n", "no program at all"):
        t.replace(program, script)
        os.chmod(program, 0o755)
        told = forwarder.err().count(GOES_ON)
        forwarder.send_signal(signal.SIGUSR2)
        wait_until(lambda: forwarder.err().count(GOES_ON) > told, "it does not say that it failed",
                   12)
        check_equal(t.ask(port), b"ping", "the old process")
    shutil.copy(t.options.sluice, program + ".good")
    os.replace(program + ".good", program)
    forwarder.send_signal(signal.SIGUSR2)
    check_equal(forwarder.wait(), 0, "the old process, when the binary is good again")
    check_equal(t.ask(port), b"ping", "the new process")


def test_upgrade_to_a_binary_that_hangs_changes_nothing(t):
    server = t.serve()
    port = t.port()
    forwarder, program, _ = start(t, (port, server.port))
    t.replace(program, "#!/bin/sh\nexec sleep 25\n")
    os.chmod(program, 0o755)
    forwarder.send_signal(signal.SIGUSR2)
    for _ in range(12):
        check_equal(t.ask(port), b"ping", "while it waits and after")
        time.sleep(1)
    check(GOES_ON in forwarder.err(), "it does not say that the new binary is late")


def test_upgrade_reads_the_file_anew(t):
    """The new process has the rules of the file as it is now: one listener more, one less."""
    server = t.serve()
    one, two, three = t.port(), t.port(), t.port()
    program, pid_file = t.path("sluice"), t.path("pid")
    shutil.copy(t.options.sluice, program)
    line = "127.0.0.1 {} 127.0.0.1 " + f"{server.port}\n"
    path = t.path("rules.conf", line.format(one) + line.format(two))
    forwarder = t.start([program, "forward", "--no-watch", f"--pid-file={pid_file}", "-c", path],
                        [f"tcp:{one}", f"tcp:{two}"])
    wait_until(lambda: "forwarding:" in forwarder.err(), "it does not say that it forwards")
    t.replace(path, line.format(two) + line.format(three))
    forwarder.send_signal(signal.SIGUSR2)
    check_equal(forwarder.wait(), 0, "the old process's exit status")
    check_equal([t.ask(port) for port in (two, three)], [b"ping"] * 2, "rules of the file")
    check(t.refused(one), "the gone rule still listens")
