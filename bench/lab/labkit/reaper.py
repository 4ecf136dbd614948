"""Tidies up after a process that has made namespaces (netns.py), however it has ended.

    reaper.py STEM

Waits for the end of its standard input, whose other end only that process holds. Then it kills what
runs in namespaces whose names begin with STEM, and removes them. For a process that has removed its
own there is nothing to do.
"""

import os
import shutil
import subprocess
import sys
import time

# As a program it has no package around it.
if __name__ == "__main__":
    import processes
else:
    from . import processes

NAMES = "/run/netns"
_reaper = None


def start(stem):
    """Once for a process, whose namespaces all begin with `stem`: it goes when the process does."""
    global _reaper  # pylint: disable=global-statement
    if _reaper is None:
        # In a session of its own, so that what ends us by Ctrl-C or by our group does not end it.
        _reaper = subprocess.Popen([sys.executable, "-S", __file__, stem], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)


def tidy(stem):
    names = [name for name in os.listdir(NAMES) if name.startswith(stem)]
    inodes = set()
    for name in names:
        try:
            inodes.add(os.stat(f"{NAMES}/{name}").st_ino)
        except OSError:
            pass  # Somebody else has removed it.
    # Without a chance to tidy up: nobody waits for what they would say.
    processes.kill_all(processes.in_namespaces(inodes), grace=0)
    for name in names:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)


def main(stem):
    while sys.stdin.buffer.read(4096):
        pass
    # Again, for what was just being started.
    for _ in range(2):
        if os.path.isdir(NAMES):
            tidy(stem)
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
