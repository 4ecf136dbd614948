"""The forwarders' configurations, and what is computed from their samples."""

import io
import os
import types

from labkit import forwarder_configs, forwarder_place, forwarder_sweep, forwarders, processes


def samples(**values):
    """{engine: samples} from engine names with _ for -."""
    return {engine.replace("_", "-"): [{"value": value} for value in list_]
            for engine, list_ in values.items()}


class TestBestPeer:
    def test_highest_median_not_highest_sample(self):
        found = samples(rinetd=[1, 50, 2], socat=[9, 10, 11], direct=[99], sluice_forward=[98])
        assert forwarders.best_peer(found, "higher") == 10

    def test_lower_is_better(self):
        found = samples(rinetd=[70, 71, 72], nginx_stream=[55, 54, 53], direct=[7])
        assert forwarders.best_peer(found, "lower") == 54

    def test_other_key_and_samples_without_it(self):
        found = {"rinetd": [{"value": 1, "cpu_per_gb": 0.4}], "socat": [{"value": 9}],
                 "direct": [{"value": 9, "cpu_per_gb": 0.1}]}
        assert forwarders.best_peer(found, "lower", "cpu_per_gb") == 0.4

    def test_nothing_measured(self):
        assert forwarders.best_peer({}, "higher") is None
        no_peer = samples(direct=[1], sluice_forward=[2], socat=[])
        assert forwarders.best_peer(no_peer, "higher") is None


class TestCells:
    def test_names_are_unique_and_derived_ones_have_a_source_that_runs(self):
        found = forwarders.cells()
        by_name = {cell.name: cell for cell in found}
        assert len(by_name) == len(found)
        for cell in found:
            assert cell.group == "forward"
            assert (cell.measure is None) == (cell.derived_from is not None), cell.name
            if cell.derived_from:
                assert by_name[cell.derived_from].measure is not None

    def test_bounds_of_issue_4(self):
        asked = {cell.name: [str(threshold) for threshold in cell.thresholds]
                 for cell in forwarders.cells() if cell.thresholds}
        one, many = ["≥1.5×best-peer", "≥0.65×direct"], ["≥1.3×best-peer"]
        assert asked == {
            "fwd tcp-out P1": one, "fwd tcp-in P1": one,
            "fwd tcp-out P8": many, "fwd tcp-in P8": many,
            "fwd rr p50": ["≤1×best-peer"], "fwd rr-64 rate": ["≥1×best-peer"],
            "fwd crr-64 rate": ["≥1.15×best-peer"]}

    def test_udp_only_through_those_that_forward_it(self):
        def engines(family):
            return next(cell.engines for cell in forwarders.cells(family)
                        if cell.name == "fwd udp-rr p50")

        assert engines(4) == ("direct", "rinetd", "nginx-stream", "socat", "sluice-forward")
        assert engines(6) == ("direct", "nginx-stream", "socat", "sluice-forward")

    def test_what_is_missing_is_named(self):
        options = types.SimpleNamespace(sluice="/nowhere/sluice")
        assert "/nowhere/sluice" in forwarders.missing(options)["sluice-forward"]
        # A program that knows no such command.
        options.sluice = "/bin/false"
        assert "no `forward`" in forwarders.missing(options)["sluice-forward"]
        options.sluice = "/bin/true"
        assert "sluice-forward" not in forwarders.missing(options)


class TestConfigurations:
    RULES = [forwarder_configs.Rule("tcp", 4, "10.0.1.1", 81, "10.0.0.2", 82),
             forwarder_configs.Rule("udp", 6, "fd01::1", 83, "fd02::2", 84)]

    def written(self, commands, folder):
        """The command lines, and the text of the one file that they name."""
        words = commands(self.RULES, str(folder), types.SimpleNamespace(sluice="sluice"))
        return words, "".join(path.read_text(encoding="ascii") for path in folder.iterdir())

    def test_every_kind_has_every_rule_it_can_have(self, tmp_path):
        for name, kind in forwarder_configs.KINDS.items():
            folder = tmp_path / name
            folder.mkdir()
            words, text = self.written(kind.commands, folder)
            everything = text + " ".join(word for command in words for word in command)
            for part in ("10.0.1.1", "10.0.0.2", *(("fd01::1", "fd02::2") if kind.udp else ())):
                assert part in everything, name

    def test_ours(self, tmp_path):
        words, _ = self.written(forwarder_configs.sluice_forward, tmp_path)
        assert words == [["sluice", "forward", "10.0.1.1:81", "10.0.0.2:82",
                          "udp://[fd01::1]:83", "udp://[fd02::2]:84"]]


class TestMeasuring:
    def test_time_of_ended_children_counts(self):
        before = sum(forwarder_place.sum_cpu([os.getpid()]))
        child = os.fork()
        if child == 0:
            # Asking the time is the system's work: seldom, so that what is spent is the child's own.
            while os.times().user < 0.2:
                sum(range(20_000))
            os._exit(0)
        os.waitpid(child, 0)
        spent = sum(forwarder_place.sum_cpu([os.getpid(), child])) - before
        assert spent >= 0.18
        assert spent < 1.0

    def test_ended_processes_are_no_error(self):
        assert forwarder_place.sum_cpu([2 ** 30]) == (0, 0)
        assert not processes.is_alive(2 ** 30)

    def test_sweep_table_is_aligned(self):
        out = io.StringIO()
        row = {"engine": "socat", "setting": "copy 8 KiB", "gbit_p1": 12.34, "gbit_p8": 9.9,
               "calls_per_mb": 250.04, "calls": {"read": 5, "write": 9}}
        forwarder_sweep.print_table([row], out)
        head, line = out.getvalue().splitlines()
        assert line.index("250.0") + 5 == head.index("calls/MB") + 8
        assert line.endswith("write, read")
