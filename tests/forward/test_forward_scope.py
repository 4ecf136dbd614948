"""Link-local addresses, which name their interface: `[fe80::1%eth0]:80`, everywhere."""

import json
import signal
import socket
import subprocess

from forwarding import check, name_of, wait_until
from harness import check_equal

NEAR, FAR = "fe80::a", "fe80::b"


def interfaces(t):
    """Two, each with both addresses: only the interface tells them apart."""
    subprocess.run("ip link add near type veth peer name far".split(), check=True)
    for device in ("near", "far"):
        subprocess.run(f"ip link set {device} up".split(), check=True)
        for address in (NEAR, FAR):
            subprocess.run(f"ip addr add {address}/64 dev {device} nodad".split(), check=True)
    return {device: socket.if_nametoindex(device) for device in ("near", "far")}


def serves(forwarder):
    """Another listener may have the port already, on the other interface."""
    wait_until(lambda: "forwarding:" in forwarder.err(), "it does not serve")


def who(t, port, host):
    with t.connect(port, host) as client:
        return client.recv(100)


def servers(t):
    """One port, on each of the two interfaces."""
    port = t.port()
    for device in ("near", "far"):
        t.serve(lambda c, device=device: c.sendall(device.encode()) or c.recv(1),
                host=f"{FAR}%{device}", port=port)
    return port


def test_scope_on_the_command_line(t):
    index = interfaces(t)
    target, port = servers(t), t.port()
    log = t.path("log")
    serves(t.sluice(f"--log-file={log}", "--log-format=json",
                    f"[{NEAR}%near]:{port}", f"[{FAR}%near]:{target}",
                    f"[{NEAR}%far]:{port}", f"[{FAR}%{index['far']}]:{target}"))
    for device in ("near", "far"):
        check_equal(who(t, port, f"{NEAR}%{device}"), device.encode(), "the target reached")
    wait_until(lambda: open(log, encoding="utf-8").read().count("\n") >= 4, "lines in the log")
    with open(log, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    check_equal({(line["listen"], line["target"]) for line in lines},
                {(f"[{NEAR}%near]:{port}", f"[{FAR}%near]:{target}"),
                 (f"[{NEAR}%far]:{port}", f"[{FAR}%{index['far']}]:{target}")}, "places in the log")


def test_scope_in_every_kind_of_file(t):
    interfaces(t)
    target = servers(t)
    files = {
        "rinetd.conf": "{near}%near {port} {far}%far {target}\n",
        "new.toml": '[[forwarding_rules]]\nlisten = "[{near}%near]:{port}"\n'
                    'targets = ["[{far}%far]:{target}"]\nhealth = {{interval = "100ms"}}\n',
        "oi.toml": '[[forwarding_rules]]\nbind_address = "{near}%near"\nbind_port = {port}\n'
                   'connect_address = "{far}%far"\nconnect_port = {target}\n',
    }
    for name, text in files.items():
        port = t.port()
        text = text.format(near=NEAR, far=FAR, port=port, target=target)
        forwarder, _ = t.forward_file(text, name=name, ready=[port])
        check_equal(who(t, port, f"{NEAR}%near"), b"far", f"the target of {name}")
        said = subprocess.run([t.options.sluice, "forward", "--check", "-c", t.path(name)],
                              capture_output=True, text=True, check=True).stdout
        check(f"[{NEAR}%near]:{port}" in said, f"--check of {name} says: {said}")
        forwarder.send_signal(signal.SIGHUP)  # What is the same stays as it is.
        check_equal(who(t, port, f"{NEAR}%near"), b"far", f"the target of {name}, read again")
        check("cannot" not in forwarder.err(), f"it said: {forwarder.err()}")


def test_scope_of_datagrams(t):
    interfaces(t)
    port, target = t.port(), t.port()
    for device in ("near", "far"):
        server = t.udp(f"{FAR}%{device}", target)
        serves(t.sluice(f"udp://[{NEAR}%{device}]:{port}", f"udp://[{FAR}%{device}]:{target}"))
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        t.on_close(client.close)
        client.settimeout(5)
        client.connect(name_of(f"{NEAR}%{device}", port))
        client.send(b"question")
        question, sender = server.recvfrom(100)
        check_equal(question, b"question", f"what the target on {device} got")
        server.sendto(b"answer", sender)
        check_equal(client.recv(100), b"answer", f"what the client on {device} got")


def test_scope_that_is_not_there_is_named(t):
    interfaces(t)
    status, said = t.fails("8080", f"[{NEAR}%nope0]:80")
    check_equal(status, 2, "exit status")
    check("'nope0' is no interface" in said, f"the message is: {said}")
    path = t.path("rules.conf", f"127.0.0.1 8080 127.0.0.1 80\n:: 8081 {NEAR}%nope0 80\n")
    status, said = t.fails("-c", path)
    check(status != 0 and f"{path}:2: " in said and "'nope0' is no interface" in said,
          f"the message is: {said}")
