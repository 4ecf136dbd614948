"""A machine's root that writes nonsense into the registers of its devices, in nested KVM: in
test_box.py's level 1."""

import shlex

import pytest

import box_place as places
from harness import check_equal

pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

# In the machine: takes devices from their drivers, reads and writes their registers at random, and
# gives them back. Queues lie where no memory is, or where devices are: what a device would write
# into the machine's memory is the machine's own harm, and ends it.
NONSENSE = """
import glob, mmap, os, random, re, struct, sys
DRIVERS = "/sys/bus/platform/drivers/virtio-mmio/"
random.seed(int(sys.argv[1]))
def device_of(driver):
    for path in glob.glob("/sys/bus/virtio/devices/*"):
        if os.path.basename(os.path.realpath(path + "/driver")) == driver:
            return os.path.basename(os.path.dirname(os.path.realpath(path)))
def registers_of(name):
    for line in open("/proc/iomem"):
        if line.split(" : ")[1].strip() == name:
            return int(line.split("-")[0], 16)
def tell(file, text):
    with open(DRIVERS + file, "w") as out: out.write(text)
def value(offset):
    if offset in (0x84, 0x94, 0xa4): return random.choice((1, 7, 0xffffffff))
    if offset in (0x80, 0x90, 0xa0): return random.choice((0xd0000f00, 0xfffffff0, 0xfee00000, 3))
    return random.choice((0, 1, 2, 3, 4, 8, 11, 15, 64, 128, 256, 0xffff, random.getrandbits(32)))
offsets = list(range(0, 0x100, 4)) + [0x70] * 30 + [0x30, 0x38, 0x44, 0x50] * 10
for driver in ("virtio_net", "virtio_rng"):
    name = device_of(driver)
    at = registers_of(name)
    tell("unbind", name)
    with open("/dev/mem", "r+b", buffering=0) as memory:
        mapped = mmap.mmap(memory.fileno(), 0x2000, offset=at & ~0xfff)
        words = memoryview(mapped).cast("I")
        for i in range(int(sys.argv[2])):
            offset = random.choice(offsets)
            where = ((at & 0xfff) + offset) // 4
            if i % 4 == 0: words[where]
            elif i % 50 == 1: words[random.randrange(len(words))] = random.getrandbits(32)
            else: words[where] = value(offset)
        words[((at & 0xfff) + 0x70) // 4] = 0
        words.release()
    tell("bind", name)
    print(driver, name)
"""


def test_registers_take_any_nonsense(box):
    (box.level.scratch / "nonsense.py").write_text(NONSENSE)
    words = "python3 /srv/nonsense.py 1 1500 && " \
            "for i in 1 2 3; do head -c 4096 /dev/hwrng | wc -c; done; " \
            "ip link set eth0 up; ip address add 10.0.2.15/24 dev eth0; " \
            "ip route replace default via 10.0.2.2; " \
            "curl -fsS --max-time 60 http://10.77.0.2/100000 | wc -c; exit 9"
    box.level.ok("mkdir -p /srv && cp /scratch/nonsense.py /srv")
    done = box.level.run(f"{box.sluice} box --cpus 2 --memory 256MiB --as-root -- sh -c "
                         f"{shlex.quote(words)}", places.SECONDS * 2)
    lines = done.stdout.split("\n")
    check_equal([line.partition(" ")[0] for line in lines[:2]], ["virtio_net", "virtio_rng"],
                f"devices: {done.stdout}{done.stderr}")
    check_equal(lines[2:6], ["4096", "4096", "4096", "100000"], f"afterwards: {done.stderr}")
    check_equal(done.returncode, 9, done.stderr)
    check_equal(box.left_behind(), "", "what is left behind")
