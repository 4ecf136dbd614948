"""What guests boot, made once and kept under build/machine.

    packages/            Debian's cloud kernel as a package, which is unpacked and not installed
    kernel-VERSION/      vmlinuz and the modules of that package
    guest-KEY.cpio       the file system of all guests: busybox, our clients, iperf3, curl, modules
    qemu-10/             QEMU of Debian's backports, unpacked as well (backports.py)
    rootlesskit-2/       RootlessKit of the next Debian, the same
    nested-KEY.cpio      what a machine begins with whose files are ours (nested.py)

KEY covers all that is in the archive, so that nothing has to be thrown away by hand. A part that
this machine lacks raises Missing, which names the package.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from . import cpio

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build/machine"
CLOUD = "linux-image-cloud-amd64"
BUSYBOX = "/usr/bin/busybox"
UML_MODULES = "/usr/lib/uml/modules"
# With what they need. What a kernel has built in is not among its modules.
MODULES = ("virtio_pci", "virtio_net", "ipv6")
SCRIPTS = {"init": "guest_init.sh", "kit/dhcp": "guest_dhcp.sh", "kit/network": "guest_network.sh"}
# An archive that nobody has asked for in this long is removed.
DAYS_KEPT = 2
# Programs of this machine that guests have too, where it has them.
PROGRAMS = ("iperf3", "curl")


class Missing(Exception):
    """Something that a guest needs is not on this machine; the message names it."""


class Kit:
    """Paths of what guests boot."""

    def __init__(self, kernel, initrd, clients):
        self.kernel = kernel  # None where Debian's kernel could not be had; UML needs none.
        self.initrd = initrd
        self.clients = clients  # The folder on this machine that those in initrd are from.


def build(clients):
    """Makes what is not there yet. `clients`: the folder of the lab's clients, or None."""
    if not clients:
        raise Missing("the lab's clients are not built (ninja lab_clients)")
    with locked():
        kernel = _cloud_kernel()
        trees = [kernel / "modules"] if kernel else []
        trees += map(pathlib.Path, sorted(glob.glob(f"{UML_MODULES}/*")))
        initrd = _initrd(clients, trees)
    return Kit(kernel and kernel / "vmlinuz", initrd, clients)


@contextlib.contextmanager
def locked():
    """While it lasts, nobody else makes what the cache has not yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# The kernel.

def cloud_kernel():
    """The folder with its vmlinuz and its modules; None where it cannot be had."""
    with locked():
        return _cloud_kernel()


def _cloud_kernel():
    """The folder of the newest one at hand, or None where Debian's archive cannot be reached."""
    package = _package_of_cloud_kernel()
    if package:
        folder = CACHE / f"kernel-{package.partition('=')[2]}"
        if folder.is_dir() or _unpack(package, folder):
            return folder
    known = sorted(CACHE.glob("kernel-*"), key=lambda folder: folder.stat().st_mtime)
    return known[-1] if known else None


def _package_of_cloud_kernel():
    """NAME=VERSION of the package that the newest cloud kernel is in, as apt has it."""
    said = _output(["apt-cache", "show", "--no-all-versions", CLOUD])
    name = re.search(r"^Depends:.*?(linux-image-\S+-cloud-amd64)", said, re.MULTILINE)
    version = re.search(r"^Version: (\S+)", said, re.MULTILINE)
    return f"{name[1]}={version[1]}" if name and version else None


def _unpack(package, folder):
    packages = CACHE / "packages"
    packages.mkdir(exist_ok=True)
    # By apt's own user, who may not look into any folder: as ours.
    fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
    name = package.partition("=")[0]
    if subprocess.run(fetch, cwd=packages, capture_output=True, check=False).returncode != 0:
        return False
    newest = max(packages.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        subprocess.run(["dpkg", "-x", newest, scratch], check=True)
        made = pathlib.Path(scratch, "made")
        made.mkdir()
        shutil.move(glob.glob(f"{scratch}/boot/vmlinuz-*")[0], made / "vmlinuz")
        shutil.move(glob.glob(f"{scratch}/lib/modules/*")[0], made / "modules")
        # Modules are found by the version that the kernel calls itself.
        version = glob.glob(f"{scratch}/boot/config-*")[0].partition("/boot/config-")[2]
        (made / "modules/release").write_text(version, encoding="ascii")
        made.rename(folder)
    newest.unlink()
    return True


# The file system.

def _initrd(clients, trees):
    archive = cpio.Archive()
    for name in ("dev", "proc", "sys", "tmp", "run", "etc"):
        archive.folder(name)
    add_busybox(archive)
    for path, source in SCRIPTS.items():
        archive.file(path, _read(HERE / source))
    archive.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
    archive.file("etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n", 0o644)
    _add_programs(archive, clients)
    for tree in trees:
        add_modules(archive, tree, MODULES)
    return store(archive, "guest")


def add_busybox(archive):
    """/bin: a shell and the usual programs, all of them one."""
    if not os.access(BUSYBOX, os.X_OK) or _libraries([BUSYBOX]):
        raise Missing("no static busybox (package busybox-static)")
    archive.file("bin/busybox", _read(BUSYBOX))
    for applet in _output([BUSYBOX, "--list"]).split():
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")


def store(archive, stem):
    """The path of an archive, which is written where it is not there yet."""
    content = archive.bytes()
    path = CACHE / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.cpio"
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.rename(path)
    os.utime(path)
    _forget_old()
    return path


def _forget_old():
    """Each build of the clients makes an archive anew; a guest that reboots may read its own."""
    for path in CACHE.glob("*-*.cpio"):
        if time.time() - path.stat().st_mtime > DAYS_KEPT * 86400:
            path.unlink()


def _add_programs(archive, clients):
    programs = [found for name in PROGRAMS if (found := shutil.which(name))]
    programs += sorted(path for path in glob.glob(f"{clients}/*") if not path.endswith(".so"))
    for program in programs:
        archive.file(f"kit/{os.path.basename(program)}", _read(program))
    for library in _libraries(programs):
        # The loader is looked for where the programs say, the others where the loader looks.
        folder = "lib64" if os.path.basename(library).startswith("ld-linux") else "lib"
        archive.file(f"{folder}/{os.path.basename(library)}", _read(library))


def _libraries(programs):
    """Paths of the shared libraries that programs are linked to."""
    paths = set()
    for program in programs:
        said = _output(["ldd", program])
        paths |= set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE))
    return sorted(paths)


def add_modules(archive, tree, names):
    """/modules/VERSION: these of a tree, with what they need, and their order."""
    release = tree / "release"
    version = release.read_text(encoding="ascii") if release.exists() else tree.name
    paths = {path.stem.replace("-", "_"): path for path in tree.rglob("*.ko")}
    order = []

    def add(name):
        """A module, after those that it says it depends on."""
        if name not in paths or paths[name].name in order:
            return
        content = _read(paths[name])
        said = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in said[1].decode().split(",") if said else ():
            add(needed.replace("-", "_"))
        archive.file(f"modules/{version}/{paths[name].name}", content, 0o644)
        order.append(paths[name].name)

    for name in names:
        add(name)
    archive.file(f"modules/{version}/order", "\n".join(order).encode() + b"\n", 0o644)


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _output(command):
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return ""
