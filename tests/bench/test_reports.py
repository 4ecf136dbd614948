"""Everything that reads the lab's report: its check, tables, Markdown, plots, comparisons."""

import contextlib
import copy
import glob
import io
import json
import os
import re
import tempfile
import types
import xml.etree.ElementTree
from unittest import mock

import pytest

import fake_report
from labkit import compare_reports, figures, markdown, plots, report, schema, tables
from labkit import document as lab_document

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def text_of(document):
    out = io.StringIO()
    report.print_text(document, out)
    return out.getvalue()


def odd_documents():
    """(what is odd, document): all of them are valid, and every view must survive them."""
    yield "nothing", fake_report.whole()
    yield "one round", fake_report.whole(small=True, rounds=1)
    yield "no samples at all", fake_report.whole(small=True, rounds=0)
    for left_out in (("sluice", "sluice-forward"), ("direct",), ("pasta", "slirp4netns"),
                     tuple(fake_report.RELAYS)):
        names = {*fake_report.NAMESPACES, *fake_report.RELAYS} - set(left_out)
        yield f"without {', '.join(left_out)}", fake_report.whole(small=True, engines=names)
    nothing = fake_report.Fake().document()
    yield "no cells", nothing
    stranger = fake_report.Fake()
    stranger.add("tcp-out mtu1500 P1", "tcp", "Gbit/s", {"sluice": 1, "pasta": 0},
                 direction="out", streams=1)
    stranger.cells[0]["samples"]["qemu-passt"] = [{"value": 0.0}]
    stranger.cells[0]["engines"].append("qemu-passt")
    fake_report.summarise(stranger.cells[0])
    yield "an unknown engine, and zeros", stranger.document()


