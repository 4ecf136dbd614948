"""Processes as /proc shows them: descendants, namespaces, CPU time, memory, sockets."""

import os
import signal
import time

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class LabError(Exception):
    """A measurement or a test could not be made; the message says why."""


def wait_until(condition, timeout, what, interval=0.01):
    """Returns the first truthy value of condition(), or raises LabError naming `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"timed out after {timeout} s: {what}")
        time.sleep(interval)


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat_fields(pid):
    """The fields of /proc/PID/stat after the command's name, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def is_alive(pid):
    fields = _stat_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X")


def descendants(pid):
    """`pid` and every process below it, parents first."""
    children = {}
    for other in all_pids():
        fields = _stat_fields(other)
        if fields:
            children.setdefault(int(fields[1]), []).append(other)
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def of_session(leader):
    """The processes of a session, of which the leader may be gone."""
    found = []
    for pid in all_pids():
        fields = _stat_fields(pid)
        if fields and int(fields[3]) == leader:
            found.append(pid)
    return found


def net_namespace(pid):
    """The inode of a process's network namespace, or None."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def in_namespaces(inodes):
    return [pid for pid in all_pids() if net_namespace(pid) in inodes]


def kill_all(pids, grace=1.0):
    """SIGTERM, then SIGKILL to what is left after `grace` seconds."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            pids = [pid for pid in pids if is_alive(pid)]
            if not pids:
                return
            time.sleep(0.01)


def kill_now(child):
    """A child of ours, without a chance to tidy up."""
    child.kill()
    child.wait()


def holds_tap(pid):
    """Whether a process has /dev/net/tun open, or packets of a socket in its memory: then it is the
    one that serves."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"/proc/{pid}/fd/{name}") == "/dev/net/tun":
                return True
        except OSError:
            pass
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return any(line.split()[-1].startswith("socket:") for line in file)
    except OSError:
        return False


def cpu_seconds(pid):
    """(user, system) seconds of a process with all its threads."""
    fields = _stat_fields(pid)
    if fields is None:
        raise LabError(f"process {pid} ended while it was measured")
    return int(fields[11]) / CLOCK_TICKS, int(fields[12]) / CLOCK_TICKS


def _keyed_number(path, key):
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise LabError(f"{path} has no {key}")


def memory_kib(pid):
    """RSS, PSS and anonymous RSS in KiB."""
    return {
        "rss": _keyed_number(f"/proc/{pid}/status", "VmRSS"),
        "anon": _keyed_number(f"/proc/{pid}/status", "RssAnon"),
        "pss": _keyed_number(f"/proc/{pid}/smaps_rollup", "Pss"),
    }


def run_seconds(pid):
    """Seconds that all threads of a process ran: finer than cpu_seconds(), without its split.

    Threads that have ended are missing, so it is for processes that keep theirs.
    """
    nanoseconds = 0
    for task in _tasks(pid):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            nanoseconds += int(file.read().split()[0])
    return nanoseconds / 1e9


def _tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        raise LabError(f"process {pid} ended while it was measured") from None


def context_switches(pid):
    """(voluntary, involuntary) of all threads of a process."""
    paths = [f"/proc/{pid}/task/{task}/status" for task in _tasks(pid)]
    return tuple(sum(_keyed_number(path, key) for path in paths)
                 for key in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))


def voluntary_switches(pid):
    """How often all threads of a process went to sleep, which is how often they woke."""
    return context_switches(pid)[0]


def is_listening(pid, port, protocol="tcp"):
    """Whether a socket in the network namespace of `pid` listens on (UDP: is bound to) `port`."""
    wanted_state = "0A" if protocol == "tcp" else "07"
    for table in (protocol, protocol + "6"):
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == wanted_state and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False


def takes_peers(pid, path):
    """Whether a UNIX socket in the network namespace of `pid` listens at `path`, or takes datagrams
    there. That its file exists does not say so: a socket is bound before it listens."""
    datagrams, listens = "0002", "00010000"
    try:
        with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="replace") as table:
            rows = [row for row in map(str.split, table) if row[-1] == str(path)]
    except OSError:
        return False
    return any(row[4] == datagrams or row[3] == listens for row in rows)
