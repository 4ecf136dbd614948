"""Called as pasta: started, left behind and ended as Podman, rootlesskit and people do it with it.

With --engine pasta most of them run over pasta itself: what fails there too is the test's fault.
"""

import contextlib
import os
import signal
import subprocess
import uuid

import pytest

from harness import (ENVIRONMENT, GATEWAY, GUEST_PRELUDE, LOOPBACK, PYTHON, check, check_equal,
                     each_family, echo, processes, v4_only)
from test_dns import Resolver

as_pasta = pytest.mark.engines("pasta")

HOLD = ["unshare", "--user", "--map-root-user", "--net", "sleep", "600"]
# The network that ours has by default, so that pasta has the same; no port is led anywhere.
NETWORK = ["-I", "eth0", "-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "-4"]
NO_PORTS = ["-t", "none", "-u", "none", "-T", "none", "-U", "none"]
PLAIN = ["--config-net", "--no-map-gw", *NETWORK, *NO_PORTS]


class Pasta:
    """The program under test by the name of pasta, as an ordinary user of hst."""

    def __init__(self, t):
        self.t = t
        self.program = t.path
        if t.engine == "sluice":
            self.program = t.file("pasta")
            os.symlink(t.path, self.program)
        self._left_behind = []

    def run(self, *words, nobody=True, **options):
        """To its end: of the process that was started, if one stays behind."""
        options.setdefault("env", ENVIRONMENT)
        return self.t.net.run(self.t.net.hst, [self.program, *map(str, words)], nobody, **options)

    def popen(self, *words, **options):
        return self.t.net.popen(self.t.net.hst, [self.program, *map(str, words)], True, **options)

    def start(self, *words, nobody=True):
        """In the background: the number of the process that serves."""
        pid_file = self.t.file(f"pid{len(self._left_behind)}")
        # It must not hold the pipes of who started it. (Debian's pasta does, without a terminal.)
        quiet = {} if self.t.engine == "sluice" else {"stdout": subprocess.DEVNULL,
                                                      "stderr": subprocess.DEVNULL}
        done = self.run("-P", pid_file, *words, nobody=nobody, **quiet)
        check_equal(done.returncode, 0, f"exit status of the start: {done.stderr}")
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        self._left_behind.append(pid)
        check(processes.is_alive(pid), "nobody serves")
        return pid

    def hold(self):
        """A process in namespaces of an ordinary user."""
        holder = self.t.net.popen(self.t.net.hst, HOLD, True)
        # On its way it is where this process is, and then in hst.
        outside = (None, os.stat(f"/run/netns/{self.t.net.hst}").st_ino,
                   os.stat("/proc/self/ns/net").st_ino)

        def inside():
            return next((pid for pid in processes.descendants(holder.pid)
                         if processes.net_namespace(pid) not in outside), None)

        return processes.wait_until(inside, 10, "no process in a namespace")

    def inside(self, process, *words):
        done = self.t.net.run(self.t.net.hst, [
            "nsenter", f"--target={process}", "--user", "--net", "--preserve-credentials",
            *map(str, words)], True)
        check_equal(done.returncode, 0, f"{' '.join(map(str, words))[-80:]}: {done.stderr}")
        return done.stdout

    def outcome(self, process, address, port):
        code = GUEST_PRELUDE + "print(outcome(*args)[0])"
        return self.inside(process, PYTHON, "-c", code, address, port).strip()

    def end_all(self):
        for pid in self._left_behind:
            if processes.is_alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def pasta(t):
    made = Pasta(t)
    yield made
    made.end_all()


def ends(pid):
    processes.wait_until(lambda: not processes.is_alive(pid), 20, f"process {pid} does not end")


@as_pasta
@v4_only
@pytest.mark.parametrize("command, status", [("exit 7", 7), ("exit 125", 125), ("true", 0)])
def test_the_status_is_the_commands(t, pasta, command, status):
    done = pasta.run(*PLAIN, "--", "sh", "-c", command)
    check_equal(done.returncode, status, f"exit status: {done.stderr}")


# In pasta it is process 1, which does not end by a signal of its own.
@v4_only
def test_a_command_may_end_by_a_signal(t, pasta):
    done = pasta.run(*PLAIN, "--", "sh", "-c", "kill -TERM $$")
    check_equal(done.returncode, 143, f"exit status: {done.stderr}")


@as_pasta
@v4_only
def test_a_command_is_root_in_a_namespace_of_its_own(t, pasta):
    t.listen(7000, echo)
    code = GUEST_PRELUDE + "print(os.getuid(), outcome(args[0], 7000)[0], args[1:])"
    done = pasta.run(*PLAIN, "--", PYTHON, "-c", code, t.srv, "-f", "--pid")
    check_equal(done.stdout, "0 ok ['-f', '--pid']\n", f"what it saw: {done.stderr}")


@each_family
def test_a_command_has_both_families(t, pasta):
    t.listen(7000, echo)
    t.listen(7002, echo, t.net.hst, LOOPBACK[t.family])
    code = GUEST_PRELUDE + "print([outcome(*word.split())[0] for word in args])"
    done = pasta.run("--config-net", PYTHON, "-c", code, f"{t.srv} 7000",
                     f"{GATEWAY[t.family]} 7002")
    check_equal(done.stdout, "['ok', 'ok']\n", f"connections: {done.stderr}")


@as_pasta
@v4_only
def test_without_a_command_it_is_the_shell(t, pasta):
    done = pasta.run(*PLAIN, input="ip -o addr show dev eth0; exit 5\n",
                     env={**ENVIRONMENT, "SHELL": "/bin/sh"})
    check_equal(done.returncode, 5, f"exit status: {done.stderr}")
    check("10.0.2.15/24" in done.stdout, done.stdout)


@as_pasta
@v4_only
def test_a_process_has_the_network_once_the_start_returns(t, pasta):
    t.listen(7000, echo)
    process = pasta.hold()
    pasta.start(*PLAIN, process)
    check_equal(pasta.outcome(process, t.srv, 7000), "ok", "a connection")


@as_pasta
@v4_only
def test_files_of_namespaces_are_served_in_the_foreground(t, pasta):
    t.listen(7000, echo)
    process = pasta.hold()
    child = pasta.popen("-f", *PLAIN, f"--netns=/proc/{process}/ns/net",
                        f"--userns=/proc/{process}/ns/user", stderr=subprocess.DEVNULL)
    processes.wait_until(lambda: pasta.outcome(process, t.srv, 7000) == "ok", 10, "no network")
    check(child.poll() is None, "it has gone to the background")
    os.kill(child.pid, signal.SIGTERM)
    check_equal(child.wait(20), 0, "exit status")


# That of 2023 serves it on, where it was named by a process.
@v4_only
@pytest.mark.parametrize("foreground", [["-f"], []], ids=["foreground", "background"])
def test_it_ends_with_the_namespace(t, pasta, foreground):
    process = pasta.hold()
    if foreground:
        child = pasta.popen("-f", *PLAIN, process, stderr=subprocess.DEVNULL)
        processes.wait_until(lambda: "eth0" in pasta.inside(process, "ip", "link"), 10,
                             "no network")
        os.kill(process, signal.SIGKILL)
        check_equal(child.wait(20), 0, "exit status")
        return
    serves = pasta.start(*PLAIN, process)
    os.kill(process, signal.SIGKILL)
    ends(serves)


@as_pasta
@v4_only
def test_told_to_end_it_leaves_the_namespace(t, pasta):
    process = pasta.hold()
    serves = pasta.start(*PLAIN, process)
    check("eth0" in pasta.inside(process, "ip", "-o", "link"), "no interface")
    os.kill(serves, signal.SIGTERM)
    ends(serves)
    processes.wait_until(lambda: "eth0" not in pasta.inside(process, "ip", "-o", "link"), 10,
                         "the interface is left")
    check(processes.is_alive(process), "the namespace's process is gone")


@as_pasta
@v4_only
def test_names_are_asked_for_where_dns_forward_says(t, pasta):
    Resolver(t)
    t.net.resolver(t.net.hst, f"nameserver {t.srv}\n")
    process = pasta.hold()
    pasta.start(*PLAIN, "--dns-forward", "169.254.1.1", process)
    said = pasta.inside(process, "dig", "+tries=2", "+time=4", "+short", "@169.254.1.1", "srv.test")
    check_equal(said, "10.0.0.2\n", "address of srv.test")


SERVE = """
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 80)); s.listen(8)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", 53))
print("up", flush=True)
for _ in range(2):
    c, _peer = s.accept()
    c.sendall(c.recv(100).upper()); c.close()
data, peer = u.recvfrom(100)
u.sendto(data.upper(), peer)
sys.stdin.readline()
"""


@as_pasta
@v4_only
def test_ports_lead_in(t, pasta):
    process = pasta.hold()
    pasta.start("--config-net", "--no-map-gw", *NETWORK, "-T", "none", "-U", "none",
                "-t", "10.0.1.1/8080:80,8443:80", "-u", "5353:53", process)
    server = t.net.popen(t.net.hst, [
        "nsenter", f"--target={process}", "--user", "--net", "--preserve-credentials", PYTHON,
        "-c", GUEST_PRELUDE + SERVE], True, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    check_equal(server.stdout.readline(), b"up\n", "the server")
    for port in (8080, 8443):
        client = t.connect_from(t.net.cli, "10.0.1.1", port)
        client.sendall(b"hello")
        check_equal(client.recv(100), b"HELLO", f"what came back from port {port}")
    client = t.udp(0, t.net.cli)
    client.sendto(b"hello", ("10.0.1.1", 5353))
    check_equal(client.recv(100), b"HELLO", "what came back by UDP")


@as_pasta
@v4_only
def test_without_config_net_the_interface_is_left_to_others(t, pasta):
    t.listen(7000, echo)
    process = pasta.hold()
    pasta.start("--no-map-gw", *NETWORK, *NO_PORTS, "--ns-mac-addr", "52:54:00:aa:bb:cc", process)
    link = pasta.inside(process, "ip", "-o", "addr", "show", "dev", "eth0")
    check("inet" not in link, f"it has an address: {link}")
    check("UP" not in pasta.inside(process, "ip", "-o", "link", "show", "dev", "eth0"), "it is up")
    check("UP" in pasta.inside(process, "ip", "-o", "link", "show", "dev", "lo"), "lo is down")
    pasta.inside(process, "sh", "-c", "ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && "
                 "ip route add default via 10.0.2.2")
    check_equal(pasta.outcome(process, t.srv, 7000), "ok", "a connection")


@as_pasta
@v4_only
def test_the_interface_is_as_was_said(t, pasta):
    done = pasta.run("--config-net", "--no-map-gw", *NETWORK, *NO_PORTS, "-m", "1400",
                     "--ns-mac-addr", "52:54:00:aa:bb:cc", "ip", "link", "show", "dev", "eth0")
    check("mtu 1400" in done.stdout and "52:54:00:aa:bb:cc" in done.stdout, done.stdout)
    done = pasta.run(*PLAIN, "ip", "link", "show", "dev", "eth0")
    check("mtu 65520" in done.stdout, f"{done.stdout}{done.stderr}")


@as_pasta
@v4_only
def test_what_is_wrong_ends_with_one(t, pasta):
    for words in (["--no-such-option"], ["-t", "nonsense", "true"], ["--one-off", "true"],
                  ["--netns", "no-such-namespace"], ["--log-file", "/no/such/folder/x", "true"],
                  ["4194300"], ["-4", "-6", "true"], [*PLAIN, "/no/such/command"]):
        done = pasta.run(*words)
        check_equal(done.returncode, 1, f"exit status of {words}: {done.stderr}")


@v4_only
def test_messages_say_what_to_do(t, pasta):
    def said(*words):
        done = pasta.run(*words)
        check_equal(done.returncode, 1, f"exit status of {words}")
        return done.stderr

    check("cannot write '/no/such/x'" in said("-P", "/no/such/x", "true"), "-P")
    check("expected none, auto, or ports" in said("-T", "lo/5432", "true"), "-T")
    check("passt alone" in said("--socket", "/tmp/x", "true"), "--socket")
    check("expected --netns or PID" in said("--fd", "5"), "--fd")
    check("one of them" in said("--netns", "x", "true"), "--netns and a command")
    done = pasta.run("-t", "auto", "true")
    check_equal(done.returncode, 0, "exit status with -t auto")
    check("not followed" not in done.stderr, f"-t auto: {done.stderr}")
    check_equal(pasta.run("true").stderr, "", "what is said without options")
    told = pasta.run("-d", "--no-copy-routes", "true").stderr
    check("differs from pasta: --no-copy-routes" in told and "tap0" in told, told)


# Podman 5, for a container of an ordinary user.
@v4_only
def test_as_podman_calls_it(t, pasta):
    t.listen(7000, echo)
    t.listen(7001, echo, t.net.hst, "10.0.0.1")
    t.listen(7002, echo, t.net.hst, "127.0.0.1")
    Resolver(t)
    t.net.resolver(t.net.hst, f"nameserver {t.srv}\n")
    process = pasta.hold()
    pasta.start("--config-net", "-t", "8080-8080:80-80", "--dns-forward", "169.254.1.1",
                "-u", "none", "-T", "none", "-U", "none", "--no-map-gw", "--quiet",
                "--netns", f"/proc/{process}/ns/net", "--map-guest-addr", "169.254.1.2")
    check_equal(pasta.outcome(process, t.srv, 7000), "ok", "a host of the network")
    check_equal(pasta.outcome(process, "169.254.1.2", 7001), "ok", "the host by its alias")
    check_equal(pasta.outcome(process, "169.254.1.3", 7001), "ECONNREFUSED", "another")
    check_equal(pasta.outcome(process, "10.0.2.2", 7002), "ECONNREFUSED", "the host's loopback")
    said = pasta.inside(process, "dig", "+tries=2", "+time=4", "+short", "@169.254.1.1", "srv.test")
    check_equal(said, "10.0.0.2\n", "address of srv.test")


# Its manual: what is as slirp4netns has it.
@v4_only
def test_as_podmans_manual_calls_it(t, pasta):
    t.listen(7002, echo, t.net.hst, "127.0.0.1")
    done = pasta.run("--config-net", "-I", "tap0", "--ipv4-only", "-a", "10.0.2.0", "-n", "24",
                     "-g", "10.0.2.2", "--dns-forward", "10.0.2.3", "-m", "1500", "--no-ndp",
                     "--no-dhcpv6", "--no-dhcp", PYTHON, "-c",
                     GUEST_PRELUDE + "print(outcome('10.0.2.2', 7002)[0])")
    check_equal(done.stdout, "ok\n", f"the host's loopback: {done.stderr}")


# rootlesskit with --net=pasta.
@v4_only
def test_as_rootlesskit_calls_it(t, pasta):
    t.listen(7000, echo)
    process = pasta.hold()
    pasta.start("--stderr", "--ns-ifname=tap0", "--mtu=65520", "--config-net",
                "--address=10.0.2.100", "--netmask=24", "--gateway=10.0.2.2",
                "--dns-forward=10.0.2.3", "--no-map-gw", "--ipv4-only", "--tcp-ports=none",
                "--udp-ports=none", process)
    check("10.0.2.100/24" in pasta.inside(process, "ip", "-o", "addr"), "its address")
    check_equal(pasta.outcome(process, t.srv, 7000), "ok", "a connection")


@v4_only
def test_root_becomes_nobody(t, pasta):
    # Not as those of other tests, which look for what is left of theirs.
    name = f"pasta-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    with contextlib.ExitStack() as closing:
        closing.callback(subprocess.run, ["ip", "netns", "delete", name],
                         stderr=subprocess.DEVNULL, check=False)
        t.listen(7000, echo)
        serves = pasta.start(*PLAIN, "--netns", name, nobody=False)
        check_equal(os.stat(f"/proc/{serves}").st_uid, 65534, "who serves")
        code = GUEST_PRELUDE + "print(outcome(args[0], 7000)[0])"
        done = subprocess.run(["ip", "netns", "exec", name, PYTHON, "-c", code, t.srv],
                              stdout=subprocess.PIPE, text=True, check=True)
        check_equal(done.stdout, "ok\n", "a connection")
        subprocess.run(["ip", "netns", "delete", name], check=True)
        ends(serves)
    done = pasta.run(*PLAIN, "sh", "-c", "id -u; cat /proc/self/uid_map", nobody=False)
    check_equal(done.stdout.split(), ["0", "0", "65534", "1"], f"who runs: {done.stderr}")
    done = pasta.run(*PLAIN, "--netns-only", "cat", "/proc/self/uid_map", nobody=False)
    check_equal(done.stdout.split(), ["0", "0", "4294967295"], f"with --netns-only: {done.stderr}")


# Podman of an ordinary user starts it within a user namespace, where nobody else may be known.
# (pasta of 2023 gives up the rights to join before it would.)
@v4_only
def test_root_of_a_container_stays(t, pasta):
    t.listen(7000, echo)
    pid_file = t.file("pid")
    script = """
unshare --net sleep 600 & held=$!
while [ $(readlink /proc/self/ns/net) = $(readlink /proc/$held/ns/net) ]; do sleep 0.1; done
"$@" --netns /proc/$held/ns/net >/dev/null 2>&1
echo $? $(nsenter --net=/proc/$held/ns/net $PYTHON -c "$CODE" $ADDRESS)
kill $held
"""
    done = t.net.run(t.net.hst, [
        "unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", pasta.program, *PLAIN,
        "-P", pid_file], True, env={
            **ENVIRONMENT, "PYTHON": PYTHON, "ADDRESS": t.srv,
            "CODE": GUEST_PRELUDE + "print(outcome(args[0], 7000)[0])"})
    check_equal(done.stdout, "0 ok\n", f"status and a connection: {done.stderr}")
    with open(pid_file, encoding="ascii") as file:
        ends(int(file.read()))


@v4_only
def test_it_stays_without_the_namespace_where_it_is_to(t, pasta):
    process = pasta.hold()
    serves = pasta.start(*PLAIN, "--no-netns-quit", process)
    os.kill(process, signal.SIGKILL)
    ends(process)
    check(not _ends_within(serves, 3), "it has ended with the namespace")
    os.kill(serves, signal.SIGTERM)
    ends(serves)


def _ends_within(pid, seconds):
    with contextlib.suppress(processes.LabError):
        processes.wait_until(lambda: not processes.is_alive(pid), seconds, "")
    return not processes.is_alive(pid)


@v4_only
def test_a_log_file_and_frames_are_kept(t, pasta):
    log, pcap = t.file("log"), t.file("frames.pcap")
    t.listen(7000, echo)
    process = pasta.hold()
    serves = pasta.start("-d", "-l", log, "-p", pcap, *PLAIN, process)
    check_equal(pasta.outcome(process, t.srv, 7000), "ok", "a connection")
    os.kill(serves, signal.SIGTERM)
    ends(serves)
    with open(log, encoding="utf-8") as file:
        check("differs from pasta" in file.read(), "the log says nothing")
    check(os.path.getsize(pcap) > 100, "no frames")
