"""Called as slirp4netns: started, asked and ended as its users do it, beside the real one."""

import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from harness import GUEST_PRELUDE, PYTHON, check, check_equal, echo, finish, processes, v4_only

REAL = "/usr/bin/slirp4netns"
HOLD = ["unshare", "--user", "--map-root-user", "--net", "sleep", "600"]
LIST = b'{"execute":"list_hostfwd"}'


def add(arguments):
    return b'{"execute":"add_hostfwd","arguments":{%b}}' % arguments


def remove(number):
    return b'{"execute":"remove_hostfwd","arguments":{"id":%d}}' % number


def error(what):
    return b'{"error":{"desc":"bad request: %b"}}' % what


class Slirp:
    """A namespace of an ordinary user, and slirp4netns for it: ours, or the one at `program`."""

    def __init__(self, t, *options, program=None, descriptors=(), configure=True, target=None):
        self.t = t
        self.holder = t.net.popen(t.net.hst, HOLD, True)
        self.process = processes.wait_until(self._inside, 10, "no process in a namespace")
        self.socket = f"{t.folder}/{self.process}.sock"
        ready, told = os.pipe()
        words = ["-c"] if configure else []
        self.child = t.net.popen(
            t.net.hst, [program or called_slirp4netns(t), *words, f"--ready-fd={told}",
                        f"--api-socket={self.socket}", *options,
                        *(target(self) if target else [str(self.process)]), "tap0"],
            True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[told, *descriptors])
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

    def serve(self, code, *arguments):
        """A server in the namespace, once it has printed a line."""
        server = self.t.net.popen(self.t.net.hst, self.command(
            PYTHON, "-uc", GUEST_PRELUDE + code, *map(str, arguments)), True,
            stdout=subprocess.PIPE)
        check_equal(server.stdout.readline(), b"up\n", "a server in the namespace")

    def ask(self, request, end=True):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket)  # Waits for its turn, as with a limit of time it would not.
            client.settimeout(10)
            client.sendall(request)
            if end:
                client.shutdown(socket.SHUT_WR)
            return read_answer(client)


def read_answer(client):
    answer = b""
    try:
        while data := client.recv(65536):
            answer += data
    except ConnectionResetError:  # What it did not read of a request that is too long.
        pass
    return answer


def called_slirp4netns(t):
    path = f"{t.folder}/slirp4netns"
    if not os.path.exists(path):
        os.symlink(os.path.realpath(t.path), path)
    return path


def engine_of(slirp):
    """The process that serves: the parent of all others of ours."""
    return next(pid for pid in processes.descendants(slirp.child.pid)
                if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(slirp.t.path))


needs_the_real_one = pytest.mark.skipif(not shutil.which(REAL), reason=f"no {REAL}")

TCP_SERVER = """
listener = socket.create_server((args[0], 80)); print("up")
while True:
    client, _ = listener.accept(); client.sendall(b"guest"); client.close()
"""
UDP_SERVER = """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((args[0], 81)); print("up")
while True:
    data, peer = s.recvfrom(100); s.sendto(data.upper(), peer)
"""


def tcp_from_host(t, port, address="10.0.0.1"):
    """What a client in hst reads there, or the name of the error."""
    code = ("try: s = connect(args[0], args[1], 5); print(s.recv(99).decode())\n"
            "except OSError as e: print(errno.errorcode.get(e.errno, e))")
    done = t.net.run(t.net.hst, [PYTHON, "-c", GUEST_PRELUDE + code, address, str(port)])
    return done.stdout.strip()


@v4_only
@pytest.mark.parametrize("configure", [True, False], ids=["configured", "by-hand"])
def test_the_namespace_is_on_the_network(t, configure):
    t.listen(7000, echo)
    slirp = Slirp(t, configure=configure)
    if not configure:
        check("state DOWN" in slirp.run("ip", "-o", "link", "show", "tap0"), "tap0 is up already")
        slirp.run("sh", "-ec", "ip link set lo up; ip addr add 10.0.2.100/24 dev tap0; "
                  "ip link set tap0 up; ip route add default via 10.0.2.2")
    addresses = slirp.run("ip", "-o", "addr", "show", "tap0")
    check("10.0.2.100/24" in addresses, addresses)
    check("default via 10.0.2.2" in slirp.run("ip", "route"), "no default route")
    check("mtu 1500" in slirp.run("ip", "link", "show", "tap0"), "another MTU")
    code = "s = connect(args[0], 7000); s.sendall(b'x' * 9999); print(len(s.recv(9999)) > 0)"
    check_equal(slirp.python(code, t.srv), "True\n", "a connection")


