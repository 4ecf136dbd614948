"""A test in a process of its own, with network, mount and process namespaces of its own.

Ports never collide, nothing of a test is left behind, and one that hangs is ended with all that it
started. Without root a user namespace is used as well.
"""

import ctypes
import os
import pickle
import select
import signal
import subprocess
import time
import traceback

import pytest
from _pytest.runner import runtestprotocol

CLONE_NEWUSER = 0x10000000
NAMESPACES = 0x00020000 | 0x20000000 | 0x40000000  # CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET
MS_REC_PRIVATE = 0x4000 | 0x40000
PR_SET_PDEATHSIG = 1
# A test that runs for too long is told so inside; this much later it is ended from outside.
GRACE = 10
WHOLE = b"reports:"  # Goes before them; whatever else comes says why there are none.
_libc = ctypes.CDLL(None, use_errno=True)


def reports_of(item, limit):
    """What pytest reports of a test, or why there is no report."""
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _leave_after(_supervise, item, writing)
    os.close(writing)
    try:
        said = _read_all(reading, started + limit + GRACE)
    finally:
        # The first process inside dies with this one, and takes all others along.
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(reading)
    if said is None:
        return [_failed(item, f"still running after {limit + GRACE} s", started)]
    if not said.startswith(WHOLE):
        text = said.decode(errors="replace")
        return [_failed(item, f"its process ended with {status}: {text}", started)]
    return [item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
            for data in pickle.loads(said[len(WHOLE):])]


def _failed(item, why, started):
    return pytest.TestReport(item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed",
                             why, "call", duration=time.monotonic() - started)


def _read_all(reading, deadline):
    """Until the end; None when that does not come in time."""
    parts = []
    while select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _leave_after(action, item, writing):
    """Ends this forked process; nothing that its parent has to do at an end is done here."""
    status = 1
    try:
        status = action(item, writing)
    except BaseException:
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _supervise(item, writing):
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    user, group = os.geteuid(), os.getegid()
    _call("unshare", NAMESPACES if user == 0 else NAMESPACES | CLONE_NEWUSER)
    if user != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"),
                           ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    # Only a child of this process is in the new process namespace.
    inside = os.fork()
    if inside == 0:
        _leave_after(_run, item, writing)
    return abs(os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1]))


def _run(item, writing):
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    _call("mount", None, b"/", None, MS_REC_PRIVATE, None)
    _call("mount", b"proc", b"/proc", b"proc", 0, None)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hook = item.config.hook
    reports = [hook.pytest_report_to_serializable(config=item.config, report=report)
               for report in runtestprotocol(item, log=False)]
    with open(writing, "wb") as pipe:
        pipe.write(WHOLE + pickle.dumps(reports))
    return 0


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
