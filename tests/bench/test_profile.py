"""The parts of bench/profile: stacks, the SVG, the table of strace, the counter of allocations."""

import glob
import os
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree as tree

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


class Stacks(unittest.TestCase):
    def setUp(self):
        self.stacks = stacks.parse(PERF_SCRIPT.splitlines(keepends=True))

    def test_frames_have_kinds_and_the_outermost_is_first(self):
        longest = max(self.stacks, key=len)
        self.assertEqual([frame.kind for frame in longest],
                         ["engine", "library", "kernel", "kernel"])
        self.assertEqual(longest[0].label, "host::send")

    def test_shares(self):
        self.assertEqual(sum(self.stacks.values()), 3)
        self.assertEqual(stacks.by_kind(self.stacks),
                         {"engine": 2, "library": 0, "kernel": 1, "unknown": 0})
        totals = {frame.label: (own, total)
                  for frame, own, total in stacks.hottest(self.stacks)}
        self.assertEqual(totals["host::send"], (1, 2))

    def test_recursion_counts_a_sample_once(self):
        frame = Frame("walk", "engine")
        self.assertEqual(stacks.hottest({(frame, frame, frame): 5}), [(frame, 5, 5)])

    def test_folded_lines(self):
        self.assertIn("main 1", stacks.folded(self.stacks))

    def test_short_names(self):
        for full, short in (
                ("std::vector<int, std::allocator<int> >::push_back(int&&)",
                 "std::vector::push_back"),
                ("void run<a::B>(a::B const&)", "run"),
                ("a::f(int)::{lambda(b::C<d>)#1}::operator()(b::C<d>) const",
                 "a::f::{lambda#1}::operator()"),
                ("operator new(unsigned long)", "operator new"),
                ("tcp_ack", "tcp_ack"), ("do_one.constprop.0", "do_one.constprop.0")):
            with self.subTest(full=full):
                self.assertEqual(stacks.short_name(full), short)


class FlameGraph(unittest.TestCase):
    def test_boxes_are_as_wide_as_their_share(self):
        root, left, right = (Frame(name, "engine") for name in ("main", "a<b>", "c&d"))
        text = flame.svg({(root, left): 3, (root, right): 1}, "head", "detail")
        widths = {}
        for group in tree.fromstring(text).iter(SVG + "g"):
            name = group.find(SVG + "title").text.partition(": ")[0]
            widths[name] = float(group.find(SVG + "rect").get("width"))
        self.assertAlmostEqual(widths["main"], widths["all"])
        self.assertAlmostEqual(widths["a<b>"], widths["main"] * 3 / 4, places=1)
        self.assertAlmostEqual(widths["c&d"], widths["main"] / 4, places=1)

    def test_text_stays_in_its_box(self):
        stack = (Frame("a_function_with_a_long_name" * 20, "kernel"),)
        other = (Frame("x", "kernel"),)
        for group in tree.fromstring(flame.svg({stack: 1, other: 9}, "h", "d")).iter(SVG + "g"):
            text = group.find(SVG + "text")
            width = float(group.find(SVG + "rect").get("width"))
            if text is not None:
                self.assertLessEqual(len(text.text) * flame.LETTER, width)

    def test_without_samples_it_says_so(self):
        self.assertIn("no samples", "".join(tree.fromstring(flame.svg({}, "h", "d")).itertext()))


class SystemCalls(unittest.TestCase):
    def test_summary(self):
        rows = strace.parse_summary(SUMMARY)
        self.assertEqual(rows[0], {"name": "epoll_wait", "calls": 4000, "errors": 0,
                                   "seconds": 0.1})
        self.assertEqual(rows[1]["errors"], 2)
        self.assertEqual(len(rows), 2)
        total = summary.syscall_lines(rows, Work(100, ""), "MB")[-1].split()
        self.assertEqual(total, ["4,012", "2", "0.100", "40.120", "total"])

    @unittest.skipUnless(shutil.which("strace") and os.geteuid() == 0, "needs strace and root")
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
            self.assertEqual(counted["getppid"], 500)
        finally:
            child.communicate(b"\n", timeout=10)


def library():
    found = glob.glob(os.path.join(ROOT, "build", "*", "clients", allocations.LIBRARY))
    return max(found, key=os.path.getmtime, default=None)


@unittest.skipUnless(library(), "libmalloc_count.so is not built")
class Allocations(unittest.TestCase):
    def test_a_program_and_what_it_forks_are_counted(self):
        preload = allocations.Preload(library(), shutil.which("python3"))
        self.addCleanup(preload.close)
        make = "x = [bytearray(1 << 20) for _ in range(20)]"
        subprocess.run([preload.path, "-c", f"import os\n{make}\n"
                        f"if os.fork() == 0:\n  {make}\nelse: os.wait()"], check=True)
        counted = preload.read()
        self.assertEqual(counted["programs"], 1)
        self.assertGreaterEqual(counted["allocations"], 40)
        self.assertGreaterEqual(counted["bytes"], 40 << 20)
        self.assertGreaterEqual(counted["frees"], 20)

    def test_what_it_runs_is_not_counted(self):
        preload = allocations.Preload(library(), shutil.which("python3"))
        self.addCleanup(preload.close)
        subprocess.run([preload.path, "-c", "import subprocess\n"
                        "subprocess.run(['sh', '-c', 'true'], check=True)"], check=True)
        self.assertEqual(preload.read()["programs"], 1)

    def test_a_program_that_never_counted_is_an_error(self):
        preload = allocations.Preload(library(), shutil.which("python3"))
        self.addCleanup(preload.close)
        with self.assertRaisesRegex(Exception, "cannot be counted"):
            with preload.counted():
                pass


if __name__ == "__main__":
    unittest.main()
