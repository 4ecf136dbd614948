"""Rules that lead by a broker or a parent proxy: CONNECT and the PROXY protocol."""

import socket
import threading

import pytest

from harness import LOOPBACK, check, check_equal, each_family
from policy_world import World

PATHS = pytest.mark.parametrize("path", ["off", "require"], ids=["tap", "kernel"])


class Broker:
    """On the host's loopback: connects to the shared or ssh server of the world, whatever the name."""

    def __init__(self, t, world, kind="connect", answer=b"HTTP/1.1 200 OK\r\n\r\n"):
        self.asked = []
        self.answer = answer
        self.world, self.t, self.kind = world, t, kind
        t.listen(3128, self._serve, name=t.net.hst, address=LOOPBACK[t.family])
        self.text = f"{kind}:{'[::1]' if t.family == 6 else '127.0.0.1'}:3128"

    def _head(self, connection):
        if self.kind == "connect":
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            line = head.split(b"\r\n")[0].decode()
            name, port = line.split()[1].rsplit(":", 1)
            return name, int(port)
        head = connection.recv(16, socket.MSG_WAITALL)
        body = connection.recv(int.from_bytes(head[14:16], "big"), socket.MSG_WAITALL)
        size = 12 if head[13] >> 4 == 1 else 36
        port = int.from_bytes(body[size - 2:size], "big")
        tlvs = body[size:]
        check_equal(tlvs[0], 2, "the type of the TLV")
        return tlvs[3:3 + int.from_bytes(tlvs[1:3], "big")].decode(), port

    def _serve(self, connection):
        name, port = self._head(connection)
        self.asked.append((name, port))
        if self.kind == "connect":
            connection.sendall(self.answer)
            if b" 200 " not in self.answer:
                return
        where = self.world.place({"ssh.test": "ssh", "plain.test": "plain"}.get(name, "shared"))
        out = self.t.connect_from(self.t.net.hst, where, port)

        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=pump, args=(out, connection))
        back.start()
        pump(connection, out)
        back.join()
        out.close()


def policy(t, via, path="off"):
    return ["--policy", t.file("policy.toml", f"""version = 1
[[rule]]
id = "led"
allow = ["ok.test:443", "plain.test:80", "ssh.test:22"]
via = "{via}"
"""), f"--fast-path={path}"]


@PATHS
@pytest.mark.parametrize("kind", ["connect", "proxy"])
@each_family
def test_a_flow_is_led_by_its_broker(t, kind, path):
    world = World(t)
    broker = Broker(t, world, kind)
    options = policy(t, broker.text, path)
    done = world.curl("https://ok.test/", options=options)
    check_equal(done.stdout, "hello from shared as ok.test\n", done.stderr)
    done = world.curl("http://plain.test/", options=options)
    check_equal(done.stdout, "hello from plain\n", done.stderr)
    out = t.python("print(socket.create_connection(('ssh.test', 22), timeout=20).recv(100))",
                   options=options)
    check("SSH-2.0-tests" in out, out)
    check_equal(broker.asked, [("ok.test", 443), ("plain.test", 80), ("ssh.test", 22)], "asked for")
    done = world.curl("https://evil.test/", "-k", "--connect-to", "evil.test:443:ok.test:443",
                      options=options)
    check("access denied" in done.stderr, done.stderr)
    check_equal(len(broker.asked), 3, "what is refused is not asked for")


@each_family
def test_a_broker_that_is_down_or_says_no_is_never_gone_round(t):
    world = World(t)
    for broker in (None, Broker(t, world, answer=b"HTTP/1.1 403 Forbidden\r\n\r\n")):
        via = "connect:127.0.0.1:9" if broker is None else broker.text
        options = policy(t, via)
        done = world.curl("https://ok.test/", options=options)
        check(done.returncode != 0, done.stdout)
        done = world.curl("http://plain.test/", options=options)
        check("why:  via-failed" in done.stdout, done.stdout + done.stderr)
        out = t.python("""
try:
    s = socket.create_connection(("ssh.test", 22), timeout=20); print(s.recv(100))
except OSError as error:
    print(type(error).__name__)
""", options=options)
        check_equal(out.strip(), "ConnectionRefusedError", "SSH")
        check_equal((world.requests, world.first_bytes), ([], []), "what reached a server")
