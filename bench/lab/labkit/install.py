"""What the lab needs from Debian and from this project's build, and how to get it."""

import os
import shutil
import subprocess
import sys

from . import forwarders, processes
from .forwarder_configs import KINDS
from .registry import ENGINES

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUILD = os.path.join(ROOT, "build/release")
SHELL = os.path.join(ROOT, ".ci/common.sh")
# Without these nothing is measured. Engines and forwarders are only missed.
TOOLS = {"ip": "iproute2", "iperf3": "iperf3", "ping": "iputils-ping", "nsenter": "util-linux",
         "chrt": "util-linux", "taskset": "util-linux", "setpriv": "util-linux",
         "unshare": "util-linux", "strace": "strace", "dnsperf": "dnsperf", "dig": "dnsutils"}


def missing_tools(options):
    packages = {package for tool, package in TOOLS.items() if not shutil.which(tool)}
    if options.plots and not _has_matplotlib():
        packages.add("python3-matplotlib")
    return packages


def _has_matplotlib():
    code = "import matplotlib"
    return subprocess.run([sys.executable, "-c", code], capture_output=True,
                          check=False).returncode == 0


def missing_peers(options):
    """{engine or forwarder: (why it is not there, Debian package or None)}"""
    found = {}
    for name, engine in ENGINES.items():
        path = getattr(options, engine.program)
        if name in options.wanted and not shutil.which(path):
            found[name] = (f"no {name} at {path}", engine.package)
    for name, why in forwarders.missing(options).items():
        if name in options.wanted:
            found[name] = (why, KINDS[name].package)
    return found


def install(options):
    """Everything of Debian's that the lab, its peers and the build need; then the build."""
    wanted = missing_tools(options)
    wanted |= {package for _, package in missing_peers(options).values() if package}
    _shell('install_packages "${build_packages[@]}" "$@" && ensure_tun', *sorted(wanted))


def _shell(script, *words):
    done = subprocess.run(["bash", "-c", f'. "$0"; {script}', SHELL, *words], check=False,
                          stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if done.returncode != 0:
        raise processes.LabError("installing failed; what was said stands above")


def is_built(options):
    return os.path.exists(options.sluice) and options.clients is not None


def build():
    """sluice and the clients in build/release."""
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", BUILD, "--target", "sluice", "lab_clients"]):
        done = subprocess.run(command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL,
                              stdout=sys.stderr)
        if done.returncode != 0:
            raise processes.LabError(f"`{' '.join(command)}` failed; what it said stands above")


def clients_folder():
    """That of build/release, or of the newest other build; None when there is none."""
    folder = os.path.dirname(BUILD)
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        server = os.path.join(folder, name, "clients", "lab-server")
        if os.path.exists(server):
            first = os.path.join(folder, name) == BUILD
            found.append((first, os.path.getmtime(server), os.path.dirname(server)))
    return max(found)[2] if found else None


def prepare(options):
    """Installs and builds as asked; LabError names everything that is then still missing.

    Returns the lines that say which engines this run goes without.
    """
    if os.geteuid() != 0:
        raise processes.LabError("namespaces need root: run it with sudo")
    if options.install:
        install(options)
    options.clients = options.clients or clients_folder()
    if options.build or (options.install and not is_built(options)):
        build()
        options.clients = options.clients or clients_folder()
    tools, peers = missing_tools(options), missing_peers(options)
    packages = sorted(tools | {package for _, package in peers.values() if package})
    line = f"apt-get install {' '.join(packages)}   (or: bench/lab/run --install)"
    if tools:
        raise processes.LabError(f"packages are missing: {line}")
    if not options.clients:
        raise processes.LabError("the clients are not built: bench/lab/run --build")
    if "sluice" in peers:
        raise processes.LabError(f"{peers['sluice'][0]}: bench/lab/run --build builds it")
    said = [why for why, _ in peers.values()]
    return [*said, f"to have them: {line}"] if packages else said
