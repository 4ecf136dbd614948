"""bench/compare with two programs that answer as micro_bench does, each with set figures."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from microkit import comparison, timing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
COMPARE = os.path.join(ROOT, "bench", "compare")

PROGRAM = textwrap.dedent("""\
    #!{python}
    import json, re, sys
    FIGURES = {figures!r}
    words = sys.argv[1:]
    pattern = words[words.index("--filter") + 1] if "--filter" in words else ""
    chosen = {{n: f for n, f in FIGURES.items() if re.search(pattern, n)}}
    if "--list" in words:
        print("\\n".join(chosen))
    elif "--allocations" in words:
        print(json.dumps({{n: f["allocations"] for n, f in chosen.items()}}))
    else:
        print(json.dumps({{"benchmarks": [
            {{"name": n, "run_type": "iteration", "cpu_time": f["us"], "time_unit": "us"}}
            for n, f in chosen.items()]}}))
    """)


class Compare(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)

    def program(self, name, **figures):
        """A micro_bench whose benchmarks take `us` microseconds and make `allocations`."""
        path = os.path.join(self._folder.name, name)
        known = {key: {"us": us, "allocations": many} for key, (us, many) in figures.items()}
        with open(path, "w", encoding="utf-8") as file:
            file.write(PROGRAM.format(python=sys.executable, figures=known))
        os.chmod(path, 0o755)
        return path

    def compare(self, base, new, *words):
        self.json = os.path.join(self._folder.name, "out.json")
        return subprocess.run(
            [COMPARE, "--base-binary", base, "--new-binary", new, "--skip-instructions",
             "--rounds", "4", "--json", self.json, *words],
            capture_output=True, text=True, check=False, timeout=120)

    def report(self):
        with open(self.json, encoding="utf-8") as file:
            return json.load(file)

    def test_no_change(self):
        one = self.program("one", syn=(2.0, 0), udp=(1.0, 3))
        done = self.compare(one, one)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no regression", done.stdout)
        self.assertEqual([row["name"] for row in self.report()["benchmarks"]], ["syn", "udp"])
        self.assertEqual(self.report()["benchmarks"][0]["base_ns"], [2000.0] * 4)

    def test_time_alone_never_fails(self):
        done = self.compare(self.program("a", syn=(2.0, 0)), self.program("b", syn=(9.0, 0)))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("+350.0", done.stdout)
        self.assertLess(self.report()["benchmarks"][0]["p"], 0.05)

    def test_an_allocation_more_fails_and_is_named(self):
        done = self.compare(self.program("a", syn=(2.0, 0), udp=(1.0, 1)),
                            self.program("b", syn=(2.0, 0.5), udp=(1.0, 1.005)))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("syn: allocations 0.00 → 0.50", done.stdout.splitlines()[-1])
        self.assertEqual(self.report()["regressed"], ["syn"])

    def test_one_sided_benchmarks_are_told(self):
        done = self.compare(self.program("a", syn=(2.0, 0), old=(1.0, 0)),
                            self.program("b", syn=(2.0, 0), fresh=(1.0, 9)))
        self.assertEqual(done.returncode, 0, done.stderr)
        sides = {row["name"]: row["side"] for row in self.report()["benchmarks"]}
        self.assertEqual(sides, {"syn": "both", "fresh": "new", "old": "gone"})

    def test_filter_and_skip(self):
        one = self.program("one", syn=(2.0, 0), policy_10=(1.0, 0), flow_table=(1.0, 0))
        self.compare(one, one, "--skip-policy", "--skip", "^flow")
        self.assertEqual([row["name"] for row in self.report()["benchmarks"]], ["syn"])
        done = self.compare(one, one, "--filter", "no such")
        self.assertEqual(done.returncode, 125)

    def test_a_program_without_the_interface(self):
        done = self.compare("/bin/false", "/bin/false")
        self.assertEqual(done.returncode, 125)
        self.assertIn("has no --list", done.stderr)

    def test_usage_errors(self):
        for words in (["--baseline", "HEAD", "--base-binary", "/bin/true"], [],
                      ["--baseline", "no-such-revision"], ["--baseline", "HEAD", "--filter", "("],
                      ["--baseline", "HEAD", "--rounds", "0"],
                      ["--baseline", "HEAD", "--tree", "/nowhere"]):
            with self.subTest(words=words):
                done = subprocess.run([COMPARE, *words], capture_output=True, text=True,
                                      check=False, timeout=60)
                self.assertEqual(done.returncode, 2, done.stderr)


class Judgement(unittest.TestCase):
    @staticmethod
    def row(before, after):
        return comparison.Row("x", base_counts={"instructions": before, "allocations": 0.0},
                              new_counts={"instructions": after, "allocations": 0.0})

    def test_threshold_of_instructions(self):
        self.assertEqual(self.row(1000.0, 1030.0).regressions(3), [])
        self.assertEqual(self.row(1000.0, 500.0).regressions(3), [])
        self.assertIn("+3.1 %", self.row(1000.0, 1031.0).regressions(3)[0])
        self.assertEqual(self.row(1000.0, 1031.0).regressions(5), [])

    def test_columns_without_figures_take_no_room(self):
        head = comparison.table([self.row(1000.0, 1031.0)], 3)[0]
        self.assertNotIn("time", head)
        self.assertIn("instr", head)

    def test_names_are_matched_exactly(self):
        pattern = timing.exactly(["a/1", "b[2]"])
        self.assertEqual(pattern, r"^(a/1|b\[2\])$")


if __name__ == "__main__":
    unittest.main()
