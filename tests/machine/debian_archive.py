"""An archive of Debian packages in a folder, that apt takes as it takes Debian's: a kernel in it, and
the package that stands for the newest one. Packages are made without dpkg-deb's compression."""

import hashlib
import shutil
import subprocess

STANDS_FOR = "linux-image-cloud-amd64"
# Of the kernel's modules, those that a box asks for are among these.
PARTS = ("drivers/char", "drivers/net/net_failover.ko", "drivers/net/virtio_net.ko", "drivers/virtio",
         "fs/fuse", "fs/overlayfs", "net/core", "net/ipv6", "net/packet")


def make(folder, kernel):
    """`kernel`: a folder of machines.kit's; the archive has the version that it calls itself."""
    release = (kernel / "modules/release").read_text(encoding="ascii")
    version = kernel.name.partition("-")[2]
    name = f"linux-image-{release}"
    folder.mkdir()
    tree = folder / "tree"
    modules = tree / "lib/modules" / release
    (tree / "boot").mkdir(parents=True)
    shutil.copy(kernel / "vmlinuz", tree / f"boot/vmlinuz-{release}")
    for part in PARTS:
        _copy(kernel / "modules/kernel" / part, modules / "kernel" / part)
    for index in kernel.glob("modules/modules.*"):
        shutil.copy(index, modules)
    stanzas = [_package(folder, tree, name, version, ""),
               _package(folder, folder / "empty", STANDS_FOR, version, f"{name} (= {version})")]
    (folder / "Packages").write_text("\n".join(stanzas), encoding="ascii")
    shutil.rmtree(tree)
    return release


def _copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _package(folder, tree, name, version, depends):
    """Builds it, and returns what the archive's index says of it."""
    control = {"Package": name, "Version": version, "Architecture": "amd64",
               "Maintainer": "tests/machine <root@localhost>", "Description": "a kernel of a test"}
    if depends:
        control["Depends"] = depends
    said = "".join(f"{key}: {value}\n" for key, value in control.items())
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(said, encoding="ascii")
    file = folder / f"{name}_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, file], check=True,
                   capture_output=True)
    content = file.read_bytes()
    return (f"{said}Filename: ./{file.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n")
