"""A kernel on box::Machine in nested KVM reads entropy, with the bindings of KVM and without."""

import pathlib
import re
import shlex
import tempfile

import pytest

from harness import check, check_equal
from machines import cpio
from machines import kit as kits
from machines import nested

# With the tests of boxes, one after another: each has a level 1 to run.
pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

# A kernel that boots two levels down, on a busy machine.
SECONDS = 240
INIT = b"""#!/bin/sh
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
cd /modules/*
for module in $(cat order); do insmod $module; done
count=$(dd if=/dev/hwrng bs=64 count=16 iflag=fullblock | wc -c)
clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
echo "<1>guest: read $count with $(grep -c ^processor /proc/cpuinfo) by $clock" >/dev/kmsg
poweroff -f
"""


@pytest.fixture(scope="module")
def boot(request):
    """What boots a kernel with some words: its Result."""
    program = pathlib.Path(request.config.option.sluice).resolve().parent / "tests" / "boot_machine"
    if not program.exists():
        pytest.skip(f"no {program}")
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-machine-") as folder:
            with nested.Level(folder) as level:
                kernel = kits.cloud_kernel()
                archive = cpio.Archive()
                for name in ("dev", "proc", "sys"):
                    archive.folder(name)
                kits.add_busybox(archive)
                kits.add_modules(archive, kernel / "modules", ("virtio_mmio", "virtio_rng"))
                archive.file("init", INIT)
                (level.scratch / "guest.cpio").write_bytes(archive.bytes())
                line = f"{shlex.quote(str(program))} {kernel}/vmlinuz /scratch/guest.cpio"
                yield lambda words: level.run(
                    f"{line} memory=256 few filter rng seconds={SECONDS} {words}", SECONDS + 60)
    except kits.Missing as missing:
        pytest.skip(str(missing))


def exits(done):
    """Of a Result: how many there were of each kind."""
    said = re.search(r"exits: (.*)", done.stderr)
    check(said, done.stderr)
    words = said[1].split()
    return dict(zip(words[::2], map(int, words[1::2])))


@pytest.mark.parametrize("words, cpus, notified", [
    ("cpus=2", 2, False),
    ("cpus=1 registers=off", 1, False),
    ("cpus=1 irqfd=off ioeventfd=off", 1, True),
])
def test_a_stock_kernel_reads_entropy(boot, words, cpus, notified):
    done = boot(words)
    check_equal(done.returncode, 0, f"powered off: {done.stdout[-2000:]}{done.stderr}")
    check(f"guest: read 1024 with {cpus} by kvm-clock" in done.stdout, done.stdout[-2000:])
    check_equal(exits(done)["notifies"] > 0, notified, "whether notifications came to us")
    # Some twenty bring the device up; each of as many interrupts would be two.
    if words == "cpus=2":
        check(exits(done)["mmio"] < 40, f"interrupts make no exits: {done.stderr}")
