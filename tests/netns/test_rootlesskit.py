"""RootlessKit, which Docker's and containerd's rootless modes run in, with us in the place of its
slirp4netns or its pasta: what an ordinary user's containers see, beside the same with the real one."""

import os
import shutil
import subprocess
import time

import pytest

from harness import PYTHON, check_equal, echo, read_line, v4_only
from machines import backports
from machines import kit as kits
from test_slirp4netns_dropin import called_slirp4netns

REAL = "/usr/bin/slirp4netns"
NEEDED = ("rootlesskit", "newuidmap", "slirp4netns")

# In the container: its addresses, a connection out, and a server for one client from outside.
INSIDE = """
import socket, subprocess, sys
print(subprocess.run(["ip", "-4", "-o", "addr", "show", "tap0"], capture_output=True,
                     text=True).stdout.split()[3])
out = socket.create_connection((sys.argv[1], 7000), 10)
out.sendall(b"x" * 100000); out.shutdown(socket.SHUT_WR)
total = 0
while data := out.recv(65536): total += len(data)
print("out", total)
listener = socket.socket(); listener.bind(("0.0.0.0", 8080)); listener.listen()
print("up", flush=True)
client, peer = listener.accept()
client.sendall(b"inside, asked by " + peer[0].encode()); client.close()
"""


@pytest.fixture(name="subordinate")
def subordinate_users(tmp_path):
    """Words before a command that give nobody subordinate users, in a view of /etc of its own."""
    for name in NEEDED:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    tmp_path.chmod(0o755)
    words = []
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("nobody:200000:65536\n", encoding="ascii")
        words.append(f"mount --bind {tmp_path / name} /etc/{name}")
    run = tmp_path / "run"
    run.mkdir()
    os.chown(run, 65534, 65534)
    words.append(f"export XDG_RUNTIME_DIR={run} HOME={run}")
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    return ["unshare", "--mount", "sh", "-c", " && ".join(words) + f' && cd / && exec {nobody} "$@"',
            "sh"]


def by_slirp4netns(binary, port):
    return ["rootlesskit", "--net=slirp4netns", f"--slirp4netns-binary={binary}",
            "--port-driver=slirp4netns", "-p", f"127.0.0.1:{port}:8080/tcp"]


def seen(t, subordinate, kit, port):
    child = t.net.popen(
        t.net.hst, [*subordinate, *map(str, kit), "--disable-host-loopback", "--copy-up=/etc",
                    PYTHON, "-uc", INSIDE, t.srv], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = [read_line(child, 30)]
    while said[-1] != "up":
        said.append(read_line(child, 30))
    # RootlessKit asks for its ports once the command runs.
    for _ in range(100):
        try:
            client = t.connect_from(t.net.hst, "127.0.0.1", port)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    said.append(client.recv(100).decode())
    check_equal(child.wait(20), 0, f"exit status; it said {child.stderr.read().decode()[-300:]}")
    return said


@v4_only
def test_a_container_has_the_network_that_it_has_by_slirp4netns(t, subordinate):
    t.listen(7000, echo)
    ours = seen(t, subordinate, by_slirp4netns(called_slirp4netns(t), 18080), 18080)
    check_equal(ours, ["10.0.2.100/24", "out 100000", "up", "inside, asked by 10.0.2.2"],
                "what is seen with ours")
    real = seen(t, subordinate, by_slirp4netns(REAL, 18081), 18081)
    check_equal(ours, real, "beside the real one")


# Not beside the real one: that of 2025 gives a container no way to the hosts of this lab.
@v4_only
def test_a_container_has_its_network_by_pasta(t, subordinate):
    try:
        kit = backports.rootlesskit()
    except kits.Missing as missing:
        pytest.skip(str(missing))
    t.listen(7000, echo)
    # Ports that somebody in the container waits at are led there by pasta itself ("implicit").
    called = t.file("pasta")
    os.symlink(t.path, called)
    said = seen(t, subordinate, [kit, "--net=pasta", f"--pasta-binary={called}",
                                 "--port-driver=implicit"], 8080)
    check_equal(said, ["10.0.2.100/24", "out 100000", "up", "inside, asked by 10.0.2.2"],
                "what is seen")