def answer_dns(server):
    """A for whatever is asked: 192.0.2.77."""
    while True:
        try:
            question, peer = server.recvfrom(512)
        except OSError:
            return
        end = question.index(b"\0", 12) + 5
        head = question[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)
        answer = b"\xc0\x0c" + struct.pack("!2HIH4B", 1, 1, 60, 4, 192, 0, 2, 77)
        server.sendto(head + question[12:end] + answer, peer)


ASK_DNS = """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(float(args[1]))
s.sendto(bytes.fromhex("1234010000010000000000000161047465737400") + b"\\0\\1\\0\\1", (args[0], 53))
try: print(socket.inet_ntoa(s.recv(512)[-4:]))
except OSError as e: print("none")
"""


@v4_only
def test_names_are_answered_unless_told_otherwise(t):
    t.net.resolver(t.net.hst, f"nameserver {t.srv}\n")
    threading.Thread(target=answer_dns, args=[t.udp(53)], daemon=True).start()
    check_equal(Slirp(t).python(ASK_DNS, "10.0.2.3", 10), "192.0.2.77\n", "an answer")
    check_equal(Slirp(t, "--disable-dns").python(ASK_DNS, "10.0.2.3", 1), "none\n", "an answer")


@v4_only
def test_the_hosts_loopback_is_behind_the_gateway_unless_told_otherwise(t):
    t.listen(7001, echo, name=t.net.hst, address="127.0.0.1")
    t.listen(7002, echo, name=t.net.hst, address=t.hst)
    code = "print(outcome('10.0.2.2', 7001)[0], outcome(args[0], 7002)[0])"
    check_equal(Slirp(t).python(code, t.hst), "ok ok\n", "loopback, and an address of the host")
    without = Slirp(t, "--disable-host-loopback").python(code, t.hst).split()
    check(without[0] != "ok", "loopback is reached")
    check_equal(without[1], "ok", "an address of the host")


@v4_only
def test_another_network_mtu_and_mac(t):
    t.listen(7000, echo)
    slirp = Slirp(t, "--cidr=10.0.9.0/24", "--mtu=65520", "--macaddress=02:00:00:00:00:07",
                  "--enable-sandbox", "--enable-seccomp", f"--outbound-addr={t.hst}")
    link = slirp.run("ip", "link", "show", "tap0")
    check("mtu 65520" in link and "02:00:00:00:00:07" in link, link)
    check("10.0.9.100/24" in slirp.run("ip", "addr", "show", "tap0"), "another address")
    check_equal(slirp.python("print(outcome(args[0], 7000)[0])", t.srv), "ok\n", "a connection")
    check_equal(slirp.ask(add(b'"proto":"tcp","host_port":8080,"guest_port":80')),
                b'{"return":{"id":1}}', "a forward")
    check(b'"guest_addr":"10.0.9.100"' in slirp.ask(LIST), "another guest")


@pytest.mark.parametrize("family", [6], ids=["v6"])
def test_ipv6_on_request(t):
    t.listen(7000, echo)
    slirp = Slirp(t, "-6")
    check("fd00::100/64" in slirp.run("ip", "addr", "show", "tap0"), "no address")
    check_equal(slirp.python("print(outcome(args[0], 7000)[0])", t.srv), "ok\n", "a connection")
    without = Slirp(t)
    check("fd00" not in without.run("ip", "addr", "show", "tap0"), "an address nobody asked for")


@v4_only
def test_it_ends_as_told(t):
    until, held = os.pipe()
    slirp = Slirp(t, f"--exit-fd={until}", descriptors=[until])
    os.close(until)
    time.sleep(0.2)
    check(slirp.child.poll() is None, "it ended by itself")
    os.close(held)
    status, _, said = finish(slirp.child)
    check_equal(status, 0, f"exit status: {said}")
    # One of packet sockets goes with a namespace, which the kernel clears up by and by.
    processes.wait_until(lambda: "tap0" not in slirp.run("ip", "-o", "link"), 10,
                         "the interface is left")
    check(not os.path.exists(slirp.socket), "its socket is left")

    killed = Slirp(t)
    os.kill(engine_of(killed), signal.SIGKILL)
    processes.wait_until(lambda: not os.path.exists(killed.socket), 10, "its socket is left")


@v4_only
def test_a_namespace_by_its_path(t):
    t.listen(7000, echo)
    slirp = Slirp(t, "--netns-type=path", target=lambda made: [
        f"--userns-path=/proc/{made.process}/ns/user", f"/proc/{made.process}/ns/net"])
    check_equal(slirp.python("print(outcome(args[0], 7000)[0])", t.srv), "ok\n", "a connection")


