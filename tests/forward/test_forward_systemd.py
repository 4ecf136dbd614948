"""systemd: sockets that it opened, and what it is told."""

import fcntl
import os
import signal
import socket

import pytest

from forwarding import check, wait_until
from harness import check_equal


def activated(t, sockets, names, *words, **more):
    """Starts sluice with sockets from descriptor 3 on, as sd_listen_fds(3) has it.

    A shell puts them there, and it is the process that becomes sluice, as LISTEN_PID must say.
    """
    high = [fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in sockets]  # Out of the way of 3 and 4.
    moves = " ".join(f"{3 + i}<&{fd}-" for i, fd in enumerate(high))
    environment = {**os.environ, "LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": ":".join(names)}
    shell = ["bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves}', "bash"]
    forwarder = t.start([*shell, t.options.sluice, "forward", *words], pass_fds=high,
                        env=environment, **more)
    for fd in high:
        os.close(fd)
    return forwarder


def test_systemd_socket_by_name(t):
    server = t.serve()
    listening = t.listener()
    port = listening.getsockname()[1]
    forwarder = activated(t, [listening], ["web"], "systemd:web", f"127.0.0.1:{server.port}")
    check_equal(t.ask(port), b"ping", "through systemd's socket")
    forwarder.send_signal(signal.SIGTERM)
    check_equal(forwarder.wait(), 0, "exit status")
    # It is systemd's: connections queue up until the service is started again.
    client = t.connect(port)
    activated(t, [listening], ["web"], "systemd:web", f"127.0.0.1:{server.port}")
    client.sendall(b"early")
    check_equal(client.recv(10), b"early", "of a client that came in between")


def test_systemd_socket_by_number_and_several(t):
    server = t.serve(lambda c: c.sendall(b"tcp") or c.recv(10))
    one, two = t.listener(), t.listener()
    datagrams, target = t.udp(), t.udp()
    activated(t, [one, two, datagrams], ["a", "b", "c"], "systemd:1", f"127.0.0.1:{server.port}",
              "systemd:udp:c", f"udp://127.0.0.1:{target.getsockname()[1]}")
    check_equal(t.ask(two.getsockname()[1]), b"tcp", "the second socket")
    client = t.udp_client(datagrams.getsockname()[1])
    client.send(b"x")
    check_equal(target.recvfrom(10)[0], b"x", "the UDP socket")


def test_systemd_socket_that_is_missing_is_an_error(t):
    listening = t.listener()
    forwarder = activated(t, [listening], ["web"], "systemd:other", "127.0.0.1:9")
    check_equal(forwarder.wait(), 1, "exit status")
    check("other" in forwarder.err(), f"it said: {forwarder.err()}")


def test_systemd_sockets_of_another_process_are_not_ours(t):
    """LISTEN_PID names somebody else: the variables were inherited by mistake."""
    environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "LISTEN_PID": "1"}
    forwarder = t.sluice("systemd:web", "127.0.0.1:9", env=environment)
    check_equal(forwarder.wait(), 1, "exit status")


def test_systemd_socket_activate_starts_it(t):
    program = "/usr/bin/systemd-socket-activate"
    if not os.path.exists(program):
        pytest.skip("systemd-socket-activate is not installed")
    server = t.serve()
    port = t.port()
    t.start([program, "-l", f"127.0.0.1:{port}", "--fdname=web", t.options.sluice, "forward",
             "systemd:web", f"127.0.0.1:{server.port}"], [f"tcp:{port}"])
    check_equal(t.ask(port), b"ping", "the connection that started it")
    check_equal(t.ask(port), b"ping", "the next one")


class Notifications:
    """The socket of NOTIFY_SOCKET; gathers messages."""

    def __init__(self, t):
        self.path = t.path("notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o777)  # As systemd has it: any user may tell.
        self._socket.setblocking(False)
        self.messages = []
        t.on_close(self._socket.close)

    def has(self, text):
        try:
            while True:
                self.messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            pass
        return any(text in message.split("\n") for message in self.messages)


def test_sd_notify_tells_the_states(t):
    server = t.serve()
    port = t.port()
    told = Notifications(t)
    path = t.path("rules.conf", f"127.0.0.1 {port} 127.0.0.1 {server.port}\n")
    forwarder = t.sluice("-c", path, "--no-watch",
                         env={**os.environ, "NOTIFY_SOCKET": told.path})
    wait_until(lambda: told.has("READY=1"), "READY=1 does not come")
    check_equal(t.ask(port), b"ping", "once it is ready")
    told.messages.clear()
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: told.has("RELOADING=1"), "RELOADING=1 does not come")
    check(any("MONOTONIC_USEC=" in message for message in told.messages), f"{told.messages}")
    wait_until(lambda: told.has("READY=1"), "READY=1 does not come after the reload")
    told.messages.clear()
    t.replace(path, "nonsense\n")
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: told.has("READY=1"), "READY=1 does not come after a refused reload")
    forwarder.send_signal(signal.SIGTERM)
    wait_until(lambda: told.has("STOPPING=1"), "STOPPING=1 does not come")
    check_equal(forwarder.wait(), 0, "exit status")


def test_sd_notify_names_the_new_process_of_an_upgrade(t):
    server = t.serve()
    port = t.port()
    told = Notifications(t)
    forwarder = t.sluice(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}",
                         env={**os.environ, "NOTIFY_SOCKET": told.path})
    wait_until(lambda: told.has("READY=1"), "READY=1 does not come")
    told.messages.clear()
    forwarder.send_signal(signal.SIGUSR2)
    check_equal(forwarder.wait(), 0, "the old process's exit status")
    told.has("")
    named = [line for message in told.messages for line in message.split("\n")
             if line.startswith("MAINPID=")]
    check(named and named[-1] != f"MAINPID={forwarder.pid}", f"it said {told.messages}")
    check_equal(t.ask(port), b"ping", "the new process")
