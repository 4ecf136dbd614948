"""Times COUNT starts of a command to its end, and prints the seconds of each as JSON.

    startup.py COUNT COMMAND…

A process of its own, so that what is timed is one fork, exec and wait, not the lab's bookkeeping.
"""

import json
import os
import signal
import sys
import time


def once(command):
    started = time.perf_counter()
    # Python ignores SIGPIPE; a command that inherits that is not as a shell would start it, and
    # Debian 12's pasta even refuses to run.
    pid = os.posix_spawnp(command[0], command, os.environ, setsigdef=[signal.SIGPIPE])
    _, status = os.waitpid(pid, 0)
    elapsed = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{command[0]} ended with status {os.waitstatus_to_exitcode(status)}")
    return elapsed


print(json.dumps([once(sys.argv[2:]) for _ in range(int(sys.argv[1]))]))