@v4_only
def test_forwards_come_and_go(t):
    slirp = Slirp(t)
    slirp.serve(TCP_SERVER, "10.0.2.100")
    slirp.serve(UDP_SERVER, "10.0.2.100")
    check_equal(tcp_from_host(t, 18080), "ECONNREFUSED", "before")
    tcp = b'"proto":"tcp","host_addr":"0.0.0.0","host_port":18080,"guest_addr":"10.0.2.100",' \
          b'"guest_port":80'
    udp = b'"proto":"udp","host_addr":"127.0.0.1","host_port":18081,"guest_port":81'
    check_equal(slirp.ask(add(tcp)), b'{"return":{"id":1}}', "add")
    check_equal(slirp.ask(add(udp)), b'{"return":{"id":2}}', "add")
    check_equal(slirp.ask(LIST),
                b'{"entries":[{"id":1,"proto":"tcp","host_addr":"0.0.0.0","host_port":18080,'
                b'"guest_addr":"10.0.2.100","guest_port":80},{"id":2,"proto":"udp",'
                b'"host_addr":"127.0.0.1","host_port":18081,"guest_addr":"10.0.2.100",'
                b'"guest_port":81}]}', "list")
    check_equal(tcp_from_host(t, 18080), "guest", "through the forward")
    code = ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10);"
            "s.sendto(b'abc', ('127.0.0.1', 18081)); print(s.recv(99).decode())")
    done = t.net.run(t.net.hst, [PYTHON, "-c", GUEST_PRELUDE + code])
    check_equal(done.stdout, "ABC\n", "a datagram")
    check_equal(slirp.ask(remove(1)), b'{"return":{}}', "remove")
    check_equal(tcp_from_host(t, 18080), "ECONNREFUSED", "after")
    check_equal(slirp.ask(remove(1)), error(b"remove_hostfwd: bad arguments.id"), "once more")
    check_equal(slirp.ask(add(tcp)), b'{"return":{"id":3}}', "add again")
    check_equal(tcp_from_host(t, 18080), "guest", "through the forward")


@v4_only
def test_a_forward_reaches_a_guest_that_never_spoke(t):
    slirp = Slirp(t, configure=False)
    slirp.run("sh", "-ec", "ip link set lo up; ip addr add 10.0.2.100/24 dev tap0; "
              "ip link set tap0 up; ip route add default via 10.0.2.2")
    slirp.serve(TCP_SERVER, "10.0.2.100")
    slirp.ask(add(b'"proto":"tcp","host_port":18080,"guest_port":80'))
    check_equal(tcp_from_host(t, 18080), "guest", "through the forward")


@v4_only
def test_a_forward_to_another_address_of_the_guest(t):
    slirp = Slirp(t)
    slirp.run("ip", "addr", "add", "10.0.2.101/24", "dev", "tap0")
    slirp.serve(TCP_SERVER, "10.0.2.101")
    slirp.ask(add(b'"proto":"tcp","host_port":18080,"guest_port":80,"guest_addr":"10.0.2.101"'))
    check_equal(tcp_from_host(t, 18080), "guest", "through the forward")


