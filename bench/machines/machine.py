"""A guest that is started, told what to run, and ended. QEMU's and User Mode Linux's are alike."""

import itertools
import os
import shlex
import shutil
import socket
import subprocess
import time

from labkit import processes

from . import backports
from . import kit as kits
from . import line as lines
from . import qmp

# No name is used again, also by another of the same test.
_numbers = itertools.count()


class GuestError(Exception):
    """A guest did something else than it must; the message has the end of its console."""


class Machine:
    """One guest, which runs in the namespace hst of a network. close() ends it.

    A subclass gives its program, package and command line.
    """

    program = ""
    package = ""
    # Machines with other load have been seen to take ten times what a quiet one does.
    boot_seconds = 120

    def __init__(self, network, kit, folder, link, **settings):
        self.link = link  # How it is joined to its engine: links.py.
        self.kernel = None
        self._network = network
        self._kit = kit
        self._settings = settings
        self._stem = os.path.join(folder, f"{self.program}.{next(_numbers)}")
        self._console = f"{self._stem}.console"
        self._child = None
        self._line = None

    @classmethod
    def check_present(cls):
        if not shutil.which(cls.program):
            raise kits.Missing(f"no {cls.program} (package {cls.package})")

    @classmethod
    def version(cls):
        """What the program says of itself, as one line."""
        done = subprocess.run([cls.program, "--version"], capture_output=True, text=True,
                              check=False)
        return (done.stdout.strip() or "unknown").splitlines()[0]

    def command(self, kit, serial):
        """The command line; `serial` is the descriptor of the guest's end of the line."""
        raise NotImplementedError

    @property
    def pid(self):
        """The process that started it: of `ip netns exec`, which becomes the program."""
        return self._child.pid

    def children(self):
        return [self._child] if self._child else []

    def is_alive(self):
        return self._child is not None and self._child.poll() is None

    def start(self):
        """Starts it, without waiting for it to boot."""
        ours, theirs = socket.socketpair()
        with theirs, open(self._console, "ab") as console:
            self._child = self._begin(theirs.fileno(), console)
        self.link.started()
        self._line = lines.Line(ours, self.is_alive)
        return self

    def _begin(self, serial, console):
        return self._network.popen(
            self._network.hst, self.command(self._kit, serial), stdout=console, stderr=console,
            pass_fds=(serial, *self.link.descriptors()), env=self._environment(),
            # An engine who is nobody writes to a socket of QEMU's.
            umask=0)

    def boot(self):
        """Starts it and waits until it takes commands."""
        self.start()
        self.wait_ready()
        return self

    def wait_ready(self):
        """Until it takes commands: at the start, and after a reboot."""
        self.kernel = self._said(lambda: self._line.wait_ready(self.boot_seconds))

    def run(self, command, timeout=60):
        """Runs a command, words or a line of shell, and returns its Result."""
        text = command if isinstance(command, str) else shlex.join(map(str, command))
        return self._said(lambda: self._line.run(text, timeout))

    def ok(self, command, timeout=60):
        """The standard output of a command that must not fail."""
        done = self.run(command, timeout)
        if done.returncode != 0:
            raise GuestError(f"in the guest, `{command}` ended with {done.returncode}: "
                             f"{(done.stderr + done.stdout).strip()[-400:]}{self._console_end()}")
        return done.stdout

    def network_up(self, family=None, timeout=90):
        """Addresses by DHCP and router advertisements, or of one family alone."""
        self.ok(f"/kit/network {family or ''}", timeout)

    def reboot(self):
        """`reboot -f`, and until it takes commands again."""
        self._said(lambda: self._line.send("reboot -f"))
        self.wait_ready()

    def kill(self):
        """Ends it as a crash would."""
        # User Mode Linux has helpers, which would keep its sockets; one may be the child of the
        # moment of its end, stopped and nobody's.
        processes.kill_now(self._child)
        processes.kill_all(processes.of_session(self.pid), grace=0)
        self.close()

    def close(self):
        if self._child is not None:
            self._network.stop(self._child)
        if self._line is not None:
            self._line.close()

    def console(self):
        """What the guest's kernel, and the program that runs it, have printed."""
        with open(self._console, encoding="utf-8", errors="replace") as file:
            return file.read()

    def cpu_seconds(self):
        return sum(sum(processes.cpu_seconds(pid)) for pid in processes.descendants(self.pid))

    def _said(self, action):
        try:
            return action()
        except (lines.Silence, OSError) as error:
            raise GuestError(f"{error}{self._console_end()}") from None

    def _console_end(self):
        time.sleep(0.1)
        return f"\n--- the end of {self.program}'s console:\n{self.console()[-2500:]}"

    @staticmethod
    def _environment():
        # User Mode Linux keeps its memory there, and one on a tmpfs of its own breaks it.
        return {name: value for name, value in os.environ.items() if name != "TMPDIR"}


