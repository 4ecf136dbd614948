"""Package managers under their profiles, against the registries that this machine has: the one
exception to tests that keep to namespaces of their own. Without a registry they skip."""

import os
import socket
import subprocess

import pytest

from harness import ENVIRONMENT, NOBODY, check

pytestmark = pytest.mark.xdist_group("registries")


def reachable(name, port):
    try:
        socket.create_connection((name, port), 5).close()
    except OSError:
        pytest.skip(f"{name} cannot be reached from here")


def run(t, profile, words, timeout=240):
    """As an ordinary user, in the namespace of the tests themselves."""
    command = [*NOBODY, t.path, "run", "--profile", profile, "--", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                          cwd=t.folder, env={**ENVIRONMENT, "HOME": t.folder})


def check_nothing_else(t, profile, url):
    done = run(t, profile, ["curl", "-sS", "-m", "20", "-o", "/dev/null", url])
    check(done.returncode != 0, f"{url} was reached under --profile {profile}: {done.stderr[-300:]}")


def test_npm_install_under_its_profile(t):
    reachable("registry.npmjs.org", 443)
    done = run(t, "node", ["npm", "install", "--no-audit", "--no-fund", "express"])
    check(done.returncode == 0, f"npm: {(done.stdout + done.stderr)[-600:]}")
    check(os.path.exists(f"{t.folder}/node_modules/express/package.json"), "express is installed")
    check_nothing_else(t, "node", "http://deb.debian.org/debian/")


def test_apt_update_under_its_profile(t):
    reachable("deb.debian.org", 80)
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    t.file("sources.list", f"deb [signed-by={key}] http://deb.debian.org/debian bookworm main\n")
    for folder in ("state/lists/partial", "cache/archives/partial", "parts"):
        os.makedirs(f"{t.folder}/{folder}")
        os.chmod(f"{t.folder}/{folder}", 0o777)
    for folder in ("state", "state/lists", "cache", "cache/archives"):
        os.chmod(f"{t.folder}/{folder}", 0o777)
    settings = {"Dir::State": f"{t.folder}/state", "Dir::Cache": f"{t.folder}/cache",
                "Dir::Etc::sourcelist": f"{t.folder}/sources.list", "Debug::NoLocking": "true",
                "Dir::Etc::sourceparts": f"{t.folder}/parts", "Acquire::Languages": "none",
                "Dir::State::status": "/var/lib/dpkg/status"}
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    done = run(t, "debian", ["apt-get", "update", "--error-on=any", *options])
    check(done.returncode == 0, f"apt-get: {(done.stdout + done.stderr)[-600:]}")
    check(any("bookworm" in name for name in os.listdir(f"{t.folder}/state/lists")), "lists came")
    check_nothing_else(t, "debian", "https://registry.npmjs.org/")
