"""Which programs were measured, and with what."""

import platform
import shutil
import subprocess

# How each program is asked, where it is not `--version`.
ASK = {"ping": ["-V"], "haproxy": ["-v"], "nginx": ["-v"], "rinetd": ["-v"], "socat": ["-V"]}
PACKAGES = ("passt", "slirp4netns", "iperf3", "rinetd", "haproxy", "nginx", "socat")


def version_of(path):
    """What a program says of itself, as one line; empty when it cannot be asked."""
    name = path.rpartition("/")[2]
    try:
        done = subprocess.run([path, *ASK.get(name, ["--version"])], capture_output=True, text=True,
                              check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if name == "socat":
        lines = [line for line in lines if line.startswith("socat version")] or lines
    return lines[0] if lines and "unknown" not in lines[0] else ""


def _package(name):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True,
                              text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def collect(options):
    """{program: version} of every engine and tool, and of Debian's packages of the peers.

    pasta of Debian 12 does not know its own version, so the package has to tell it.
    """
    found = {"python": platform.python_version()}
    for name in ("sluice", "pasta", "slirp4netns", "rinetd", "haproxy", "nginx", "socat", "iperf3",
                 "ping", "strace", "dnsperf"):
        path = getattr(options, name, None) or shutil.which(name)
        version = version_of(path) if path else ""
        if version:
            found[name] = version
    for name in PACKAGES:
        version = _package(name)
        if version:
            found[f"{name} package"] = version
    return found
