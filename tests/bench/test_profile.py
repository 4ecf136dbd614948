"""The parts of bench/profile: stacks, the SVG, the table of strace, the counter of allocations."""

import glob
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as tree

import pytest

from labkit import strace
from profilekit import allocations, flame, stacks, summary
from profilekit.stacks import Frame
from profilekit.workloads import Work

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SVG = "{http://www.w3.org/2000/svg}"

PERF_SCRIPT = """\
sluice  4242 
\tffffffff8184eb6d _copy_to_iter+0x5d ([kernel.kallsyms])
\tffffffffc0312345 tun_do_read+0x1 ([tun])
\t           1082bd __libc_sendmsg+0x4d (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t            4f0a1 sluice::host::(anonymous namespace)::send(int, std::span<char>) (/opt/sluice)
\t                0 [unknown] ([unknown])

sluice  4242 
\t            4f0a1 sluice::host::(anonymous namespace)::send(int, std::span<char>) (/opt/sluice)

sluice  4242 
\t            4f0a1 main (/opt/sluice (deleted))

"""

SUMMARY = """\
    calls    errors     seconds syscall
--------- --------- ----------- ----------------
       12         2    0.000103 read
     4000              0.100000 epoll_wait
--------- --------- ----------- ----------------
     4012         2    0.100103 total
"""


class TestStacks:
    @pytest.fixture(autouse=True)
    def parsed(self):
        self.stacks = stacks.parse(PERF_SCRIPT.splitlines(keepends=True))

    def test_frames_have_kinds_and_the_outermost_is_first(self):
        longest = max(self.stacks, key=len)
        assert [frame.kind for frame in longest] == ["engine", "library", "kernel", "kernel"]
        assert longest[0].label == "host::send"

    def test_shares(self):
        assert sum(self.stacks.values()) == 3
        assert stacks.by_kind(self.stacks) == {"engine": 2, "library": 0, "kernel": 1, "unknown": 0}
        totals = {frame.label: (own, total)
                  for frame, own, total in stacks.hottest(self.stacks)}
        assert totals["host::send"] == (1, 2)

    def test_recursion_counts_a_sample_once(self):
        frame = Frame("walk", "engine")
        assert stacks.hottest({(frame, frame, frame): 5}) == [(frame, 5, 5)]

    def test_folded_lines(self):
        assert "main 1" in stacks.folded(self.stacks)

    def test_short_names(self):
        for full, short in (
                ("std::vector<int, std::allocator<int> >::push_back(int&&)",
                 "std::vector::push_back"),
                ("void run<a::B>(a::B const&)", "run"),
                ("a::f(int)::{lambda(b::C<d>)#1}::operator()(b::C<d>) const",
                 "a::f::{lambda#1}::operator()"),
                ("operator new(unsigned long)", "operator new"),
                ("tcp_ack", "tcp_ack"), ("do_one.constprop.0", "do_one.constprop.0")):
            assert stacks.short_name(full) == short


class TestFlameGraph:
    def test_boxes_are_as_wide_as_their_share(self):
        root, left, right = (Frame(name, "engine") for name in ("main", "a<b>", "c&d"))
        text = flame.svg({(root, left): 3, (root, right): 1}, "head", "detail")
        widths = {}
        for group in tree.fromstring(text).iter(SVG + "g"):
            name = group.find(SVG + "title").text.partition(": ")[0]
            widths[name] = float(group.find(SVG + "rect").get("width"))
        assert widths["main"] == pytest.approx(widths["all"])
        assert widths["a<b>"] == pytest.approx(widths["main"] * 3 / 4)
        assert widths["c&d"] == pytest.approx(widths["main"] / 4)

    def test_text_stays_in_its_box(self):
        stack = (Frame("a_function_with_a_long_name" * 20, "kernel"),)
        other = (Frame("x", "kernel"),)
        for group in tree.fromstring(flame.svg({stack: 1, other: 9}, "h", "d")).iter(SVG + "g"):
            text = group.find(SVG + "text")
            width = float(group.find(SVG + "rect").get("width"))
            if text is not None:
                assert len(text.text) * flame.LETTER <= width

    def test_without_samples_it_says_so(self):
        assert "no samples" in "".join(tree.fromstring(flame.svg({}, "h", "d")).itertext())


class TestSystemCalls:
    def test_summary(self):
        rows = strace.parse_summary(SUMMARY)
        assert rows[0] == {"name": "epoll_wait", "calls": 4000, "errors": 0, "seconds": 0.1}
        assert rows[1]["errors"] == 2
        assert len(rows) == 2
        total = summary.syscall_lines(rows, Work(100, ""), "MB")[-1].split()
        assert total == ["4,012", "2", "0.100", "40.120", "total"]

    @pytest.mark.skipif(not shutil.which("strace") or os.geteuid() != 0,
                        reason="needs strace and root")
    def test_a_process_is_counted(self):
        child = subprocess.Popen(
            [sys.executable, "-uc", "import os, sys\nprint('x')\nsys.stdin.readline()\n"
             "for _ in range(500): os.getppid()\nprint('y')\nsys.stdin.readline()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            child.stdout.readline()
            with strace.SystemCalls([child.pid]) as calls:
                child.stdin.write(b"\n")
                child.stdin.flush()
                child.stdout.readline()
            counted = {row["name"]: row["calls"] for row in calls.rows}
            assert counted["getppid"] == 500
        finally:
            child.communicate(b"\n", timeout=10)


def library():
    found = glob.glob(os.path.join(ROOT, "build", "*", "clients", allocations.LIBRARY))
    return max(found, key=os.path.getmtime, default=None)


@pytest.mark.skipif(not library(), reason="libmalloc_count.so is not built")
class TestAllocations:
    @pytest.fixture
    def preload(self):
        preload = allocations.Preload(library(), shutil.which("python3"))
        yield preload
        preload.close()

    def test_a_program_and_what_it_forks_are_counted(self, preload):
        make = "x = [bytearray(1 << 20) for _ in range(20)]"
        subprocess.run([preload.path, "-c", f"import os\n{make}\n"
                        f"if os.fork() == 0:\n  {make}\nelse: os.wait()"], check=True)
        counted = preload.read()
        assert counted["programs"] == 1
        assert counted["allocations"] >= 40
        assert counted["bytes"] >= 40 << 20
        assert counted["frees"] >= 20

    def test_what_it_runs_is_not_counted(self, preload):
        subprocess.run([preload.path, "-c", "import subprocess\n"
                        "subprocess.run(['sh', '-c', 'true'], check=True)"], check=True)
        assert preload.read()["programs"] == 1

    def test_a_program_that_never_counted_is_an_error(self, preload):
        with pytest.raises(Exception, match="cannot be counted"):
            with preload.counted():
                pass
