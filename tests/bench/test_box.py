"""bench/box: its tables and its verdicts, and a short turn of each where there is a KVM and a
build."""

import importlib.machinery
import importlib.util
import os
import types

import pytest

from machines import kit as kits

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def load(name):
    """A program without a name that Python imports."""
    loader = importlib.machinery.SourceFileLoader(f"box_{name}",
                                                  os.path.join(ROOT, "bench/box", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bell():
    return load("run")


@pytest.fixture(scope="module")
def start():
    return load("start")


def turn(p50, notify_exits=0):
    return {"p50": p50, "p99": 2 * p50, "rounds": 100, "doorbells": 100,
            "notify_exits": notify_exits, "register_exits": 0, "answer_ns": 500_000}


def test_a_row_is_the_median_of_its_turns(bell):
    row = bell.summary([turn(40_000), turn(900_000), turn(42_000, notify_exits=300)])
    assert (row["p50"], row["p99"]) == (42, 84)
    assert (row["doorbells"], row["notify_exits"], row["register_exits"]) == (1, 1, 0)


def test_the_device_is_judged_by_the_bare_bell(bell):
    rows = {"bell": bell.summary([turn(40_000)]), "net": bell.summary([turn(43_000)])}
    assert [holds for _, holds in bell.verdicts(rows)] == [True, True]
    rows["net"] = bell.summary([turn(45_000, notify_exits=1)])
    assert [holds for _, holds in bell.verdicts(rows)] == [False, False]


def test_the_table_has_each_row_and_its_ratio(bell):
    rows = {"bell": bell.summary([turn(40_000)]), "net": bell.summary([turn(50_000)])}
    lines = bell.table(rows).splitlines()
    assert len(lines) == 3
    assert "1.25" in lines[2].split()
    del rows["bell"]
    assert "50.0" in bell.table(rows).splitlines()[1].split()


def builds(*programs):
    return [path for path in (os.path.join(ROOT, "build", name) for name in ("release", "debug"))
            if all(os.path.exists(os.path.join(path, program)) for program in programs)]


BELL = ("clients/box-bell-guest", "clients/box-bell")
WITHOUT = "clients/libkvm_without.so"
START = ("clients/libkvm_pretend.so", "sluice")
needs_kvm = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                               reason="there is no KVM for us")


@needs_kvm
@pytest.mark.skipif(not builds(*BELL), reason="box-bell is not built")
# Few rounds, as a busy machine takes milliseconds for one.
@pytest.mark.parametrize("name, notifies_leave", [
    ("bell", False), ("net", False), ("net, neither, one lock, acknowledged", True),
    ("hand-off", False), ("net, 16 frames, one by one", False)])
def test_a_guest_has_its_answers(bell, name, notifies_leave):
    options = types.SimpleNamespace(build=builds(*BELL)[0], rounds=20, not_pinned=True, realtime=False,
                                    timeout=120)
    row = bell.sample(options, name)
    assert row["rounds"] == 20
    assert 0 < row["p50"] <= row["p99"]
    assert 0 < row["doorbells"]
    assert row["notify_exits"] == (row["doorbells"] if notifies_leave else 0)


@needs_kvm
@pytest.mark.skipif(not builds(*BELL, WITHOUT), reason="box-bell is not built")
@pytest.mark.parametrize("without, notifies, registers", [
    ("irqfd", 0, 0), ("registers,irqfd", 0, 2), ("registers,ioeventfd", 1, 2)])
def test_a_program_is_kept_from_bindings_of_kvm(bell, monkeypatch, without, notifies, registers):
    build = builds(*BELL, WITHOUT)[0]
    monkeypatch.setenv("LD_PRELOAD", os.path.join(build, WITHOUT))
    monkeypatch.setenv("KVM_WITHOUT", without)
    row = bell.sample(types.SimpleNamespace(build=build, rounds=20, not_pinned=True,
                                            realtime=False, timeout=120), "net, acknowledged")
    assert row["notify_exits"] == notifies * row["doorbells"]
    assert row["register_exits"] == registers * row["rounds"]


def test_a_start_is_told_by_its_stages(start):
    said = ("sluice box: boot: 0.004 s: KVM found fit\nsluice box: boot: 0.105 s: kernel 6.1 and "
            "virtiofsd found\nsluice box: boot: 0.320 s: machine built\n")
    assert start.stages(said) == {"KVM": 0.004, "kernel": 0.105, "machine": 0.320}


def test_the_table_of_starts_has_medians(start):
    samples = [{"KVM": 0.001 * n, "processors": 0.1 * n, "cpu": 0.05} for n in (1, 2, 9)]
    text, median = start.table(samples)
    assert median == {"KVM": 0.002, "processors": 0.2, "cpu": 0.05}
    assert [line.split()[1:] for line in text.splitlines()[1:3]] == [["2", "2"], ["200", "198"]]


@needs_kvm
@pytest.mark.skipif(not builds(*START), reason="sluice is not built")
def test_a_start_reaches_its_processors(start):
    kernel = kits.cloud_kernel()
    if kernel is None:
        pytest.skip("Debian's archive is out of reach")
    options = types.SimpleNamespace(build=builds(*START)[0], kernel=str(kernel / "vmlinuz"), cpus=2,
                                    memory="256MiB", timeout=120)
    found = start.sample(options)
    assert 0 < found["KVM"] <= found["kernel"] <= found["machine"] <= found["processors"]
    assert found["cpu"] > 0