# In this order: numbers of forwards go on.
SAME = [
    LIST,
    add(b'"proto":"tcp","host_addr":"0.0.0.0","host_port":18080,"guest_addr":"10.0.2.100",'
        b'"guest_port":80'),
    add(b'"proto":"tcp","host_port":18080,"guest_port":80'),
    add(b'"proto":"udp","host_port":18081,"guest_port":81'),
    add(b'"proto":"TCP","host_port":18082,"guest_port":81'),
    add(b'"proto":"sctp","host_port":18082,"guest_port":81'),
    add(b'"proto":"tcp","host_addr":"foo","host_port":18082,"guest_port":81'),
    add(b'"proto":"tcp","host_addr":"","host_port":18082,"guest_port":81'),
    add(b'"proto":"tcp","host_addr":5,"host_port":18083,"guest_port":81'),
    add(b'"proto":"tcp","host_addr":"::1","host_port":18084,"guest_port":81'),
    add(b'"proto":"tcp","host_addr":"010.0.0.1","host_port":18084,"guest_port":81'),
    add(b'"proto":"tcp","host_addr":"203.0.113.99","host_port":18084,"guest_port":81'),
    add(b'"proto":"tcp","guest_addr":"foo","host_port":18084,"guest_port":81'),
    add(b'"proto":"tcp","guest_addr":null,"host_addr":null,"host_port":1e4,"guest_port":82'),
    add(b'"proto":"tcp","guest_port":81'),
    add(b'"proto":"tcp","host_port":0,"guest_port":81'),
    add(b'"proto":"tcp","host_port":0.5,"guest_port":81'),
    add(b'"proto":"tcp","host_port":"18084","guest_port":81'),
    add(b'"proto":"tcp","host_port":18085.7,"guest_port":81.9'),
    add(b'"proto":"tcp","host_port":18086'),
    add(b'"proto":"tcp","host_port":18086,"guest_port":0'),
    add(b'"proto":"tcp","host_port":18087,"guest_port":82,"guest_addr":"10.0.2.101"'),
    add(b'"proto":"tcp","host_port":18088,"guest_port":82,"guest_addr":"0.0.0.0"'),
    add(b'"proto":"tcp","host_addr":"127.0.0.1","host_port":18089,"guest_port":82'),
    add(b'"proto":"tcp","host_addr":"127.0.0.2","host_port":18089,"guest_port":82'),
    add(b'"proto":"tcp","host_port":18089,"guest_port":82'),
    add(b'"proto":"x","host_addr":"x","host_port":0,"guest_addr":"x","guest_port":0'),
    add(b'"proto":"tcp","host_addr":"1.1.1.1","host_port":5,"guest_addr":"x","guest_port":0'),
    LIST,
    b'{"execute":"remove_hostfwd"}', b'{"execute":"remove_hostfwd","arguments":{}}',
    b'{"execute":"remove_hostfwd","arguments":{"id":"1"}}',
    b'{"execute":"remove_hostfwd","arguments":{"id":2.7}}',
    remove(0), remove(-1), remove(99), remove(1), remove(1), LIST,
    add(b'"proto":"tcp","host_port":18080,"guest_port":80'), LIST,
    b'{"execute":"list_hostfwd","arguments":7}', b'{"execute":"nonsense"}',
    b'{"execute":"LIST_HOSTFWD"}', b'{"execute":5}', b'{"execute":null}', b"{}", b"[]", b"5",
    b'"x"', b"null", b"", b" ", b"\n", b"{", b"garbage", b'{"execute":"list_hostfwd"',
    LIST + b"\n", LIST + b" garbage", LIST + LIST, b'{"execute":"list_hostfwd",}',
    b'{"execute":"list\\u005fhostfwd"}', b"\xef\xbb\xbf" + LIST, b"\x00\x01\xff\xfe", LIST + b"\0",
    b'{"execute":"list_hostfwd","x":"\xff"}',
    b'{"execute":"list_hostfwd","execute":"list_hostfwd"}',
    b'{"execute":"list_hostfwd","x":01}', b'{"execute":"list_hostfwd","x":1e999}',
    b'{"execute":"list_hostfwd","x":"\\ud800"}', b'{"execute":"list_hostfwd","x":"\n"}',
    *(b'{"execute":"list_hostfwd","x":"%b"}' % (b"a" * (size - 33))
      for size in (4094, 4095, 4096, 4097, 9000)),
    b'{"execute":"list_hostfwd","x":' + b"[" * 1500 + b"]" * 1500 + b"}",
    b'{"execute":"list_hostfwd","x":' + b"[" * 3000 + b"}",
]


@v4_only
@needs_the_real_one
def test_its_answers_are_those_of_the_real_one(t):
    # Each in a network of its own, so that both can have the same ports.
    real = Slirp(t, program=REAL)
    theirs = [real.ask(request) for request in SAME]
    t.net.stop(real.child)
    ours = Slirp(t)
    for request, wanted in zip(SAME, theirs):
        check_equal(ours.ask(request), wanted, repr(request[:200]))


# Each of these ends the real one by SIGSEGV.
CRASHES = [
    add(b'"host_port":18080,"guest_port":80'),
    add(b'"proto":5,"host_port":18080,"guest_port":80'),
    b'{"execute":"add_hostfwd"}',
    b'{"execute":"add_hostfwd","arguments":[]}',
    b'{"execute":"add_hostfwd","arguments":5}',
]


