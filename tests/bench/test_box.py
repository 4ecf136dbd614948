"""bench/box: its table and its verdicts, and one short turn where there is a KVM and a build."""

import importlib.machinery
import importlib.util
import os
import types

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


@pytest.fixture(scope="module")
def bell():
    loader = importlib.machinery.SourceFileLoader("box_run", os.path.join(ROOT, "bench/box/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("box_run", loader))
    loader.exec_module(module)
    return module


def turn(p50, notify_exits=0):
    return {"p50": p50, "p99": 2 * p50, "rounds": 100, "doorbells": 100,
            "notify_exits": notify_exits, "register_exits": 0}


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


def builds():
    return [path for path in (os.path.join(ROOT, "build", name) for name in ("release", "debug"))
            if os.path.exists(os.path.join(path, "clients/box-bell-guest"))
            and os.path.exists(os.path.join(path, "clients/box-bell"))]


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="there is no KVM for us")
@pytest.mark.skipif(not builds(), reason="box-bell is not built")
# Few rounds, as a busy machine takes milliseconds for one.
@pytest.mark.parametrize("name, notifies_leave", [
    ("bell", False), ("net", False), ("net, neither, one lock, acknowledged", True),
    ("hand-off", False), ("net, 16 frames, one by one", False)])
def test_a_guest_has_its_answers(bell, name, notifies_leave):
    options = types.SimpleNamespace(build=builds()[0], rounds=20, not_pinned=True, realtime=False,
                                    timeout=120)
    row = bell.sample(options, name)
    assert row["rounds"] == 20
    assert 0 < row["p50"] <= row["p99"]
    assert 0 < row["doorbells"]
    assert row["notify_exits"] == (row["doorbells"] if notifies_leave else 0)