class TestSchema:
    def test_every_odd_report_is_valid(self):
        for what, document in odd_documents():
            assert schema.problems(document) == [], what

    def broken(self, change):
        document = fake_report.whole()
        change(document)
        return schema.problems(document)

    def test_each_problem_names_its_path_and_what_was_expected(self):
        for change, expected in (
                (lambda d: d.update(schema=1), "schema: expected 2, found 1"),
                (lambda d: d.pop("errors"), "errors: is missing"),
                (lambda d: d.update(family="4"), 'family: expected 4 or 6, found "4"'),
                (lambda d: d.update(extra=1), "extra: schema 2 has no such field"),
                (lambda d: d.update(rounds=True), "rounds: expected a whole number, found true"),
                (lambda d: d["cells"][2].update(mtu=1.5),
                 "cells[2].mtu: expected a whole number or null, found 1.5"),
                (lambda d: d["cells"][0]["samples"]["pasta"][1].update(value=None),
                 "cells[0].samples.pasta[1].value: expected a number, found null"),
                (lambda d: d["cells"][0].update(better="more"),
                 'cells[0].better: expected "higher" or "lower", found "more"'),
                (lambda d: d["cells"][0]["summary"]["pasta"].update(n=9),
                 "cells[0].summary.pasta.n: expected 5, found 9"),
                (lambda d: d["cells"][3].update(name=d["cells"][4]["name"]),
                 "cells[3].name: two cells are called 'tcp-bidir mtu1500 P1'"),
                (lambda d: d["syscalls"][0].pop("per_op"), "syscalls[0].per_op: is missing"),
                (lambda d: d["syscalls"][0].update(cell="gone"),
                 "syscalls[0].cell: no cell is called 'gone'"),
                (lambda d: d["reference"]["pasta"].update(udp_dns_qps="9"),
                 'reference.pasta.udp_dns_qps: expected a number or null, found "9"')):
            assert expected in self.broken(change)

    def test_a_list_is_no_report(self):
        assert schema.problems([]) == ["the document: expected an object, found a list"]

    def test_read_names_the_file_and_the_mend(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            with pytest.raises(schema.BadReport, match=f"{path}: No such file"):
                schema.read(path)
            for text, message in (("{", "not JSON"), ('{"schema": 1}', "expected 2, found 1")):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                with pytest.raises(schema.BadReport, match=f"{path}: .*{message}"):
                    schema.read(path)


class TestWritten:
    """What the lab writes is what the check expects."""

    def test_a_built_document_is_valid(self):
        cell = types.SimpleNamespace(
            name="rr p50", group="latency", unit="µs", better="lower", mtu=0, direction=None,
            streams=None, congestion=None, flows=1, derived_from=None, judged="sluice",
            engines=("direct", "pasta", "sluice"), comparisons=lambda: (), at_most=8.0)
        tail = types.SimpleNamespace(**{**vars(cell), "name": "rr p99", "derived_from": "rr p50",
                                        "derived_key": "p99_ns", "derived_scale": 1e-3})
        results = lab_document.Results([cell, tail], ["direct", "sluice"])
        for engine in ("direct", "sluice"):
            for value in (5.0, 7.0):
                results.samples["rr p50"][engine].append(
                    {"value": value, "n": 20000, "p99_ns": 9000, "congestion": "cubic"})
        results.derive()
        options = types.SimpleNamespace(rounds=2, seconds=1, family=4)
        with mock.patch.object(lab_document.versions, "collect", return_value={"sluice": "0.1"}):
            built = lab_document.build(results, options, "bbr", 3.0)
        assert schema.problems(json.loads(json.dumps(built))) == []
        assert built["cells"][0]["summary"]["sluice"]["n"] == 2
        assert built["cells"][1]["summary"]["sluice"]["median"] == 9.0
        assert "≤8 µs ok" in text_of(built)


class TestDocumentation:
    """docs/lab_report.md names every field that the check knows."""

    def test_every_field_is_documented(self):
        path = os.path.join(ROOT, "docs", "lab_report.md")
        with open(path, encoding="utf-8") as file:
            named = set(re.findall(r"`([a-z_0-9]+)`", file.read()))
        for record in (schema.DOCUMENT, schema.CELL, schema.VERDICT, schema.SYSCALLS,
                       schema.MACHINE, schema.SUMMARY, schema.SAMPLE):
            assert record.fields.keys() - named == set()
        assert set(schema.GROUPS) - named == set()


class TestFigures:
    def test_three_digits_without_exponents(self):
        for value, text in ((None, "–"), (0, "0"), (5, "5"), (0.0123456, "0.012"),
                            (1.987, "1.99"), (37.25, "37.2"), (1234.5, "1234"), (1e7, "10000000")):
            assert figures.number(value) == text

    def test_best_is_never_a_yardstick_and_follows_the_direction(self):
        fake = fake_report.Fake()
        fast = fake.add("a", "tcp", "Gbit/s", {"direct": 60, "sluice": 30, "pasta": 20})
        slow = fake.add("b", "latency", "µs", {"direct": 6, "sluice": 30, "pasta": 20}, None,
                        "lower")
        assert figures.best_engines(fast) == {"sluice"}
        assert figures.best_engines(slow) == {"pasta"}


class TestText:
    def test_every_odd_report_prints(self):
        for what, document in odd_documents():
            assert "Machine: Imagined CPU" in text_of(document), what

    def test_columns_are_aligned_and_only_of_engines_with_figures(self):
        lines = text_of(fake_report.whole()).splitlines()
        start = lines.index("Start-up")
        head, row = next((lines[at], lines[at + 1]) for at in range(start, len(lines))
                         if lines[at].startswith("cell"))
        assert "direct" not in head
        assert "rinetd" not in head
        for engine in ("sluice", "pasta", "slirp4netns"):
            end = re.search(rf"(?<= ){engine}(?= )", head).end()
            assert row[end - 1] == "]"
        assert re.search(r" 0\.\d\d× +0\.\d\d×$", row)

    def test_says_what_a_ratio_is_of(self):
        text = text_of(fake_report.whole())
        assert "× throughput (Gbit/s), above 1 is better" in text
        assert "× latency (µs), below 1 is better" in text
        assert "/X is sluice-forward divided by X" in text

    def test_verdicts_doubts_calls_and_errors(self):
        text = text_of(fake_report.whole())
        assert "≥1.2×pasta ok, ≥0.3×direct FAILS at 0.200, cpu ≤0.8×pasta not judged" in text
        assert "30 of 90 thresholds hold, 30 fail, 30 could not be judged" in text
        assert "swung by more than 25% in tcp-out mtu1500 P1 (40%)" in text
        assert "Without a sample: tcp-out mtu1500 P8." in text
        assert "splice 90%, epoll_wait 10%\n" in text
        assert "! rr p50, pasta, round 2: rr-client: timed out" in text

    def test_costs_beside_the_figures(self):
        text = text_of(fake_report.whole())
        for title, row in (
                ("CPU per GB", r"tcp-in mtu1500 P1 +0\.1\d+ = 0\.0\d+ \+ 0\.\d+ .* 0\.\d\d×"),
                ("CPU per operation", r"rr p50 +1\d\.\d +\d\d\.\d .* 0\.\d\d×"),
                ("Context switches", r"tcp-in mtu1500 P1 +\d+ per GB \(\d+ \+ [\d.]+\)"),
                ("Drops", r"udp-out 1400 +1\d\.\d \([\d.]+\) +–"),
                ("Memory under load", r"tcp-in mtu1500 P1 +[56]\.\d+ / [45]\.\d+"),
                ("Latency tails", r"crr p50 +[\d.]+ / [\d.]+ / [\d.]+"),
                ("System calls per MB", r"tcp-out mtu1500 P1 +sluice +2\.25 +– +splice"),
                ("The fields of a micro-VM's report", r"tcp_throughput_g2h_mbps +37000 +37000")):
            part = text.partition(f"\n\n{title}\n")[2].partition("\n\n")[0]
            assert re.search(rf"(?m)^{row}", part), title

    def test_colour_on_a_terminal_unless_no_color(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            with mock.patch.dict(os.environ, environment):
                if not environment:
                    os.environ.pop("NO_COLOR", None)
                out = Terminal()
                report.print_text(fake_report.whole(), out)
                assert ("\033[" in out.getvalue()) == coloured
        assert "\033[" not in text_of(fake_report.whole())


class TestMarkdown:
    def test_every_table_is_square(self):
        for what, document in odd_documents():
            rows = [line for line in markdown.render(document).splitlines()
                    if line.startswith("|")]
            widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
            rules = [at for at, row in enumerate(rows) if row.startswith("| :--")]
            for at, after in zip(rules, [*[rule - 1 for rule in rules[1:]], len(rows)]):
                assert set(widths[at - 1:after]) == {widths[at]}, what

    def test_bold_is_the_best_engine_and_a_better_peer_is_named(self):
        text = markdown.render(fake_report.whole())
        row = next(line for line in text.splitlines() if line.startswith("| idle rss"))
        assert re.search(r"\*\*[34]\.\d+ \[[^|]*\*\*", row)
        assert row.count("**") == 2
        assert re.search(r"- slirp4netns is better than sluice in idle rss: "
                         r"[34]\.\d+ against [56]\.\d+ MiB\.", text)
        assert "Imagined CPU \\| 3.0 GHz" in text
        assert "bench/lab/run --json 'a file.json'" in text

    def test_overlapping_ranges_are_said(self):
        fake = fake_report.Fake()
        cell = fake.add("a", "udp", "Gbit/s", {"sluice": 10, "pasta": 10.1})
        cell["summary"]["pasta"]["median"] = cell["summary"]["sluice"]["median"] + 0.01
        assert "the ranges overlap" in " ".join(tables.peers_ahead([cell]))


@pytest.mark.skipif(plots.style is None,
                    reason="matplotlib is missing (package python3-matplotlib)")
class TestPlots:
    def test_every_odd_report_gives_readable_files(self):
        for what, document in odd_documents():
            if what == "nothing":
                continue  # The next test has it.
            with tempfile.TemporaryDirectory() as folder:
                made = plots.write(document, folder)
                assert sorted(made) == sorted(glob.glob(f"{folder}/*")), what
                for path in made:
                    xml.etree.ElementTree.parse(path)
            assert bool(made) == any(cell["summary"] for cell in document["cells"]), what

    def test_a_whole_report_has_every_figure(self):
        with tempfile.TemporaryDirectory() as folder:
            plots.write(fake_report.whole(), folder)
            assert sorted(os.listdir(folder)) == [
                "cpu.svg", "forwarders.svg", "latency-flows.svg", "latency.svg", "others.svg",
                "overview.svg", "throughput-bbr.svg", "throughput-mtu.svg", "throughput.svg"]

    def test_equal_reports_give_equal_files(self):
        texts = []
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                fake = fake_report.Fake()
                fake.add_latency()
                plots.write(fake.document(), folder)
                with open(os.path.join(folder, "overview.svg"), encoding="utf-8") as file:
                    texts.append(file.read())
        assert texts[0] == texts[1]
        assert "<dc:date>" not in texts[0]

    def test_every_engine_has_a_colour_of_its_own(self):
        colours = [plots.style.COLOURS[engine] for engine in figures.ORDER]
        assert len(set(colours)) == len(colours) - 1  # Both of ours share one.

    def test_without_matplotlib_the_package_is_named(self):
        told = io.StringIO()
        with mock.patch.object(plots, "style", None), contextlib.redirect_stderr(told):
            assert plots.write(fake_report.whole(), "/nowhere") == []
        assert "python3-matplotlib" in told.getvalue()


class TestCompare:
    def compare(self, old, new):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("old.json", "new.json")]
            for path, document in zip(paths, (old, new)):
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(document, file)
            out, told = io.StringIO(), io.StringIO()
            with contextlib.redirect_stderr(told):
                status = compare_reports.main(*paths, out)
        return status, out.getvalue() + told.getvalue()

    def one(self, seed=1, rounds=5, **figures_of):
        fake = fake_report.Fake(seed, rounds)
        fake.add("tcp-out mtu1500 P1", "tcp", "Gbit/s", figures_of, streams=1, direction="out")
        return fake.document()

    def test_a_report_against_itself_has_no_change(self):
        document = fake_report.whole()
        status, text = self.compare(document, copy.deepcopy(document))
        assert status == 0
        assert re.search(r"(\d+) figures of ours: 0 better, 0 worse, \1 within noise\.", text)

    def test_a_slower_engine_is_worse_and_a_faster_one_better(self):
        old, new = fake_report.whole(), fake_report.whole(seed=2, scale=0.8)
        status, text = self.compare(old, new)
        assert status == 1
        assert re.search(r"tcp-in mtu1500 P1 +sluice +Gbit/s .* 0\.\d\d× throughput .* worse", text)
        assert re.search(r"\ncrr p50 +sluice +µs .* 0\.\d\d× latency .* better", text)
        assert re.search(r"tcp-out mtu1500 P1 +sluice .* worse in doubt\n", text)
        assert "throughput: 0.80× in the geometric mean of 32 (above 1 is better)" in text

    def test_what_the_yardstick_did_too_is_no_regression(self):
        old = self.one(direct=60, sluice=30, pasta=3)
        new = self.one(direct=40, sluice=20, pasta=2)
        status, text = self.compare(old, new)
        assert status == 0
        assert re.search(r"sluice .* with the yardstick\n", text)

    def test_a_worse_peer_decides_nothing(self):
        status, _ = self.compare(self.one(direct=60, sluice=30, pasta=3),
                                 self.one(direct=60, sluice=30, pasta=1))
        assert status == 0

    def test_machines_are_compared_by_the_yardstick_only(self):
        old = self.one(direct=60, sluice=30)
        new = self.one(direct=30, sluice=15)
        new["machine"]["kernel"] = "6.99"
        status, text = self.compare(old, new)
        assert status == 0
        assert "The machines differ (kernel: 6.12.1 → 6.99)" in text
        assert re.search(r"sluice .* 0\.50× → 0\.50× +within noise\n", text)
        new = self.one(direct=60, sluice=15)
        new["machine"]["kernel"] = "6.99"
        assert self.compare(old, new)[0] == 1

    def test_a_single_round_is_given_the_bound_as_its_spread(self):
        old = self.one(rounds=1, direct=60, sluice=30)
        assert self.compare(old, self.one(rounds=1, direct=60, sluice=24))[0] == 0
        status, text = self.compare(old, self.one(rounds=1, direct=60, sluice=12))
        assert status == 1
        assert "taken as ±25%" in text

    def test_differences_are_told(self):
        old, new = fake_report.whole(), fake_report.whole()
        new["family"], new["versions"]["pasta"] = 6, "2026"
        new["cells"] = [cell for cell in new["cells"] if cell["name"] != "idle rss"]
        text = self.compare(old, new)[1]
        for line in ("The IP versions differ: 4 → 6.", "Only in OLD: idle rss.",
                     "Version of pasta: 0.0~git20230309 → 2026."):
            assert line in text

    def test_what_cannot_be_compared_ends_with_two(self):
        status, text = self.compare({"schema": 1}, fake_report.whole())
        assert status == 2
        assert re.search(r"lab report: /.*/old\.json: schema: expected 2, found 1", text)
        status, text = self.compare(self.one(pasta=1), self.one(pasta=1))
        assert status == 2
        assert "no figure of ours is in both" in text
