"""What `sluice box` takes of the machine that it runs on, in nested KVM: in test_box.py's level 1."""

import re
import shlex

import pytest

import box_place as places
from harness import check, check_equal

pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

# What the monitor may hold beside its machine's memory.
MONITOR_KIB = 12 << 10

# Pages that are the process's own: anonymous, and of files that nobody else has mapped. Its
# machine's memory and the registers that this one shows it are memfds.
MEMORY = """
import sys
own = {"anonymous": 0, "files": 0, "machine": 0}
name = ""
for line in open(f"/proc/{sys.argv[1]}/smaps"):
    words = line.split()
    if not words[0].endswith(":"):
        name = words[5] if len(words) > 5 else ""
    elif "memfd:" in name:
        own["machine"] += int(words[1]) if words[0] == "Rss:" else 0
    elif words[0] == "Anonymous:":
        own["anonymous"] += int(words[1])
        own["files"] -= int(words[1])
    elif words[0] in ("Private_Clean:", "Private_Dirty:"):
        own["files"] += int(words[1])
print(*own.values())
"""


def test_the_monitor_is_small_beside_its_machine(box):
    (box.level.scratch / "memory.py").write_text(MEMORY)
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -c "
        "'curl -fsS http://10.77.0.2/8388608 | wc -c; echo ready; sleep 1000' >/run/said & pid=$!\n"
        "for i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "cat /run/said; python3 /scratch/memory.py $pid; kill $pid; wait $pid; rm /run/said",
        places.SECONDS)
    words = done.stdout.split()
    check_equal(words[:2], ["8388608", "ready"], done.stderr)
    anonymous, files, machine = map(int, words[2:5])
    print(f"anonymous {anonymous} KiB, of files {files} KiB; the machine has touched {machine} KiB")
    check(32 << 10 < machine < 256 << 10, f"{machine} KiB are the machine's")
    check(anonymous + files <= MONITOR_KIB, f"{anonymous} KiB anonymous, {files} KiB of files")


# In level 1: a box with a preloaded counter of allocations (bench/profile), whose command makes so
# many connect cycles each time that it reads a line, or sleeps for 10 s; for each how many
# allocations there were, and how many seconds it took.
CYCLES = """
import mmap, os, struct, subprocess, sys, time
counters, counts, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
with open(counters, "wb") as file: file.write(bytes(40))
with open(counters, "rb") as file: seen = mmap.mmap(file.fileno(), 40, prot=mmap.PROT_READ)
allocated = lambda: sum(struct.unpack("=5Q", seen[:])[1:3])
box = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for count in counts:
    before, began = allocated(), time.monotonic()
    box.stdin.write(count + chr(10)); box.stdin.flush()
    answer = box.stdout.readline()
    if not answer.startswith("done"): sys.exit("the command ended: " + answer)
    print(allocated() - before, time.monotonic() - began)
box.stdin.close()
sys.exit(box.wait())
"""
SERVER = "ip netns exec srv sh -c 'sleep 100000 | exec setsid {}/lab-server --echo 7007' " \
         "</dev/null >/run/lab-server 2>&1 &\n" \
         "for i in $(seq 100); do grep -q ready /run/lab-server && exit 0; sleep 0.1; done; exit 1"


def test_a_connect_cycle_allocates_nothing(box):
    clients = box.options.clients
    box.level.ok(SERVER.format(shlex.quote(clients)))
    (box.level.scratch / "cycles.py").write_text(CYCLES)
    library = shlex.quote(f"{clients}/libmalloc_count.so")
    words = f"while read -r n; do if [ $n = 0 ]; then sleep 10; else {clients}/crr-client 10.77.0.2 " \
            "7007 $n >/dev/null; fi; echo done; done"
    # The first makes what stays: tables grow with the flows that there have been at once, and those
    # that have ended are kept for a while.
    counts = (1000, 0, 500)
    done = box.level.run(
        f"python3 /scratch/cycles.py /run/counters {','.join(map(str, counts))} env "
        f"LD_PRELOAD={library} MALLOC_COUNT_FILE=/run/counters MALLOC_COUNT_PROGRAM=sluice "
        f"{box.sluice} box --cpus 1 --memory 256MiB --as-root -- sh -c {shlex.quote(words)}",
        places.SECONDS * 2)
    check_equal(done.returncode, 0, f"{done.stdout}{done.stderr}")
    idle, busy = ([float(word) for word in line.split()] for line in done.stdout.splitlines()[1:])
    print(f"allocations: {idle[0]:.0f} in {idle[1]:.1f} s of rest, {busy[0]:.0f} in {busy[1]:.1f} s "
          f"with {counts[2]} cycles")
    # Some come by the clock while there is work, not by cycles: one or two a second.
    check(busy[0] < busy[1] * 2 + counts[2] / 100, f"{busy[0]:.0f} in {busy[1]:.1f} s")


def test_stages_of_a_start_are_told(box):
    done = box.box("true", "-v")
    check_equal(done.returncode, 0, done.stderr)
    stages = re.findall(r"boot: ([0-9.]+) s: (.*)", done.stderr)
    print("\n".join(f"{seconds} s: {name}" for seconds, name in stages))
    ours = [name.split()[0] for _, name in stages]
    check_equal([name for name in ours if name in ("KVM", "machine", "processors", "command")],
                ["KVM", "machine", "processors", "command"], done.stderr)
