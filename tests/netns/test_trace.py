"""--trace and the USDT probes: what they say about connections that really happened."""

import json
import re
import subprocess

import pytest

from harness import Failure, check, check_equal, each_family

CYCLES = 50
# What no cycle does without, in this order. Between them stand steps that depend on timing.
STEPS = ["frame_in SYN", "flow_created", "connect_issued", "connect_done", "syn_ack_queued",
         "frames_flushed", "frame_in data", "bytes_to_host", "bytes_to_guest", "flow_closed"]
PROBES = {"poll_returned", "frame_in", "flow_created", "connect_issued", "connect_done",
          "syn_ack_queued", "frames_flushed", "bytes_to_host", "fin_to_host", "bytes_to_guest",
          "window_update", "retransmit", "flow_closed"}


@pytest.fixture(autouse=True)
def one_worker(t):
    """A timeline is of one, whatever the other tests have."""
    t.workers = None


def crr(t, option):
    t.lab_server("--echo", 7007)
    return t.guest_ok([t.client("crr-client"), t.srv, "7007", str(CYCLES)], ["--trace", option, "--fast-path=off"])


def has_in_order(names, wanted):
    rest = iter(names)
    return all(name in rest for name in wanted)


@each_family
def test_trace_json_has_every_step_of_every_cycle_in_order(t):
    path = t.file("trace.json")
    crr(t, f"crr:{path}")
    with open(path, encoding="utf-8") as file:
        trace = json.load(file)
    check_equal(trace["otherData"]["target"], "crr", "target")
    tracks = {}
    for event in trace["traceEvents"]:
        tracks.setdefault(event["tid"], []).append(event)
    flows = [events for track, events in tracks.items() if track > 0]
    check_equal(len(flows), CYCLES, "tracks of flows")
    for events in flows:
        moments = [event for event in events if event["ph"] == "i"]
        times = [event["ts"] for event in moments]
        check_equal(times, sorted(times), "times of a track")
        names = [event["name"] for event in moments]
        check(has_in_order(names, STEPS), f"a cycle lacks a step, or has it too early: {names}")
        whole, *gaps = [event for event in events if event["ph"] == "X"]
        check_equal(whole["name"], "cycle", "first slice")
        check(abs(sum(gap["dur"] for gap in gaps) - whole["dur"]) < 0.1,
              "the gaps do not add up to the cycle")


@each_family
def test_trace_text_names_the_largest_gap(t):
    said = crr(t, "crr").stderr
    check(f"{CYCLES} connect cycles, 0 not ended" in said, said)
    check(re.search(r"^Largest gap: \w.* -> \w.*, \d+\.\d us \(p50\), \d+\.\d % of the time:\n\w",
                    said, re.MULTILINE) is not None, said)
    shares = [float(share) for share in re.findall(r"^ +\d+ +\d+\.\d +\d+\.\d +(\d+\.\d) %  \w.* ->",
                                                   said, re.MULTILINE)]
    check(abs(sum(shares) - 100) < 3, f"the shares of all gaps add up to {sum(shares)} %")


def test_trace_file_that_cannot_be_written_ends_before_the_command(t):
    done = t.guest(["sh", "-c", "echo ran"], ["--trace", "crr:/nonexistent/trace.json"])
    check_equal(done.returncode, 125, "exit status")
    check("--trace: cannot write '/nonexistent/trace.json'" in done.stderr, done.stderr)
    check("ran" not in done.stdout, "the command was started all the same")


def test_trace_of_an_unknown_target_is_a_usage_error(t):
    done = t.guest(["true"], ["--trace=everything"])
    check_equal(done.returncode, 2, "exit status")
    check("expected crr" in done.stderr, done.stderr)


def test_every_probe_is_in_the_program_for_usdt_tools(t):
    notes = subprocess.run(["readelf", "--notes", "--wide", t.path], check=True,
                           capture_output=True, text=True, timeout=60).stdout
    found = set(re.findall(r"Provider: sluice\s+Name: (\w+)", notes))
    if not found:
        raise Failure("no USDT notes of provider sluice")
    check_equal(found, PROBES, "USDT probes")
