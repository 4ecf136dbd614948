"""Programs of Debian's backports, and of the next Debian, unpacked beside what this machine has
installed."""

import os
import pathlib
import subprocess
import tempfile

from . import kit as kits

ARCHIVE = "http://deb.debian.org/debian"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
BACKPORTS = "bookworm-backports"
NEXT = "trixie"
QEMU = ("qemu-system-x86", "qemu-system-common")


def qemu():
    """The folder of QEMU 10, as its packages have it; made at the first call."""
    return _unpacked("qemu-10", BACKPORTS, QEMU)


def rootlesskit():
    """The path of RootlessKit 2, which knows pasta. It stands for itself."""
    return _unpacked("rootlesskit-2", NEXT, ("rootlesskit",)) / "usr/bin/rootlesskit"


def _unpacked(name, suite, packages):
    made = kits.CACHE / name
    with kits.locked():
        if made.is_dir():
            return made
        with tempfile.TemporaryDirectory(dir=kits.CACHE) as scratch:
            fresh = pathlib.Path(scratch, "tree")
            for package in _fetched(pathlib.Path(scratch), suite, packages):
                subprocess.run(["dpkg", "-x", package, fresh], check=True)
            fresh.rename(made)
    return made


def _fetched(folder, suite, packages):
    """Downloads by lists of their own: what apt installs from stays as it is."""
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYS}] {ARCHIVE} {suite} main\n", encoding="ascii")
    (folder / "lists/partial").mkdir(parents=True)
    settings = {"Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": os.devnull,
                "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache",
                "APT::Sandbox::User": "root"}
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    for words in (["update"], ["download", *packages]):
        done = subprocess.run(["apt-get", "-qq", *options, *words], cwd=folder, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            names = " and ".join(packages)
            raise kits.Missing(f"no {names} of {suite}: {done.stderr.strip()[-200:]}")
    return sorted(folder.glob("*.deb"))
