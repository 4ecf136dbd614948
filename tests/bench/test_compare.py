"""bench/compare with two programs that answer as micro_bench does, each with set figures."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from micro import comparison, timing

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


class TestCompare:
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.folder = tmp_path

    def program(self, name, **figures):
        """A micro_bench whose benchmarks take `us` microseconds and make `allocations`."""
        path = self.folder / name
        known = {key: {"us": us, "allocations": many} for key, (us, many) in figures.items()}
        path.write_text(PROGRAM.format(python=sys.executable, figures=known))
        path.chmod(0o755)
        return path

    def compare(self, base, new, *words):
        return subprocess.run(
            [COMPARE, "--base-binary", base, "--new-binary", new, "--skip-instructions",
             "--rounds", "4", "--json", self.folder / "out.json", *words],
            capture_output=True, text=True, check=False, timeout=120)

    def report(self):
        return json.loads((self.folder / "out.json").read_text(encoding="utf-8"))

    def test_no_change(self):
        one = self.program("one", syn=(2.0, 0), udp=(1.0, 3))
        done = self.compare(one, one)
        assert done.returncode == 0, done.stderr
        assert "no regression" in done.stdout
        assert [row["name"] for row in self.report()["benchmarks"]] == ["syn", "udp"]
        assert self.report()["benchmarks"][0]["base_ns"] == [2000.0] * 4

    def test_time_alone_never_fails(self):
        done = self.compare(self.program("a", syn=(2.0, 0)), self.program("b", syn=(9.0, 0)))
        assert done.returncode == 0, done.stderr
        assert "+350.0" in done.stdout
        assert self.report()["benchmarks"][0]["p"] < 0.05

    def test_an_allocation_more_fails_and_is_named(self):
        done = self.compare(self.program("a", syn=(2.0, 0), udp=(1.0, 1)),
                            self.program("b", syn=(2.0, 0.5), udp=(1.0, 1.005)))
        assert done.returncode == 1, done.stderr
        assert "syn: allocations 0.00 → 0.50" in done.stdout.splitlines()[-1]
        assert self.report()["regressed"] == ["syn"]

    def test_one_sided_benchmarks_are_told(self):
        done = self.compare(self.program("a", syn=(2.0, 0), old=(1.0, 0)),
                            self.program("b", syn=(2.0, 0), fresh=(1.0, 9)))
        assert done.returncode == 0, done.stderr
        sides = {row["name"]: row["side"] for row in self.report()["benchmarks"]}
        assert sides == {"syn": "both", "fresh": "new", "old": "gone"}

    def test_filter_and_skip(self):
        one = self.program("one", syn=(2.0, 0), policy_10=(1.0, 0), flow_table=(1.0, 0))
        self.compare(one, one, "--skip-policy", "--skip", "^flow")
        assert [row["name"] for row in self.report()["benchmarks"]] == ["syn"]
        done = self.compare(one, one, "--filter", "no such")
        assert done.returncode == 125

    def test_a_program_without_the_interface(self):
        done = self.compare("/bin/false", "/bin/false")
        assert done.returncode == 125
        assert "has no --list" in done.stderr

    def test_usage_errors(self):
        for words in (["--baseline", "HEAD", "--base-binary", "/bin/true"], [],
                      ["--baseline", "no-such-revision"], ["--baseline", "HEAD", "--filter", "("],
                      ["--baseline", "HEAD", "--rounds", "0"],
                      ["--baseline", "HEAD", "--tree", "/nowhere"]):
            done = subprocess.run([COMPARE, *words], capture_output=True, text=True, check=False,
                                  timeout=60)
            assert done.returncode == 2, (words, done.stderr)


class TestJudgement:
    @staticmethod
    def row(before, after):
        return comparison.Row("x", base_counts={"instructions": before, "allocations": 0.0},
                              new_counts={"instructions": after, "allocations": 0.0})

    def test_threshold_of_instructions(self):
        assert self.row(1000.0, 1030.0).regressions(3) == []
        assert self.row(1000.0, 500.0).regressions(3) == []
        assert "+3.1 %" in self.row(1000.0, 1031.0).regressions(3)[0]
        assert self.row(1000.0, 1031.0).regressions(5) == []

    def test_columns_without_figures_take_no_room(self):
        head = comparison.table([self.row(1000.0, 1031.0)], 3)[0]
        assert "time" not in head
        assert "instr" in head

    def test_names_are_matched_exactly(self):
        pattern = timing.exactly(["a/1", "b[2]"])
        assert pattern == r"^(a/1|b\[2\])$"
