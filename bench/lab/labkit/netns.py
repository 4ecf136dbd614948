"""Three hosts in network namespaces, joined by veth:

    cli 10.0.1.2 ── 10.0.1.1 hst 10.0.0.1 ── 10.0.0.2 srv
        fd01::2     fd01::1      fd02::1     fd02::2

hst routes between the two; an engine runs in hst, so that its guest reaches srv through it, and
cli is the yardstick that reaches srv by routing alone. Needs root. Names are unique to the process,
and whatever was made is removed by close(), whichever way the block is left, or by reaper.py where
the process is killed.
"""

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import subprocess

from . import processes, reaper

# For a command in a namespace, whose mounts are its own.
WITHOUT_TUN = ["sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"
_counter = itertools.count()


def raise_on_signals():
    """Turns the signals that end a program into SystemExit, so that clean-up runs."""

    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, leave)


def run(command, **options):
    """Runs to the end; an error raises LabError with what the command said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        words = " ".join(command)
        raise processes.LabError(f"`{words}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class CubicDefault:
    """CUBIC as the machine's default while any lab or test runs.

    A guest's namespace inherits the default of the first namespace, not that of hst, so setting
    it in ours alone would let the guest's kernel use BBR. The lock file counts who needs it and
    remembers what was there before, also over a process that was killed.
    """

    def __init__(self, path="/run/sluice-lab.congestion"):
        self._path = path
        self._file = None
        self.before = None

    def __enter__(self):
        self._file = open(self._path, "a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._set_first()
        except BlockingIOError:
            pass  # Another run has set it already.
        fcntl.flock(self._file, fcntl.LOCK_SH)
        self._file.seek(0)
        self.before = self._file.read().strip()
        return self

    def _set_first(self):
        self._file.seek(0)
        if not self._file.read().strip():
            with open(CONGESTION, encoding="ascii") as current:
                self._file.write(current.read())
            self._file.flush()
        with open(CONGESTION, "w", encoding="ascii") as setting:
            setting.write("cubic")

    def __exit__(self, *_):
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            return
        with open(CONGESTION, "w", encoding="ascii") as setting:
            setting.write(self.before)
        os.unlink(self._path)
        self._file.close()


class Network:
    """The three namespaces. Use as a context manager."""

    SRV = {4: "10.0.0.2", 6: "fd02::2"}
    HST = {4: "10.0.0.1", 6: "fd02::1"}
    CLI = {4: "10.0.1.2", 6: "fd01::2"}

    def __init__(self):
        self._own = f"sl{os.getpid()}x"
        stem = f"{self._own}{next(_counter)}"
        self.cli, self.hst, self.srv = (f"{stem}{role}" for role in ("c", "h", "s"))
        self.has_tun = True  # For what is started.
        self._children = []
        self._guests = set()
        self._made = []

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    # Building.

    def _build(self):
        reaper.start(self._own)
        for name in (self.cli, self.hst, self.srv):
            run(["ip", "netns", "add", name])
            self._made.append(name)
            self.sysctl(name, "net.ipv4.tcp_congestion_control", "cubic")
            self.sysctl(name, "net.ipv4.tcp_max_tw_buckets", "0")
            self.sysctl(name, "net.ipv4.icmp_ratelimit", "0")
            # Link-local addresses must not spend their first second as tentative.
            self.sysctl(name, "net.ipv6.conf.default.accept_dad", "0")
            self.ip(name, "link set lo up")
        self.sysctl(self.hst, "net.ipv4.ping_group_range", "0 2147483647")
        self._join("s0", self.srv, "10.0.0.1", "10.0.0.2", "fd02::1", "fd02::2")
        self._join("c0", self.cli, "10.0.1.1", "10.0.1.2", "fd01::1", "fd01::2")
        self.sysctl(self.hst, "net.ipv4.ip_forward", "1")
        self.sysctl(self.hst, "net.ipv6.conf.all.forwarding", "1")
        # A default route, because pasta takes its addresses from the interface that has one.
        self.ip(self.hst, "route add default via 10.0.0.2")
        self.ip(self.hst, "-6 route add default via fd02::2")

    def _join(self, interface, peer, near4, far4, near6, far6):
        run(["ip", "link", "add", interface, "netns", self.hst, "type", "veth",
             "peer", "name", "eth0", "netns", peer])
        for name, link, v4, v6 in ((self.hst, interface, near4, near6), (peer, "eth0", far4, far6)):
            self.ip(name, f"addr add {v4}/24 dev {link}")
            self.ip(name, f"addr add {v6}/64 dev {link} nodad")
            self.ip(name, f"link set {link} up")
        self.ip(peer, f"route add default via {near4}")
        self.ip(peer, f"-6 route add default via {near6}")

    def wait_ready(self):
        """Until IPv6 works: the kernel tells it of a new carrier up to a second late."""

        def all_up():
            return all("state UP" in self.ip(name, "-o link show type veth")
                       and "DOWN" not in self.ip(name, "-o link show type veth")
                       for name in (self.cli, self.hst, self.srv))

        processes.wait_until(all_up, 5, "the veth links do not come up", 0.05)

    def ip(self, name, words):
        return run(["ip", "-n", name, *words.split()])

    def sysctl(self, name, key, value):
        """Sets a value where the kernel has the key for this namespace."""
        path = "/proc/sys/" + key.replace(".", "/")
        subprocess.run(["ip", "netns", "exec", name, "sh", "-c", f'echo "{value}" > {path}'],
                       stderr=subprocess.DEVNULL, check=False)

    def resolver(self, name, text):
        """Gives a namespace its own /etc/resolv.conf, as `ip netns exec` binds it."""
        folder = f"/etc/netns/{name}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/resolv.conf", "w", encoding="ascii") as file:
            file.write(text)

    # Running.

    def inside(self, name, command, nobody=False):
        return ["ip", "netns", "exec", name, *([] if self.has_tun else WITHOUT_TUN),
                *(NOBODY if nobody else []), *command]

    @contextlib.contextmanager
    def without_tun(self):
        """What is started meanwhile finds no /dev/net/tun."""
        self.has_tun = False
        try:
            yield
        finally:
            self.has_tun = True

    def popen(self, name, command, nobody=False, **options):
        """Starts a command in a namespace. It is killed, with all below it, by close()."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("start_new_session", True)
        child = subprocess.Popen(self.inside(name, command, nobody), **options)
        self._children.append(child)
        return child

    def run(self, name, command, nobody=False, timeout=60, **options):
        """Runs a command in a namespace to its end; returns a CompletedProcess with text."""
        options.setdefault("text", True)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        text_in = options.pop("input", None)
        if text_in is not None:
            options["stdin"] = subprocess.PIPE
        child = self.popen(name, command, nobody, **options)
        try:
            out, err = child.communicate(text_in, timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop(child)
            out, err = child.communicate()
            words = " ".join(command)[-120:]
            said = str((err or "") + (out or ""))[-200:].strip()
            raise processes.LabError(
                f"still running after {timeout} s: …{words}: {said}") from None
        self._children.remove(child)
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    def children(self):
        """Those that popen() has started and nobody has stopped."""
        return list(self._children)

    def note_guest(self, inode):
        """A guest's namespace: what is left in it is killed by close()."""
        self._guests.add(inode)

    def stop(self, child):
        if child.poll() is None:
            processes.kill_all(processes.descendants(child.pid))
            child.wait()
        if child in self._children:
            self._children.remove(child)

    def listening(self, child, port, protocol="tcp", timeout=5):
        def ready():
            if child.poll() is not None:
                raise processes.LabError(f"{child.args[-1]} ended instead of listening on {port}")
            return processes.is_listening(child.pid, port, protocol)
        processes.wait_until(ready, timeout, f"nothing listens on {protocol} port {port}")

    def leftovers(self):
        """Processes that are still in our namespaces, or in a guest's."""
        inodes = {os.stat(f"/run/netns/{name}").st_ino for name in self._made} | self._guests
        return processes.in_namespaces(inodes)

    def close(self):
        for child in list(self._children):
            self.stop(child)
        left = self.leftovers()
        if left:
            processes.kill_all(left)
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False)
            shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
        self._made = []
