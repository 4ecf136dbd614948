"""Living inside: the command's user, its files under /etc and /sys, names that the host changes
while it runs, and who collects orphans."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from harness import (ENVIRONMENT, GUEST, PYTHON, check, check_equal, each_family, finish, netns,
                     read_line, v4_only)

# Neither root nor nobody, as whom the files of root appear.
DAEMON = ["setpriv", "--reuid=1", "--regid=1", "--clear-groups"]


def as_daemon(t, command, options=(), prepare="", **more):
    """Runs a command as guest of another user, without the mounts that ip(8) makes; `prepare` is
    done as root before, in a mount namespace of its own."""
    folder = t.file("home")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    launch = t.command(command, options)
    more.setdefault("env", {**ENVIRONMENT, "HOME": folder})
    user = more.pop("user", DAEMON)
    script = f'mount --make-rprivate / && {prepare or "true"} && exec "$@"'
    words = ["nsenter", f"--net=/run/netns/{t.net.hst}", "unshare", "-m", "sh", "-c", script, "sh",
             *user, *launch]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True, **more)


def output_of(t, command, options=(), prepare="", timeout=40):
    status, out, err = finish(as_daemon(t, command, options, prepare), timeout)
    check_equal(status, 0, f"status of {command} ({err.strip()[-300:]})")
    return out


@contextlib.contextmanager
def own_etc(t):
    """A copy of /etc, and what mounts it. Changes made in the copy are the host's."""
    folder = t.file("etc")
    shutil.copytree("/etc", folder, symlinks=True, ignore_dangling_symlinks=True)
    os.chmod(t.folder, 0o755)
    yield folder, f"mount --bind {folder} /etc"


def test_the_command_is_its_own_user(t):
    out = output_of(t, ["sh", "-c", "id -u; id -g; grep CapEff /proc/self/status; "
                        "touch $HOME/f && stat -c %u $HOME/f; ip -br addr show tap0"])
    lines = out.splitlines()
    check_equal(lines[:2] + lines[3:4], ["1", "1", "1"], "user, group, and owner of a file")
    check_equal(int(lines[2].split()[1], 16), 0, "capabilities")
    check(GUEST[4] in lines[4], f"addresses: {lines[4]}")
    # What tar stores it also restores.
    output_of(t, ["sh", "-c", "cd $HOME && mkdir d && touch d/x && tar cf a.tar d && rm -r d && "
                  "tar xpf a.tar --same-owner && test -O d/x"])
    out = output_of(t, ["sh", "-c", "id -u; ip link set tap0 mtu 1400 && ip -br link"], ["--as-root"])
    check(out.startswith("0\n"), f"--as-root: {out}")
    refused = finish(as_daemon(t, ["ip", "link", "set", "tap0", "mtu", "1400"]))
    check(refused[0] != 0, "an ordinary user changed its interface")


@each_family
def test_low_ports_and_ping_need_no_root(t):
    code = ("import socket,sys; s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else "
            "socket.AF_INET); s.bind((sys.argv[1], 80)); print(s.getsockname()[1])")
    check_equal(output_of(t, [PYTHON, "-c", code, GUEST[t.family]]), "80\n", "port")
    output_of(t, ["ping", "-n", "-c", "1", "-W", "5", t.srv])
    if shutil.which("traceroute"):
        out = output_of(t, ["traceroute", "-n", "-q", "1", "-m", "3", "-w", "2", GUEST[t.family]])
        check(GUEST[t.family] in out, f"traceroute: {out}")


