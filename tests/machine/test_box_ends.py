"""Boxes whose machine does not answer, and what many boxes leave, in nested KVM: in test_box.py's
level 1."""

import shlex
import struct

import pytest

import box_place as places
from harness import check, check_equal

pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

# For ever, with interrupts off: cli; jmp.
HANGS = b"\xfa\xeb\xfe"
# Where a kernel lies.
ADDRESS = 0x100_0000
# How long a machine may take to start its command.
BOOT_SECONDS = 300


def kernel_that_hangs(version):
    """An ELF file that says it is Linux, and does nothing but hang."""
    content = HANGS + f"Linux version {version} (of a test)\0".encode()
    headers = 64 + 56
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, ADDRESS, 64, 0, 0,
                         64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, headers, ADDRESS, ADDRESS, len(content), len(content),
                          0x1000)
    return header + segment + content


@pytest.fixture
def hanging(box):
    """The path of such a kernel in level 1."""
    (box.level.scratch / "hangs").write_bytes(kernel_that_hangs(box.level.kernel))
    return "/scratch/hangs"


@pytest.mark.parametrize("name, status", [("TERM", 143), ("INT", 130)])
def test_a_kernel_that_hangs_is_ended_by_a_signal(box, hanging, name, status):
    # What a shell starts in the background ignores SIGINT.
    done = box.level.run(
        f"env --default-signal=INT {box.sluice} box --cpus 2 --memory 256MiB --kernel {hanging} -- "
        "echo never & pid=$!\n"
        "for i in $(seq 300); do ls /sys/kernel/debug/kvm | grep -q ^$pid- && break; sleep 0.1; done\n"
        f"sleep 5; kill -{name} $pid; wait $pid; echo $?", places.SECONDS)
    check_equal(done.stdout.split(), [str(status)], done.stderr)
    check_equal(box.left_behind(), "", "what is left behind")


@pytest.mark.slow
def test_a_kernel_that_hangs_is_ended_by_the_time_that_a_boot_has(box, hanging):
    done = box.box("echo never", "--kernel", hanging, timeout=BOOT_SECONDS + places.SECONDS)
    check_equal((done.returncode, done.stdout), (125, ""), done.stderr)
    check(f"{BOOT_SECONDS} s" in done.stderr, f"what is said: {done.stderr}")
    check_equal(box.left_behind(), "", "what is left behind")


def test_a_machine_that_hangs_later_is_ended_by_the_third_signal(box):
    # A loop before all other work, on the only processor: nothing else of the machine is heard of.
    words = "echo -1 >/proc/sys/kernel/sched_rt_runtime_us; echo ready; sleep 2; " \
            "exec chrt -f 99 sh -c 'while :; do :; done'"
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB --as-root -- sh -c {shlex.quote(words)} "
        ">/run/said & pid=$!\n"
        "for i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "sleep 5; kill -TERM $pid; sleep 3; kill -0 $pid && echo lives; kill -TERM $pid; "
        "kill -TERM $pid; wait $pid; echo $?; rm /run/said", places.SECONDS)
    check_equal(done.stdout.split(), ["lives", "143"], done.stderr)
    check_equal(box.left_behind(), "", "what is left behind")


def held(box):
    """What boxes could leave beside processes: files, sockets with names, machines of KVM; and the
    number of open files, which others of level 1 change a little."""
    # Others of this machine are at work in the files below level 1's, but not in these.
    said = box.level.ok(
        "ls -A /run /dev/shm /root /root/.cache 2>/dev/null; ip netns; "
        "grep -c sluice /proc/net/unix; ls /sys/kernel/debug/kvm | grep -- - ; "
        "findmnt -rno TARGET; cut -f1 /proc/sys/fs/file-nr")
    rest, _, files = said.rstrip().rpartition("\n")
    return rest, int(files)


@pytest.mark.within(7200)
def test_several_boxes_leave_nothing_behind(box):
    check_equal(box.box("exit 3").returncode, 3, "the first")
    before, (rest, files) = box.left_behind(), held(box)
    count = 2 if box.options.fast else 50
    for _ in range(count):
        check_equal(box.box("exit 3").returncode, 3, "one after another")
    done = box.level.run("for i in 1 2 3 4; do "
                         f"{box.sluice} box --cpus 1 --memory 192MiB -- sh -c \"exit 1$i\" & "
                         "pids=\"$pids $!\"; done\nfor pid in $pids; do wait $pid; echo $?; done",
                         places.SECONDS * 2)
    check_equal(done.stdout.split(), ["11", "12", "13", "14"], done.stderr)
    check_equal(box.left_behind(), before, "what is left behind")
    rest_after, files_after = held(box)
    print(f"{count} boxes and 4 at once: {files} files were open before, {files_after} after")
    check_equal(rest_after, rest, "what is there")
    # The kernel counts them by the batch.
    check(files_after < files + 64, f"{files} files were open before, {files_after} after")


def test_what_serves_files_holds_nothing_else_of_the_monitors(box):
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -c 'echo ready; sleep 1000' >/run/said & "
        "pid=$!\nfor i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "for server in $(pgrep virtiofsd); do ls -l /proc/$server/fd; done >/run/held\n"
        "grep -c ' -> ' /run/held; grep -E 'kvm|/dev/net|timerfd' /run/held; "
        "kill -TERM $pid; wait $pid; echo $?; rm /run/said /run/held", places.SECONDS)
    words = done.stdout.split("\n")
    check(int(words[0]) > 0, f"descriptors of virtiofsd: {done.stdout}{done.stderr}")
    check_equal(words[1:], ["143", ""], f"{done.stdout}{done.stderr}")
