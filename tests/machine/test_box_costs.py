"""What `sluice box` takes of the machine that it runs on, in nested KVM: in test_box.py's level 1."""

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
