"""Programs that people use, under a policy by name: each reaches what is allowed, and is refused once,
quickly and with words that the program prints."""

import os
import shutil
import subprocess
import time

import pytest

from harness import PYTHON, check, check_equal, v4_only
from policy_world import POLICY, World, certificate

PATIENCE = 30  # Seconds for a refusal: none of these programs is to wait for a time-out.


def programs(*names):
    for name in names:
        if not shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{name} is not installed")


def run(t, world, words, options=POLICY, **more):
    more.setdefault("timeout", 120)
    environment = {**world.environment(), "HOME": t.folder, **more.pop("extra", {})}
    return t.guest(words, options, env=environment, cwd=t.folder, **more)


def works(t, world, words, wanted, **more):
    done = run(t, world, words, **more)
    said = done.stdout + done.stderr
    check(done.returncode == 0 and wanted in said, f"{words[0]}: {done.returncode}: {said[-600:]}")


def is_refused(t, world, words, **more):
    """What the program says is printed, for whoever runs the test with -s."""
    before = (len(world.requests), len(world.first_bytes))
    started = time.monotonic()
    done = run(t, world, words, **more)
    seconds = time.monotonic() - started
    said = done.stdout + done.stderr
    print(f"\n{os.path.basename(words[0])} refused after {seconds:.1f} s: {said.strip()[-500:]}")
    check(done.returncode != 0, f"{words[0]} was not refused: {said[-400:]}")
    check(seconds < PATIENCE, f"{words[0]} waited {seconds:.1f} s: {said[-400:]}")
    reached = [first for first in world.first_bytes[before[1]:] if first[2]]
    check_equal((world.requests[before[0]:], reached), ([], []), "what reached a server")


@v4_only
def test_curl(t):
    world = World(t)
    works(t, world, ["curl", "-sS", "https://ok.test/"], "hello from shared as ok.test")
    works(t, world, ["curl", "-sS", "http://plain.test/"], "hello from plain")
    works(t, world, ["curl", "-sS", "https://deep.wild.test/"], "as deep.wild.test")
    is_refused(t, world, ["curl", "-sS", "https://evil.test/"])
    # The neighbour on an address that is allowed by another name.
    is_refused(t, world, ["curl", "-sS", "--connect-to", "evil.test:443:ok.test:443",
                          "https://evil.test/"])
    is_refused(t, world, ["curl", "-sS", f"https://{world.place('evil')}/", "-k"])


@v4_only
def test_wget(t):
    programs("wget")
    world = World(t)
    ca = f"--ca-certificate={certificate()[1]}"
    works(t, world, ["wget", "-qO-", "-t1", ca, "https://ok.test/"], "as ok.test")
    is_refused(t, world, ["wget", "-O-", "-t1", ca, "https://evil.test/"])


@v4_only
def test_git_over_https(t):
    programs("git")
    world = World(t)
    world.root = repository(t)
    works(t, world, ["git", "clone", "https://ok.test/repo.git", "one"], "Cloning into")
    check(os.path.exists(f"{t.folder}/one/file"), "the clone has its file")
    is_refused(t, world, ["git", "clone", "https://evil.test/repo.git", "two"])


@v4_only
def test_git_over_ssh(t):
    programs("git", "ssh", "sshd", "ssh-keygen")
    world = World(t, banner=False)
    repo = repository(t)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", t.file(key)], check=True)
    os.chown(t.file("user"), 65534, 65534)
    os.makedirs("/run/sshd", exist_ok=True)
    t.net.popen(t.net.srv, ["/usr/sbin/sshd", "-D", "-f", "/dev/null", "-h", t.file("host"),
                            "-o", f"ListenAddress={world.place('ssh')}", "-o", "StrictModes=no",
                            "-o", f"AuthorizedKeysFile={t.file('user.pub')}", "-o", "PidFile=none",
                            "-o", "PermitRootLogin=yes"])
    ssh = (f"ssh -F none -i {t.file('user')} -o StrictHostKeyChecking=no -o BatchMode=yes "
           f"-o UserKnownHostsFile=/dev/null -o ConnectionAttempts=10")
    safe = {"GIT_SSH_COMMAND": ssh, "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    works(t, world, ["git", "clone", f"ssh://root@ssh.test{repo}/repo.git", "one"], "Cloning into",
          extra=safe)
    is_refused(t, world, ["git", "clone", f"ssh://root@ok.test{repo}/repo.git", "two"], extra=safe)


