"""`sluice box --fetch-kernel` by a real apt and an archive of ours, in nested KVM: in test_box.py's
level 1."""

import pytest

import box_place as places
import debian_archive
from harness import check, check_equal
from machines import kit as kits

pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

# Nothing that could be found is there, and apt knows this archive alone.
APT = """
export HOME=/run/fetched XDG_CACHE_HOME= APT_CONFIG=/scratch/apt.conf
mkdir -p $HOME/lists/partial $HOME/cache/archives/partial
apt-get -q update >&2 || exit 1
"""
CONFIGURATION = """
Dir::Etc::SourceList "/scratch/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "/run/fetched/lists";
Dir::Cache "/run/fetched/cache";
APT::Sandbox::User "root";
"""
HIDDEN = "unshare -m sh -c 'mount -t tmpfs none /boot && mount -t tmpfs none /lib/modules && \"$@\"' -"


@pytest.fixture
def fetch(box):
    """Runs a box of words that finds no kernel but by apt."""
    debian_archive.make(box.level.scratch / "archive", kits.cloud_kernel())
    (box.level.scratch / "sources.list").write_text("deb [trusted=yes] file:/scratch/archive ./\n")
    (box.level.scratch / "apt.conf").write_text(CONFIGURATION)
    box.level.ok(APT, places.SECONDS)
    variables = "env HOME=/run/fetched XDG_CACHE_HOME= APT_CONFIG=/scratch/apt.conf"
    yield lambda words, *options: box.box(words, *options, before=f"{variables} {HIDDEN}")
    box.level.ok("rm -rf /run/fetched")


def test_a_kernel_is_fetched_and_found_again(box, fetch):
    refused = fetch("true")
    check_equal(refused.returncode, 125, refused.stderr)
    check("--fetch-kernel" in refused.stderr, f"the mend: {refused.stderr}")
    done = fetch("uname -r", "-v", "--fetch-kernel")
    check_equal((done.returncode, done.stdout), (0, f"{box.level.kernel}\n"), done.stderr)
    check("unpacking linux-image-" in done.stderr, f"what is told: {done.stderr}")
    for options in ((), ("-v", "--fetch-kernel")):
        done = fetch("uname -r", *options)
        check_equal(done.stdout, f"{box.level.kernel}\n", done.stderr)
        check("unpacking" not in done.stderr, f"what is told: {done.stderr}")
    left = box.level.ok("ls -A /run/fetched/.cache/sluice/kernel").split()
    check_equal(len(left), 2, f"a lock and a kernel: {left}")