@contextlib.contextmanager
def ssh_server(t):
    """sshd in srv; yields the options of ssh that lead to it."""
    for program in ("ssh", "ssh-keygen", "git", "/usr/sbin/sshd"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (openssh-client, openssh-server, git)")
    key, host_key, port = t.file("key"), t.file("host_key"), 2222
    for path in (key, host_key):
        netns.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
    shutil.copy(f"{key}.pub", t.file("authorized"))
    os.chown(key, 1, 1)
    os.makedirs("/run/sshd", exist_ok=True)
    server = t.net.popen(t.net.srv, [
        "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", host_key, "-p", str(port),
        "-o", "StrictModes=no", "-o", f"AuthorizedKeysFile={t.file('authorized')}",
        "-o", "PidFile=none", "-o", "UsePAM=no"], stderr=subprocess.PIPE)
    while line := server.stderr.readline():
        if b"listening" in line:
            break
    yield ["-i", key, "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
           "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=20"]
    server.send_signal(signal.SIGTERM)


DEBIAN = "mkdir -p {etc}/ssh/ssh_config.d && " \
         "printf 'Host *\\n SendEnv LANG\\n' > {etc}/ssh/ssh_config.d/10-site.conf"
FEDORA = "mkdir -p {etc}/ssh/ssh_config.d {etc}/crypto-policies/back-ends && " \
         "printf 'Include {etc0}/ssh/ssh_config.d/*.conf\\n' > {etc}/ssh/ssh_config && " \
         "printf 'Ciphers aes256-ctr\\n' > {etc}/crypto-policies/openssh.txt && " \
         "ln -sf ../openssh.txt {etc}/crypto-policies/back-ends/openssh.config && " \
         "printf 'Match final all\\n Include {etc0}/crypto-policies/back-ends/openssh.config\\n' " \
         "> {etc}/ssh/ssh_config.d/50-redhat.conf"


@v4_only
def test_ssh_and_git_over_ssh_work(t):
    """With the configuration of both layouts, whose files root owns."""
    with ssh_server(t) as options, own_etc(t) as (etc, mount):
        repository = t.file("repo.git")
        netns.run(["git", "init", "-q", "--bare", repository])
        for layout in (DEBIAN, FEDORA):
            netns.run(["sh", "-c", layout.format(etc=etc, etc0="/etc")])
            for way in (mount, f"{mount} && mount --bind {etc}/hosts /etc/hosts"):
                # The second way has a mount in /etc, over which there can be no overlay.
                out = output_of(t, ["ssh", *options, f"root@{t.srv}", "echo", "there"],
                                prepare=way)
                check_equal(out, "there\n", "ssh")
            out = output_of(t, ["env", f"GIT_SSH_COMMAND=ssh {' '.join(options)}", "git",
                                "ls-remote", f"root@{t.srv}:{repository}"], prepare=mount)
            check_equal(out, "", "git ls-remote of an empty repository")


NAMES = """
import socket, sys
print("up", flush=True)
for line in sys.stdin:
    text = open("/etc/resolv.conf").read()
    print("ours" if "10.0.2.3" in text else text.replace("\\n", " "), flush=True)
"""


def replace(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


def test_resolv_conf_outlives_changes_of_the_hosts(t):
    """A network manager renames a file or a link over it, or removes it."""
    survives_changes(t, DAEMON, [], [])
    # Where there is no overlay the file is covered again, a moment later and once there is one.
    survives_changes(t, [], [], ["--pid"], 0.5)


def survives_changes(t, user, *ways):
    settle = ways[-1] if isinstance(ways[-1], float) else 0
    for options in ways[:-1] if settle else ways:
        with own_etc(t) as (etc, mount):
            survive_changes(t, user, options, settle, etc, mount)
        shutil.rmtree(etc)


def survive_changes(t, user, options, settle, etc, mount):
    path = os.path.join(etc, "resolv.conf")
    replace(path, "nameserver 10.0.0.2\n")
    child = as_daemon(t, [PYTHON, "-uc", NAMES], options, prepare=mount, user=user)
    check_equal(read_line(child), "up", "guest")

    def ask(after):
        time.sleep(settle)
        child.stdin.write(b"\n")
        child.stdin.flush()
        check_equal(read_line(child), "ours", f"resolv.conf after {after}")

    ask("the start")
    for number in range(3):
        replace(path, f"nameserver 10.0.0.{number + 5}\n")
        ask("a rename")
    if not settle:
        os.symlink("/run/nowhere/resolv.conf", path + ".link")
        os.rename(path + ".link", path)
        ask("a link")
        os.unlink(path)
        ask("its removal")
    child.stdin.close()
    check_equal(child.wait(20), 0, "status")


def test_a_host_without_resolvers_asks_itself(t):
    """Empty, missing and dangling mean 127.0.0.1, with a word about it."""
    with own_etc(t) as (etc, mount):
        path = os.path.join(etc, "resolv.conf")
        for make in (lambda: replace(path, "# none\n"), lambda: os.unlink(path),
                     lambda: os.symlink("/run/nowhere/resolv.conf", path)):
            make()
            status, out, err = finish(as_daemon(t, ["cat", "/etc/resolv.conf"], prepare=mount))
            check_equal(status, 0, f"status ({err})")
            check("nameserver 10.0.2.3" in out, f"the guest's resolv.conf: {out}")
            check("warning" in err and "127.0.0.1" in err and "resolv.conf" in err, f"said: {err}")


def test_the_machines_name_is_the_guests(t):
    code = """
import socket
name = socket.gethostname()
s = socket.socket(); s.bind((name, 0)); s.listen()
socket.create_connection((name, s.getsockname()[1])); print(s.getsockname()[0])
print(sorted({a[4][0] for a in socket.getaddrinfo(name, 80)}))
"""
    with own_etc(t) as (etc, mount):
        name = os.uname().nodename
        for hosts in (f"127.0.0.1 localhost\n192.0.2.77 {name}.example.org {name}\n",
                      f"127.0.1.1 {name}\n", ""):
            replace(os.path.join(etc, "hosts"), hosts)
            out = output_of(t, [PYTHON, "-c", code], prepare=mount)
            check_equal(out, f"10.0.2.15\n{[GUEST[4], GUEST[6]]}\n", f"with {hosts!r}")


def test_sys_shows_the_guests_interfaces(t):
    command = ["sh", "-c", "ls -x /sys/class/net"]
    for nobody in (True, False):
        done = t.guest_ok(command, nobody=nobody)
        check_equal(done.stdout.split(), ["lo", "tap0"], "interfaces in /sys")


ORPHANS = """
import os, sys, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0: time.sleep(0.2)
        os._exit(0)
    os.wait()
time.sleep(1.5)
def state(pid):
    try: return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    except OSError: return "-"
print(sum(state(pid) == "Z" for pid in os.listdir("/proc") if pid.isdigit()))
"""


def test_orphans_are_reaped(t):
    # The engine is the first process of a container.
    inside = t.command([PYTHON, "-c", ORPHANS])
    done = t.net.run(t.net.hst, ["unshare", "--pid", "--fork", "--mount-proc", *inside])
    check_equal((done.returncode, done.stdout), (0, "0\n"), f"zombies of PID 1 ({done.stderr})")
    done = t.guest_ok([PYTHON, "-c", ORPHANS], ["--pid"])
    check_equal(done.stdout, "0\n", "zombies with --pid")