def repository(t):
    """A folder with repo.git, which a server of files can serve."""
    folder = t.file("served")
    commands = (["git", "init", "-q", "work"], ["git", "-C", "work", "config", "user.email", "a@b"],
                ["git", "-C", "work", "config", "user.name", "tests"],
                ["sh", "-c", "echo content > work/file"], ["git", "-C", "work", "add", "file"],
                ["git", "-C", "work", "commit", "-qm", "first"],
                ["git", "clone", "-q", "--bare", "work", "repo.git"],
                ["git", "-C", "repo.git", "update-server-info"])
    os.makedirs(folder)
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@v4_only
def test_node_fetch(t):
    programs("node")
    world = World(t)
    code = ("fetch(process.argv[1]).then(r => r.text()).then(x => console.log(x))"
            ".catch(e => { console.error(e, e.cause); process.exit(1) })")
    works(t, world, ["node", "-e", code, "https://ok.test/"], "as ok.test")
    is_refused(t, world, ["node", "-e", code, "https://evil.test/"])


@v4_only
def test_python_asyncio(t):
    world = World(t)
    code = """
import asyncio, ssl, sys
async def get(name):
    reader, writer = await asyncio.open_connection(name, 443, ssl=ssl.create_default_context())
    writer.write(b"GET / HTTP/1.1\\r\\nHost: " + name.encode() + b"\\r\\n\\r\\n")
    for _ in range(4): await reader.readline()
    print((await reader.readline()).decode())
asyncio.run(get(sys.argv[1]))
"""
    works(t, world, [PYTHON, "-c", code, "ok.test"], "as ok.test")
    is_refused(t, world, [PYTHON, "-c", code, "evil.test"])


@v4_only
def test_java_client(t):
    programs("javac", "keytool")
    world = World(t)
    source = t.file("Get.java", """
import java.net.URI;
import java.net.http.*;
class Get {
  public static void main(String[] a) throws Exception {
    var got = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).build(),
                                              HttpResponse.BodyHandlers.ofString());
    System.out.println(got.body());
  }
}
""")
    subprocess.run(["javac", "-d", t.folder, source], check=True)
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "tests", "-storepass",
                    "changeit", "-keystore", t.file("trust"), "-file", certificate()[1]],
                   check=True, capture_output=True)
    os.chmod(t.file("trust"), 0o644)
    java = ["java", "-Xmx128m", f"-Djavax.net.ssl.trustStore={t.file('trust')}",
            "-Djavax.net.ssl.trustStorePassword=changeit", "-cp", t.folder, "Get"]
    works(t, world, [*java, "https://ok.test/"], "as ok.test")
    is_refused(t, world, [*java, "https://evil.test/"])


@v4_only
def test_web_socket(t):
    world = World(t)
    code = """
import socket, ssl, sys
secure, name = sys.argv[1] == "wss", sys.argv[2]
s = socket.create_connection((name, 443 if secure else 80), 20)
if secure: s = ssl.create_default_context().wrap_socket(s, server_hostname=name)
s.sendall(b"GET /chat HTTP/1.1\\r\\nHost: " + name.encode() + b"\\r\\nUpgrade: websocket\\r\\n"
          b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")
f = s.makefile("rb")
assert b" 101 " in f.readline()
while f.readline() != b"\\r\\n": pass
s.sendall(bytes([0x81, 0x85, 1, 2, 3, 4]) + bytes(b ^ (1, 2, 3, 4)[i % 4] for i, b in enumerate(b"hello")))
print(f.read(7)[2:].decode())
"""
    works(t, world, [PYTHON, "-c", code, "wss", "ok.test"], "hello")
    works(t, world, [PYTHON, "-c", code, "ws", "plain.test"], "hello")
    is_refused(t, world, [PYTHON, "-c", code, "wss", "evil.test"])


@v4_only
def test_server_that_speaks_first(t):
    world = World(t)
    code = ("import socket, sys; s = socket.create_connection((sys.argv[1], 22), 20); "
            "print(s.recv(64))")
    works(t, world, [PYTHON, "-c", code, "ssh.test"], "SSH-2.0-tests")
    is_refused(t, world, [PYTHON, "-c", code, "ok.test"])


@v4_only
def test_chromium_with_a_page_of_several_hosts(t):
    programs("chromium")
    world = World(t)
    world.root = t.file("served")
    os.makedirs(world.root)
    with open(f"{world.root}/page.html", "w", encoding="ascii") as page:
        page.write("<body><script>"
                   "const tell = async name => { try { const got = await fetch(`https://${name}/`, "
                   "{mode: 'no-cors'}); return `${name} came`; } catch { return `${name} failed`; } };"
                   "Promise.all(['a.wild.test', 'b.wild.test', 'evil.test'].map(tell))"
                   ".then(all => document.body.textContent = all.join(', '));</script>")
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--ignore-certificate-errors", f"--user-data-dir={t.folder}/profile",
               "--virtual-time-budget=20000", "--dump-dom", "https://ok.test/page.html"]
    done = run(t, world, browser, timeout=180)
    for wanted in ("a.wild.test came", "b.wild.test came", "evil.test failed"):
        check(wanted in done.stdout, f"{wanted}: {done.stdout[-300:]} {done.stderr[-300:]}")
