"""Called as rinetd or oi: their options, files, words and lines."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from forwarding import check, how_it_ends, place_of, processes, read_exactly
from forwarding import wait_until
from harness import check_equal
from test_forward_udp import UdpServer, ask

EXAMPLE = "/etc/rinetd.conf"


def named(t, name):
    """The program under another name."""
    path = t.path(name)
    if not os.path.exists(path):
        os.symlink(os.path.realpath(t.options.sluice), path)
    return path


def rinetd(t):
    program = shutil.which("rinetd")
    if not program:
        pytest.skip("Debian's rinetd is not installed")
    return program


def own_folders(t):
    """/var/log and /run of this test's mount namespace are empty."""
    for path in ("/var/log", "/run"):
        subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)


def listeners():
    """Every (table, local address) that listens in this namespace."""
    found = set()
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        with open(f"/proc/self/net/{table}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                if line.split()[3] == state:
                    found.add((table, line.split()[1]))
    return found


def stop(forwarder):
    forwarder.child.kill()
    forwarder.child.wait()
    wait_until(lambda: not listeners(), "listeners are left")


def test_rinetd_debian_configuration_runs_unchanged(t):
    """/etc/rinetd.conf as the package installs it: no rules, a log file, a pid file."""
    if not os.path.exists(EXAMPLE):
        pytest.skip(f"no {EXAMPLE}")
    own_folders(t)
    for program in (rinetd(t), named(t, "rinetd")):
        forwarder = t.start([program, "-f"])
        wait_until(lambda: os.path.exists("/var/log/rinetd.log"), f"{program} makes no log", 5)
        time.sleep(0.2)
        check(forwarder.child.poll() is None, f"{program} ended: {forwarder.err()}")
        stop(forwarder)
        os.unlink("/var/log/rinetd.log")


def test_rinetd_example_rules_open_the_same_listeners(t):
    """The example lines of that file, uncommented: both programs open the same ports.

    Two of them listen on one port, at which rinetd ends: the second gets another port.
    """
    if not os.path.exists(EXAMPLE):
        pytest.skip(f"no {EXAMPLE}")
    own_folders(t)
    for address in ("192.168.1.2/32", "fe80::1/128"):
        subprocess.run(["ip", "addr", "add", address, "dev", "lo"], check=False)
    with open(EXAMPLE, encoding="utf-8") as file:
        text = re.sub(r"^# (?=(allow|deny|[0-9.:]+ +[0-9]+))", "", file.read(), flags=re.MULTILINE)
    text = re.sub(r"^(0\.0\.0\.0 +)80( +fe80)", r"\g<1>81\2", text, flags=re.MULTILINE)
    check(text.count("\n127.0.0.1 ") == 3 and "\nallow 192" in text, f"not uncommented: {text}")
    path = t.path("example.conf", text)
    opened = []
    for program in (rinetd(t), named(t, "rinetd")):
        forwarder = t.start([program, "-f", "-c", path])
        wait_until(lambda: len(listeners()) >= 5, f"{program}: {forwarder.err()}")
        time.sleep(0.2)
        opened.append(listeners())
        stop(forwarder)
    check_equal(sorted(opened[1]), sorted(opened[0]), "listeners")


class Comparison:
    """The same rules and clients through Debian's rinetd and through ours."""

    def __init__(self, t, common):
        self.t = t
        self.server = t.serve(self.answer)
        self.six = t.serve(self.answer, host="::1")
        self.datagrams = UdpServer(t)
        self.ports = [t.port() for _ in range(6)]
        basic, six, service, denied, allowed, udp = self.ports
        target = f"127.0.0.1 {self.server.port}"
        self.log = t.path("rinetd.log")
        # A tab, several spaces, a name, a service, options and scopes.
        self.text = (f"deny 127.0.0.66\n127.0.0.1 {basic} {target}\n"
                     f"::1\t{six}   ::1 {self.six.port}\n"
                     f"localhost {service}/tcp localhost {self.server.port}/tcp  [timeout=3600]\n"
                     f"127.0.0.1 {denied} {target}\ndeny 127.0.0.?\n"
                     f"127.0.0.1 {allowed} {target} # comment\nallow 10.0.0.1\nallow 127.0.0.2\n"
                     f"127.0.0.1 {udp}/udp 127.0.0.1 {self.datagrams.port}/udp [timeout=60]\n"
                     f"logfile {self.log}\npidlogfile {t.path('rinetd.pid')}\n"
                     + ("logcommon\n" if common else ""))

    @staticmethod
    def answer(connection):
        data = connection.recv(100)
        connection.sendall(data * 2)
        if data != b"server ends":
            connection.recv(1)

    def run(self, program):
        """The lines of the log, without times."""
        path = self.t.path("rinetd.conf", self.text)
        forwarder = self.t.start([program, "-f", "-c", path],
                                 [place_of(port) for port in self.ports[:5]])
        outcomes = list(self.clients())
        time.sleep(0.3)
        with open(self.log, encoding="utf-8") as file:
            lines = file.read().splitlines()
        forwarder.child.kill()
        forwarder.child.wait()
        os.unlink(self.log)
        date = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d( | {2}[+-]\d{4})"
        check(all(re.search(date, line) for line in lines), f"{program}: a line without a date")
        return [re.sub(date, "TIME", line) for line in lines], outcomes

    def session(self, port, data, host="127.0.0.1", source=None):
        client = None
        try:
            client = self.t.connect(port, host, source=source, timeout=3)
            client.sendall(data)
            got = client.recv(100)
            if data == b"server ends" and got:
                read_exactly(client, len(data) * 2 - len(got))
                how_it_ends(client)
        except ConnectionError:
            got = b""
        if client:
            client.close()
        time.sleep(0.15)  # One line after the other.
        return got

    def clients(self):
        basic, six, service, denied, allowed, udp = self.ports
        yield self.session(basic, b"hello")
        yield self.session(basic, b"server ends")
        yield self.session(six, b"over six", "::1")
        yield self.session(service, b"by name")
        yield self.session(denied, b"x")
        yield self.session(allowed, b"x")
        yield self.session(allowed, b"x", source="127.0.0.2")
        yield self.session(basic, b"x", source="127.0.0.66")
        self.t.udp_client(udp).send(b"datagram")
        time.sleep(0.15)


def mended(line, common):
    """rinetd names a refusal by the entry behind the right one."""
    if common:
        return line.replace("/denied ", "/not-allowed ").replace("/(null) ", "/denied ")
    return re.sub(r"\(null\)$", "denied", re.sub(r"denied$", "not-allowed", line))


def compare(t, common):
    comparison = Comparison(t, common)
    theirs, their_outcomes = comparison.run(rinetd(t))
    ours, our_outcomes = comparison.run(named(t, "rinetd"))
    check_equal(our_outcomes, their_outcomes, "what clients got")
    for mine, wanted in zip(ours, [mended(line, common) for line in theirs]):
        if "/udp" not in mine and str(comparison.ports[5]) not in mine:
            check_equal(mine, wanted, "a line")
    check_equal(len(ours), len(theirs), "lines")
    check_equal(ours[-1].rpartition("opened")[1], "opened", "the UDP session's line")


def test_rinetd_same_log_lines(t):
    compare(t, False)


def test_rinetd_same_log_lines_in_common_form(t):
    compare(t, True)


def test_rinetd_daemonises_and_writes_its_pid(t):
    own_folders(t)
    server = t.serve()
    port = t.port()
    path = t.path("rinetd.conf", f"127.0.0.1 {port} 127.0.0.1 {server.port}\n")
    forwarder = t.start([named(t, "rinetd"), "-c", path])
    check_equal(forwarder.wait(), 0, "exit status of the first process")
    check_equal(t.ask(port), b"ping", "the daemon, at once")
    with open("/var/run/rinetd.pid", encoding="ascii") as file:
        pid = int(file.read())
    check(processes.is_alive(pid), "the pid file names no process")
    text = f"127.0.0.1 {port + 500} 127.0.0.1 {server.port}\n"
    t.replace(path, text)
    os.kill(pid, signal.SIGHUP)
    t.wait_for(t.start(["sleep", "60"]), f"tcp:{port + 500}")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists("/var/run/rinetd.pid"), "the pid file is left")


