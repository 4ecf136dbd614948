"""A small Debian of its own: a tree that mmdebstrap has made, with a layer in memory above it, mounted
as the root of namespaces. What is installed in it is gone with them."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

# What a person has who tries the program: a shell that completes, manuals, servers to reach.
INCLUDED = "man-db,bash-completion,iproute2,busybox,procps,mount"
SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
# pivot_root rather than chroot: in a chroot the kernel makes no user namespaces.
MOUNT = r"""
set -eu
base=$1 layer=$2
mount -t tmpfs -o mode=755 layer "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" system "$layer/root"
cd "$layer/root"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs -o mode=755 run run
cat /etc/resolv.conf >etc/resolv.conf
pivot_root . .
umount -l .
exec sleep infinity
"""
ALONE = 'ip link set lo up; exec "$@"'


def make_base(folder):
    """The tree below all systems. Its lists of packages stay, so that nothing is asked for twice."""
    sources = next(path for path in SOURCES if os.path.exists(path))
    quiet = "echo man-db man-db/auto-update boolean false"
    command = ["mmdebstrap", "--variant=apt", f"--include={INCLUDED}", "--skip=cleanup/apt/lists",
               "--aptopt=Acquire::Languages \"none\"",
               f'--essential-hook={quiet} | chroot "$1" debconf-set-selections',
               "bookworm", str(folder), sources]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    # Services are not started: nobody supervises them here.
    policy = pathlib.Path(folder) / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


class System:
    def __init__(self, base):
        self._layer = tempfile.mkdtemp(prefix="sluice-system-")
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
             "sh", "-c", MOUNT, "sh", str(base), self._layer])
        self._first = self._first_process()
        self.run("useradd -m guest")

    def _first_process(self):
        """The process that is 1 in there, once all is mounted."""
        children = f"/proc/{self._holder.pid}/task/{self._holder.pid}/children"
        for _ in range(600):
            assert self._holder.poll() is None, "the system could not be mounted"
            found = pathlib.Path(children).read_text().split()
            if found and pathlib.Path(f"/proc/{found[0]}/comm").read_text() == "sleep\n":
                return found[0]
            time.sleep(0.1)
        raise TimeoutError("the system was not mounted within a minute")

    def command(self, words, user=None, alone=False):
        """The whole command line that starts `words` in there; alone: with a network of its own."""
        line = ["nsenter", "--target", self._first, "--mount", "--pid", "--root", "--wdns=/", "env", "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm",
                "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "HOME=/root"]
        if alone:
            line += ["unshare", "--net", "sh", "-c", ALONE, "sh"]
        if user:
            line += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env",
                     f"HOME=/home/{user}"]
        return [*line, *words]

    def run(self, script, status=0, **how):
        """A shell script in there; its output, both kinds in one. Any status is fine with None."""
        done = subprocess.run(self.command(["bash", "-c", script], **how), text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=300)
        assert status in (None, done.returncode), f"{script}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def bring(self, path):
        """Copies a file to /root."""
        with open(path, "rb") as file:
            subprocess.run(self.command(["sh", "-c", 'cat >"$0"', f"/root/{os.path.basename(path)}"]),
                           stdin=file, check=True)

    def end(self):
        self._holder.kill()
        self._holder.wait()
        shutil.rmtree(self._layer, ignore_errors=True)
