"""Where `sluice box` cannot run: a sentence, status 125, and nothing is left behind. No machine is
booted by these."""

import os
import subprocess
import time

import pytest

from harness import check, check_equal
from labkit import processes

# /dev with no more than a program needs, and what a test puts there.
FEW_DEVICES = ("mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && "
               "mknod -m 666 /dev/urandom c 1 9 && mknod -m 666 /dev/zero c 1 5")


@pytest.fixture
def refused(request):
    """The message of a box that must not start, in a mount namespace that `words` prepare."""
    if request.config.option.engine != "sluice":
        pytest.skip("of sluice only")

    def run(words, *box):
        command = ["unshare", "-m", "sh", "-c", f'{words} && exec "$@"', "-",
                   request.config.option.sluice, "box", *box, "--", "true"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = child.communicate(timeout=120)
        check_equal((child.returncode, out), (125, ""), err)
        check_equal(err.count("\n"), 1, f"lines that are said: {err}")
        check(err.startswith("sluice box: "), err)
        processes.wait_until(lambda: processes.descendants(child.pid) == [child.pid], 10,
                             "processes are left behind")
        return err

    return run


def test_without_kvm(refused):
    said = refused(FEW_DEVICES)
    check("/dev/kvm" in said and "; " in said, f"cause and mend: {said}")


def test_with_a_device_that_is_not_kvm(refused):
    said = refused(f"{FEW_DEVICES} && mknod -m 666 /dev/kvm c 1 3")
    check("/dev/kvm" in said, said)


def test_without_the_right_to_open_it(refused):
    if not os.path.exists("/dev/kvm"):
        pytest.skip("no /dev/kvm here")
    number = os.stat("/dev/kvm").st_rdev
    said = refused(f"{FEW_DEVICES} && mknod -m 600 /dev/kvm c {os.major(number)} {os.minor(number)}"
                   " && set -- setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"")
    check("/dev/kvm" in said and "Permission denied" in said, said)


def test_where_kvm_interprets(refused):
    if not (os.path.exists("/sys/module/kvm_pvm") and os.path.exists("/dev/kvm")):
        pytest.skip("KVM runs guests here, or there is none")
    before = time.monotonic()
    said = refused("true")
    check("interpret" in said, said)
    check(time.monotonic() - before < 60, "it took its time to find out")


def test_a_folder_that_is_not_there(refused):
    said = refused("true", "--share", "/nowhere")
    check("--share" in said and "/nowhere" in said, said)
    said = refused("true", "--root", "/etc/passwd")
    check("--root" in said and "/etc/passwd" in said, said)