def test_rinetd_options(t):
    program = named(t, "rinetd")
    for option, words in (("-h", "usage"), ("--help", "usage"), ("-v", "rinetd"),
                          ("--version", "rinetd")):
        done = subprocess.run([program, option], capture_output=True, text=True, timeout=10,
                              check=False)
        check_equal(done.returncode, 0, f"exit status of {option}")
        check(words in (done.stdout + done.stderr).lower(), f"{option}: {done.stdout}")
    server = t.serve()
    port = t.port()
    path = t.path("other.conf", f"127.0.0.1 {port} 127.0.0.1 {server.port}\n")
    t.start([program, "--foreground", "--conf-file", path], [f"tcp:{port}"])
    check_equal(t.ask(port), b"ping", "with long options")


def test_rinetd_port_80_tcp_to_8000_udp(t):
    """A line that crosses protocols, and a service's name."""
    server = UdpServer(t)
    path = t.path("rinetd.conf", f"127.0.0.1 http/tcp 127.0.0.1 {server.port}/udp\n")
    t.start([named(t, "rinetd"), "-f", "-c", path], ["tcp:80"])
    client = t.connect(80)
    client.sendall(b"over")
    check_equal(client.recv(10), b"over", "tcp to udp")


def oi(t, text, name="oi.toml"):
    return t.start([named(t, "oi"), "--config", t.path(name, text)])


