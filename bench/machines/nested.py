#!/usr/bin/env python3
"""Level 1: a Linux that has /dev/kvm, for what starts virtual machines of its own.

QEMU without KVM emulates a processor with SVM; Debian's cloud kernel on it has kvm-amd, and lies
where its package would put it. Its files are this machine's, by virtiofs, read-only below an
overlay in memory; /scratch is a folder of the test's. Its network is a loopback and what is made in
it. As root:

    bench/machines/nested.py [--timeout S] [--memory MIB] [--keep FOLDER] -- COMMAND...

runs a command in the folder that it was called in, with its outputs and its status ours, and
leaves nothing behind but what the command left in /scratch/kept. 124: it took too long; 125: level
1 could not be had.

It has one processor, as a second one makes it hang (docs/box.md, "How it is tested").
"""

import argparse
import itertools
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time

if __package__ in (None, ""):
    HERE = pathlib.Path(__file__).resolve().parent
    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "lab")]
    __package__ = "machines"  # pylint: disable=redefined-builtin

# pylint: disable=wrong-import-position
from labkit import processes

from . import cpio
from . import kit as kits
from . import line as lines

QEMU = "qemu-system-x86_64"
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
# With what they need. What the kernel has built in is not among its modules.
MODULES = ("virtio_pci", "virtiofs", "overlay", "kvm_amd", "irqbypass", "ipv6", "veth", "tun")
# An emulated machine with nothing else to do is up in five seconds; under load, in a minute.
BOOT_SECONDS = 300
# Of timeout(1), which ended a command, or had to kill it.
TIMED_OUT = (124, 137)

_numbers = itertools.count()


class Level:
    """One machine, from start() to close(). `folder` is seen in it as /scratch."""

    def __init__(self, folder, memory=3072):
        self.scratch = pathlib.Path(folder, f"level.{next(_numbers)}")
        self._stem = f"{self.scratch}.qemu"
        self._memory = memory
        self._children = []
        self._line = None
        self._jobs = 0
        self.kernel = None

    @staticmethod
    def check_present():
        for program, package in ((QEMU, "qemu-system-x86"), (VIRTIOFSD, "qemu-system-common")):
            if not shutil.which(program):
                raise kits.Missing(f"no {program} (package {package})")
        if os.geteuid() != 0:
            raise kits.Missing("the files of this machine are shared by root only")

    def start(self):
        """Boots it, and returns when it takes commands."""
        self.check_present()
        kernel = kits.cloud_kernel()
        if kernel is None:
            raise kits.Missing(f"no kernel (package {kits.CLOUD})")
        self.scratch.mkdir()
        shutil.copy(kits.HERE / "nested_serve.sh", self.scratch / "serve")
        (self.scratch / "kernel").write_text(f"{kernel}\n", encoding="utf-8")
        (self.scratch / "kept").mkdir()
        ours, theirs = socket.socketpair()
        with theirs:
            shares = [self._share("root", "/"), self._share("scratch", self.scratch)]
            self._begin(self._command(kernel / "vmlinuz", _initrd(kernel), theirs.fileno(), shares),
                        theirs)
        self._line = lines.Line(ours, self.is_alive)
        self.kernel = self._said(lambda: self._line.wait_ready(BOOT_SECONDS))
        return self

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def is_alive(self):
        return bool(self._children) and self._children[-1].poll() is None

    def run(self, command, timeout=120, tell=None):
        """Runs words or a line of shell, and returns its Result; the lines may be several.

        `tell`: two files that get its outputs meanwhile.
        """
        text = command if isinstance(command, str) else shlex.join(map(str, command))
        self._jobs += 1
        (self.scratch / f"{self._jobs}.sh").write_text(text + "\n", encoding="utf-8")
        names = [self.scratch / f"{self._jobs}.{end}" for end in ("out", "err")]
        told = [0, 0]

        def meanwhile():
            for i, file in enumerate(tell or ()):
                told[i] += _copy_from(names[i], told[i], file)

        job = f"/scratch/{self._jobs}"
        began = time.monotonic()
        # What takes too long is ended there, so that the next one is heard.
        line = f"timeout -k 5 {timeout} bash {job}.sh >{job}.out 2>{job}.err"
        done = self._said(lambda: self._line.run(line, timeout + 60, meanwhile))
        if done.returncode in TIMED_OUT and time.monotonic() - began >= timeout:
            raise processes.LabError(f"after {timeout} s still running in level 1: {text}\n"
                                     f"{names[0].read_text()[-1000:]}{names[1].read_text()[-1000:]}")
        meanwhile()
        out, err = (name.read_bytes().decode(errors="replace") for name in names)
        return lines.Result(done.returncode, out, err)

    def ok(self, command, timeout=120):
        """The standard output of a command that must not fail."""
        done = self.run(command, timeout)
        if done.returncode != 0:
            raise processes.LabError(f"in level 1, `{command}` ended with {done.returncode}: "
                                     f"{(done.stdout + done.stderr).strip()[-2000:]}")
        return done.stdout

    def console(self):
        """What its kernel and QEMU have printed."""
        path = pathlib.Path(f"{self._stem}.console")
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def close(self):
        for child in reversed(self._children):
            processes.kill_now(child)
        self._children = []
        if self._line is not None:
            self._line.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _share(self, tag, source):
        """QEMU's options for a folder, by a process that serves it until QEMU has ended."""
        path = f"{self._stem}.{tag}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            self._begin([VIRTIOFSD, f"--fd={listener.fileno()}", "-o", f"source={source}",
                         "-o", "sandbox=chroot", "-o", "cache=auto"], listener)
        return ["-chardev", f"socket,id={tag},path={path}", "-device",
                # With MSI-X QEMU 7.2 crashes here, whoever the back-end is.
                f"vhost-user-fs-pci,chardev={tag},tag={tag},vectors=0"]

    def _command(self, kernel, initrd, serial, shares):
        size = f"{self._memory}M"
        return [QEMU, "-accel", "tcg", "-M", "pc,memory-backend=m0",
                # One of them: see above.
                "-cpu", "qemu64,+svm,+npt,+rdrand", "-smp", "1",
                "-m", size, "-object", f"memory-backend-memfd,id=m0,size={size},share=on",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", str(kernel), "-initrd", str(initrd), "-append",
                "console=ttyS0 panic=-1 quiet no_timer_check random.trust_cpu=on kit_port=ttyS1",
                "-serial", "stdio", "-chardev", f"socket,id=kit,fd={serial}",
                "-serial", "chardev:kit", *itertools.chain(*shares)]

    def _begin(self, words, *inherited):
        """Starts a process that ends with us, however we end."""
        with open(f"{self._stem}.console", "ab") as console:
            self._children.append(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words], stdin=subprocess.DEVNULL,
                stdout=console, stderr=console, pass_fds=[one.fileno() for one in inherited]))

    def _said(self, action):
        try:
            return action()
        except (lines.Silence, OSError) as error:
            raise processes.LabError(f"level 1: {error}\n--- the end of its console:\n"
                                     f"{self.console()[-3000:]}") from None