@v4_only
@needs_the_real_one
def test_what_crashes_the_real_one_is_answered(t):
    real = Slirp(t, program=REAL)
    check_equal(real.ask(CRASHES[0]), b"", "its answer")
    processes.wait_until(lambda: real.child.poll() is not None, 10, "the real one lives on")
    ours = Slirp(t)
    for request in CRASHES:
        check_equal(ours.ask(request), error(b"add_hostfwd: bad arguments.proto"), repr(request))
    # The real one opens another port than was asked for, and says that all is well.
    for port in (b"-1", b"65536", b"70000"):
        check_equal(ours.ask(add(b'"proto":"tcp","guest_port":80,"host_port":' + port)),
                    error(b"add_hostfwd: bad arguments.host_port"), repr(port))
    check_equal(ours.ask(add(b'"proto":"tcp","guest_port":80,"host_port":1,'
                             b'"guest_addr":"8.8.8.8"')),
                error(b"add_hostfwd: bad arguments.guest_addr"), "outside of the network")
    check_equal(ours.ask(LIST), b'{"entries":[]}', "list")


@v4_only
def test_nobody_waits_for_a_client(t):
    t.listen(7000, echo)
    slirp = Slirp(t)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(6)]
    for client in clients:
        client.connect(slirp.socket)
        client.settimeout(20)
    clients[1].sendall(b'{"execute":')
    check_equal(slirp.ask(LIST), b'{"entries":[]}', "another one meanwhile")
    check_equal(slirp.ask(LIST, end=False), b'{"entries":[]}', "one who does not end")
    check_equal(slirp.python("print(outcome(args[0], 7000)[0])", t.srv), "ok\n", "a connection")
    # In two parts it is the same request; the real one has it for none.
    clients[2].sendall(LIST[:9])
    time.sleep(0.2)
    clients[2].sendall(LIST[9:])
    check_equal(read_answer(clients[2]), b'{"entries":[]}', "in two parts")
    check_equal(read_answer(clients[1]), error(b"cannot parse JSON"), "half of one")
    check_equal(read_answer(clients[0]), b"", "nothing")
    for client in clients:
        client.close()
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(slirp.socket)
            client.send(b"{")
    check_equal(slirp.ask(LIST), b'{"entries":[]}', "after many who left")


@v4_only
def test_its_socket_is_its_owners(t):
    slirp = Slirp(t)
    mode = os.stat(slirp.socket)
    check(stat.S_ISSOCK(mode.st_mode), "no socket")
    check_equal(stat.S_IMODE(mode.st_mode), 0o600, "its mode")
    second = t.net.run(t.net.hst, [called_slirp4netns(t), "-c", f"--api-socket={slirp.socket}",
                                   str(slirp.process), "tap1"], True)
    check_equal(second.returncode, 1, "exit status of a second one")
    check("--api-socket: cannot listen" in second.stderr, second.stderr)
    check_equal(slirp.ask(LIST), b'{"entries":[]}', "the first one")


@v4_only
def test_people_see_its_forwards(t):
    slirp = Slirp(t)
    slirp.ask(add(b'"proto":"tcp","host_port":18080,"guest_port":80'))

    def ctl(*words):
        engine = engine_of(slirp)
        runs = t.net.run(t.net.hst, [t.path, "ctl"], True).stdout
        run = next((line.split()[0] for line in runs.splitlines() if str(engine) in line), None)
        check(run, f"no run of {engine}: {runs}")
        return t.net.run(t.net.hst, [t.path, "ctl", run, *words], True)

    check("0.0.0.0:18080:80" in ctl("published").stdout, "it is not shown")
    check_equal(ctl("unpublish", "0.0.0.0:18080:80").returncode, 0, "taken away")
    check_equal(slirp.ask(LIST), b'{"entries":[]}', "list")


@v4_only
def test_mistakes_are_said(t):
    def refused(*words):
        done = t.net.run(t.net.hst, [called_slirp4netns(t), *words], True)
        check_equal(done.returncode, 1, f"exit status of {words}: {done.stderr}")
        check_equal(done.stdout, "", f"what {words} prints")
        return done.stderr

    for words, wanted in (([], "expected PID and TAPNAME"),
                          (["-e", "77", "1", "tap0"], "77 is not open"),
                          (["99999999", "tap0"], "99999999"),
                          (["--outbound-addr=nothere", "1", "tap0"], "no interface 'nothere'"),
                          (["--netns-type=path", "/nonexistent", "tap0"], "/nonexistent"),
                          (["--bogus", "1", "tap0"], "bogus")):
        said = refused(*words)
        check(wanted in said, f"{words}: {said}")
    for word in ("--help", "--version"):
        done = t.net.run(t.net.hst, [called_slirp4netns(t), word], True)
        check_equal((done.returncode, done.stderr), (0, ""), word)
        check("slirp4netns" in done.stdout, done.stdout)