def oi_rule(port, target, protocol="tcp", address="127.0.0.1"):
    return (f'[[forwarding_rules]]\nbind_address = "{address}"\nbind_port = {port}\n'
            f'connect_address = "127.0.0.1"\nconnect_port = {target}\nprotocol = "{protocol}"\n')


def test_oi_runs_its_toml_and_says_its_lines(t):
    server, datagrams = t.serve(), UdpServer(t)
    one, two = t.port(), t.port()
    forwarder = oi(t, oi_rule(one, server.port) + oi_rule(two, datagrams.port, "udp"))
    t.wait_for(forwarder, f"tcp:{one}")
    t.wait_for(forwarder, f"udp:{two}")
    check_equal(t.ask(one), b"ping", "its TCP rule")
    check_equal(ask(t.udp_client(two), b"x"), b"x", "its UDP rule")
    forwarder.send_signal(signal.SIGINT)
    check_equal(forwarder.wait(), 0, "exit status after SIGINT")
    said = forwarder.out().splitlines()
    wanted = ["Loaded 2 forwarding rules",
              f"Starting TCP forwarding from 127.0.0.1:{one} to 127.0.0.1:{server.port}",
              f"Starting UDP forwarding from 127.0.0.1:{two} to 127.0.0.1:{datagrams.port}",
              "Received Ctrl+C, shutting down...", "Shutting down...",
              "Server shut down successfully"]
    check_equal(said, wanted, "standard output")


def test_oi_error_of_the_file(t):
    for text in ("nonsense", "", '[[forwarding_rules]]\nbind_port = "many"\n'):
        forwarder = oi(t, text)
        check_equal(forwarder.wait(), 1, f"exit status with {text!r}")
        check("Error loading config: " in forwarder.err() + forwarder.out(),
              f"it said {forwarder.err()!r} {forwarder.out()!r}")
    forwarder = t.start([named(t, "oi"), "-c", "/nonexistent.toml"])
    check_equal(forwarder.wait(), 1, "exit status without a file")


def test_oi_empty_rules_and_unknown_keys(t):
    forwarder = oi(t, "forwarding_rules = []\nunknown = 1\n")
    wait_until(lambda: "Loaded 0 forwarding rules" in forwarder.out(), "it does not run")
    time.sleep(0.2)
    check(forwarder.child.poll() is None, "it ended without rules")
    check("oi.toml:2" in forwarder.err(), f"no warning of the key: {forwarder.err()}")


def test_oi_bad_bind_address_is_skipped(t):
    server = t.serve()
    good = t.port()
    forwarder = oi(t, oi_rule(t.port(), server.port, address="192.0.2.77")
                   + oi_rule(good, server.port))
    t.wait_for(forwarder, f"tcp:{good}")
    check_equal(t.ask(good), b"ping", "the good rule")
    check("192.0.2.77" in forwarder.err() + forwarder.out(), "the bad one is not reported")


def test_oi_ends_within_10_s_while_active(t):
    """SIGINT with an open connection: oi's promise is ten seconds."""
    server = t.serve()
    port = t.port()
    forwarder = oi(t, oi_rule(port, server.port))
    t.wait_for(forwarder, f"tcp:{port}")
    client = t.connect(port)
    client.sendall(b"x")
    read_exactly(client, 1)
    started = time.monotonic()
    forwarder.send_signal(signal.SIGINT)
    check_equal(forwarder.wait(12), 0, "exit status")
    check(time.monotonic() - started < 10, "it took longer than ten seconds")


def test_oi_reads_rinetds_form_too(t):
    server = t.serve()
    port = t.port()
    path = t.path("rules.conf", f"127.0.0.1 {port}/tcp 127.0.0.1 {server.port}/tcp [timeout=9]\n"
                                f"logfile {t.path('log')}\n")
    t.start([named(t, "oi"), "-c", path], [f"tcp:{port}"])
    check_equal(t.ask(port), b"ping", "a line with options behind a port with a protocol")