def _initrd(kernel):
    archive = cpio.Archive()
    for name in ("dev", "proc"):
        archive.folder(name)
    kits.add_busybox(archive)
    archive.file("init", (kits.HERE / "nested_init.sh").read_bytes())
    kits.add_modules(archive, kernel / "modules", MODULES)
    return kits.store(archive, "nested")


def _copy_from(path, offset, file):
    """What a growing file has behind `offset`; returns how much that was."""
    try:
        with open(path, "rb") as source:
            source.seek(offset)
            content = source.read()
    except FileNotFoundError:
        return 0
    file.write(content)
    file.flush()
    return len(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--timeout", type=float, default=600, metavar="S",
                        help="seconds that the command may take (default: 600)")
    parser.add_argument("--memory", type=int, default=3072, metavar="MIB", help="default: 3072")
    parser.add_argument("--keep", metavar="FOLDER",
                        help="where to copy what the command left in /scratch/kept")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    options = parser.parse_args()
    text = f"cd {shlex.quote(os.getcwd())} && {shlex.join(options.command)}"
    with tempfile.TemporaryDirectory(prefix="sluice-nested-") as folder:
        try:
            with Level(folder, options.memory) as level:
                done = level.run(text, options.timeout, (sys.stdout.buffer, sys.stderr.buffer))
                if options.keep:
                    shutil.copytree(level.scratch / "kept", options.keep, dirs_exist_ok=True)
                return done.returncode
        except kits.Missing as missing:
            print(f"nested.py: {missing}", file=sys.stderr)
            return 125
        except processes.LabError as error:
            print(f"nested.py: {error}", file=sys.stderr)
            return 124 if "still running" in str(error) else 125


if __name__ == "__main__":
    sys.exit(main())
