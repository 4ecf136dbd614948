"""What bench/instructions reads: callgrind's dumps, and the names that micro_bench has."""

import os

import pytest

from micro import callgrind

DUMP = """# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 7
cmd:  micro_bench --instructions
part: 1

desc: I1 cache:
desc: Timerange: Basic block 0 - 9
desc: Trigger: {trigger}

positions: line
events: Ir
summary: {total}

fn=(1) run
0 {total}

totals: {total}
"""

# The benchmarks that people know from the user-mode network of a micro-VM.
REFERENCE = """process_syn process_udp_frame process_icmp_echo_request process_arp_request dns_cache_miss
dns_cache_hit tcp_inbound_syn_ack_transition poll_idle poll_with_n_flows/1 poll_with_n_flows/100
poll_with_n_flows/1000 poll_with_n_mixed_flows/3 poll_with_n_mixed_flows/99
poll_with_n_mixed_flows/999 nat_translate_outbound_hot_path flow_table_insert_remove/10
flow_table_insert_remove/100 flow_table_insert_remove/1000 synthesize_inbound_syn
tcp_bulk_throughput_1mb tcp_bulk_throughput_constrained_window/4096
tcp_bulk_throughput_constrained_window/16384 tcp_bulk_throughput_constrained_window/65536
port_forward_accept_latency tcp_rx_latency_one_packet process_syn_during_pending_connects/0
process_syn_during_pending_connects/10 process_syn_during_pending_connects/100
process_syn_during_pending_connects/1000""".split()

# Those that have one family only, or none.
SINGLE = {"process_arp_request": ["/v4"], "poll_idle": [""]}


class TestDumps:
    @staticmethod
    def dump(path, trigger, total):
        path.write_text(DUMP.format(trigger=trigger, total=total))

    def test_counts_are_for_one_operation(self, tmp_path):
        self.dump(tmp_path / "out.7.1", "Client Request: process_syn/v4|200|50", 4000)
        assert callgrind.read_dumps(tmp_path) == {
            "process_syn/v4": {"instructions": 20.0, "allocations": 0.25}}

    def test_the_dump_at_the_end_is_no_benchmark(self, tmp_path):
        self.dump(tmp_path / "out.7.1", "Client Request: a|1|0", 5)
        self.dump(tmp_path / "out.7", "Program termination", 0)
        assert list(callgrind.read_dumps(tmp_path)) == ["a"]

    def test_a_dump_without_a_total_is_an_error(self, tmp_path):
        (tmp_path / "out.7.1").write_text("desc: Trigger: Client Request: a|1|0\n")
        with pytest.raises(callgrind.MeasureError, match="no total for a"):
            callgrind.read_dumps(tmp_path)


class TestNames:
    @staticmethod
    def program(folder, script):
        path = folder / "micro_bench"
        path.write_text(script)
        path.chmod(0o755)
        return path

    def test_a_missing_program_is_named(self):
        with pytest.raises(callgrind.MeasureError, match="/nowhere/micro_bench: no such"):
            callgrind.names("/nowhere/micro_bench")

    def test_a_wrong_filter_says_what_the_program_says(self, tmp_path):
        program = self.program(tmp_path, "#!/bin/sh\necho 'micro_bench: --filter: bad' >&2\n"
                               "exit 2\n")
        with pytest.raises(callgrind.FilterError, match="^--filter: bad$"):
            callgrind.names(program, "[")

    def test_a_failing_program_shows_its_errors(self, tmp_path):
        program = self.program(tmp_path, "#!/bin/sh\necho broken >&2\nexit 1\n")
        with pytest.raises(callgrind.MeasureError, match="broken"):
            callgrind.names(program)

    @pytest.mark.skipif(not os.access(callgrind.DEFAULT_BINARY, os.X_OK),
                        reason=f"{callgrind.DEFAULT_BINARY} is not built")
    def test_every_name_of_the_reference_is_there(self):
        names = set(callgrind.names(callgrind.DEFAULT_BINARY))
        for reference in REFERENCE:
            for family in SINGLE.get(reference, ["/v4", "/v6"]):
                assert reference + family in names