class Qemu(Machine):
    """QEMU without KVM, which a test must not need: Debian's cloud kernel, emulated."""

    program = "qemu-system-x86_64"
    package = "qemu-system-x86"
    accelerator = "tcg"
    processor = "max"

    def _link_words(self, memory):
        return self.link.qemu(memory)

    def command(self, kit, serial):
        if kit.kernel is None:
            raise kits.Missing(f"no kernel for guests of QEMU (package {kits.CLOUD})")
        memory = self._settings.get("memory", 320)
        words = [self.program, "-accel", self.accelerator, "-M", "pc", "-nodefaults", "-no-user-config",
                 "-display", "none", "-m", str(memory), "-smp", str(self._settings.get("cpus", 1)),
                 "-kernel", kit.kernel, "-initrd", kit.initrd,
                 # No random numbers come from a keyboard: the processor's are trusted.
                 "-cpu", self.processor,
                 "-append", "console=ttyS0 kit_port=ttyS1 panic=-1 quiet no_timer_check "
                            "random.trust_cpu=on",
                 "-serial", "stdio", "-chardev", f"socket,id=kit,fd={serial}",
                 "-serial", "chardev:kit", "-qmp", f"unix:{self._stem}.qmp,server=on,wait=off"]
        if incoming := self._settings.get("incoming"):
            words += ["-incoming", f"unix:{incoming}"]
        return [str(word) for word in [*words, *self._link_words(memory)]]

    def pause(self, seconds):
        """Stands still for so long, as its own monitor has it stopped."""
        with qmp.Monitor(f"{self._stem}.qmp") as monitor:
            monitor.ask("stop")
            time.sleep(seconds)
            monitor.ask("cont")

    def migrate(self, path, timeout=300):
        """Moves the guest to the QEMU that was started with incoming=path, and waits for that.

        This one stands still from then on.
        """
        with qmp.Monitor(f"{self._stem}.qmp") as monitor:
            monitor.ask("migrate", uri=f"unix:{path}")
            deadline = time.monotonic() + timeout
            while (state := monitor.ask("query-migrate"))["status"] != "completed":
                if state["status"] in ("failed", "cancelled") or time.monotonic() > deadline:
                    raise GuestError(f"the guest does not move: {state}{self._console_end()}")
                time.sleep(0.1)


class Qemu10(Qemu):
    """QEMU of Debian's backports. QEMU 7.2 without KVM crashes over vhost-user when its guest uses
    MSI-X; with this one a guest may, as it does under KVM."""

    @classmethod
    def check_present(cls):
        backports.qemu()

    def _link_words(self, memory):
        return self.link.qemu(memory, msix=True)

    def command(self, kit, serial):
        self.program = str(backports.qemu() / "usr/bin" / Qemu.program)
        # Its own data is in packages that Debian 12 has as well.
        return super().command(kit, serial) + ["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"]

    @staticmethod
    def _environment():
        modules = backports.qemu() / "usr/lib/x86_64-linux-gnu/qemu"
        return Machine._environment() | {"QEMU_MODULE_DIR": str(modules)}


class QemuKvm(Qemu):
    """QEMU on a KVM that runs guests, be it one of an emulated processor (nested.py)."""

    accelerator = "kvm"
    processor = "host"
    boot_seconds = 300

    @classmethod
    def check_present(cls):
        super().check_present()
        check_kvm()


class Box(Machine):
    """`sluice box`, whose command takes ours by its standard streams. Its files are the host's."""

    program = "sluice"
    boot_seconds = 300

    @classmethod
    def check_present(cls):
        check_kvm()

    @classmethod
    def version(cls):
        return "the program's"

    def command(self, kit, _serial):
        path = f"PATH={kit.clients}:{os.environ['PATH']}"
        return [*self.link.box(), "--cpus", str(self._settings.get("cpus", 1)),
                "--memory", f"{self._settings.get('memory', 320)}MiB", "--as-root", "--env", path,
                "--", "sh", str(kits.HERE / "box_serve.sh")]

    def network_up(self, family=None, timeout=90):
        """It has been since the command started."""

    def _begin(self, serial, console):
        return self._network.popen(
            self._network.hst, self.command(self._kit, serial), stdin=serial, stdout=serial,
            stderr=console, env=self._environment() | self.link.environment(self._kit.clients))


def check_kvm():
    """Raises Missing where there is no KVM, or one that interprets what a kernel does."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise kits.Missing("no /dev/kvm")
    if os.path.exists("/sys/module/kvm_pvm"):
        raise kits.Missing("this KVM interprets kernels (bench/machines/nested.py has another)")


class Uml(Machine):
    """User Mode Linux: a Linux kernel that is a process. No emulation, up in a second."""

    program = "linux.uml"
    package = "user-mode-linux"

    def reboot(self):
        """It executes itself anew, and now and then ends instead: then we start it again."""
        try:
            super().reboot()
        except GuestError:
            if self.is_alive():
                raise
            print(f"{self.program} has ended instead of rebooting, and is started again")
            self.close()
            self.boot()

    def command(self, kit, serial):
        memory = self._settings.get("memory", 320)
        words = [self.program, f"mem={memory}M", f"initrd={kit.initrd}", "root=/dev/ram",
                 "rdinit=/init", "con=null", "con0=null,fd:1", f"ssl0=fd:{serial}",
                 "kit_port=ttyS0", "panic=-1", "quiet"]
        return [str(word) for word in [*words, *self.link.uml()]]
