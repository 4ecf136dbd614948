"""The lab of virtual machines, without a machine: its cells, its verdicts, its report."""

import os
import types

import pytest

from labkit import processes, schema
from machines import links, machine
from vmlabkit import cells, exits, rows, session


@pytest.fixture
def made():
    """A session of two rows whose samples a test sets, as if it had run."""
    options = types.SimpleNamespace(only=["crr-1", "tcp-out mtu1500 P1"], rows=["direct"],
                                    smoke=False, rounds=2, seconds=1, sluice=None, passt=None,
                                    pasta=None, clients=None)
    found = session.Session(options)
    found.rows |= {name: rows.ROWS[name] for name in ("qemu passt", "qemu sluice")}
    found.samples = {cell.name: {name: [] for name in found.rows} for cell in found.cells}
    return found


def test_bounds_name_rows_of_their_cell():
    for cell in cells.all_cells():
        for bound in cell.bounds:
            assert {bound.judged, bound.threshold.against} <= set(cell.rows), cell.name


def test_cells_have_names_of_their_own():
    names = [cell.name for cell in cells.all_cells()]
    assert len(set(names)) == len(names)
    assert {cell.derived_from for cell in cells.all_cells()} - {None} <= set(names)


def verdicts_of(made, ours, theirs):
    made.samples["crr-1 p50"] = {"direct": [], "qemu passt": [{"value": theirs}],
                                 "qemu sluice": [{"value": ours}]}
    cell = next(cell for cell in made.cells if cell.name == "crr-1 p50")
    return {verdict["asked"]: verdict["holds"] for verdict in made._verdicts(cell)}


def test_bound_holds_at_its_value_and_not_above_it(made):
    asked = "qemu sluice: ≤0.7×qemu passt"
    assert verdicts_of(made, 70.0, 100.0) == {asked: True}
    assert verdicts_of(made, 71.0, 100.0) == {asked: False}


def test_bound_without_a_figure_is_not_judged(made):
    cell = next(cell for cell in made.cells if cell.name == "crr-1 p50")
    assert [verdict["holds"] for verdict in made._verdicts(cell)] == [None]


def test_report_is_one_of_the_lab(made):
    for number in (1, 2):
        made.samples["crr-1 p50"]["qemu sluice"].append(
            {"value": 50.0 * number, "p99_ns": 90_000, "rate_per_s": 20_000.0})
    made._derive()
    found = made._document(None)
    assert not schema.problems(found)
    tail = next(cell for cell in found["cells"] if cell["name"] == "crr-1 p99")
    assert tail["summary"]["qemu sluice"]["median"] == 90.0


def test_row_whose_engine_is_missing_is_left_out_with_a_word(capsys):
    options = types.SimpleNamespace(only=None, rows=["qemu passt"], smoke=True, rounds=1, seconds=1,
                                    sluice="/nowhere/sluice", passt="/nowhere/passt", pasta=None)
    assert not session.Session(options).rows
    assert "without qemu passt: no /nowhere/passt" in capsys.readouterr().err


def test_a_guest_that_does_not_come_up_is_tried_twice_in_a_run(made, monkeypatch):
    starts = []

    def guest(row, *_):
        starts.append(row.name)
        raise processes.LabError(f"{row.name} does not come up")

    monkeypatch.setattr(rows, "Guest", guest)
    made.places = rows.Places(None, made.options, None)
    for name in ("crr-1 p50", "tcp-out mtu1500 P1"):
        cell = next(cell for cell in made.cells if cell.name == name)
        assert made._attempt("somewhere", cell, rows.ROWS["qemu passt"]) is None
    made.places.close()
    assert starts == ["qemu passt"] * 2
    assert len(made.errors) == 4 and "does not come up" in made.errors[-1]


def test_exits_are_those_of_the_process_per_operation(tmp_path):
    pid = os.getpid()
    numbers = {"exits": 100, "mmio_exits": 10, "io_exits": 1}

    def tell(more):
        for owner in (f"{pid}-11", "1-11"):  # The other one is a stranger's.
            (tmp_path / owner).mkdir(exist_ok=True)
            for name, number in numbers.items():
                (tmp_path / owner / name).write_text(f"{number + more}\n")

    tell(0)
    counted = exits.Exits(pid, tmp_path)
    tell(50)
    assert counted.per(25) == {"exits_per_op": 2, "told_per_op": 4}
    assert counted.taken() == {"exits": 50, "told": 100}
    assert counted.per(20, without={"exits": 10, "told": 100}) == {"exits_per_op": 2, "told_per_op": 0}
    assert exits.Exits(None, tmp_path).per(25) == {}
    assert exits.Exits(pid, tmp_path / "nowhere").per(25) == {}


def test_exits_are_shown_of_machines_of_kvm_alone(made):
    name = "crr-1 exits"
    made.samples[name] = {"kvm box": []}
    made.samples["crr-1 p50"] |= {"kvm box": [{"value": 1.0, "exits_per_op": 7.5}]}
    made.cells += [cell for cell in cells.all_cells() if cell.name == name]
    made._derive()
    assert made.samples[name] == {"kvm box": [{"value": 7.5}]}


def test_kvm_that_is_not_there_leaves_its_rows_out(monkeypatch, capsys):
    monkeypatch.setattr(machine.os, "access", lambda path, _: path != "/dev/kvm")
    options = types.SimpleNamespace(only=None, rows=["kvm slirp"], smoke=True, rounds=1, seconds=1,
                                    sluice=None, passt=None)
    assert not session.Session(options).rows
    assert "without kvm slirp: no /dev/kvm" in capsys.readouterr().err


@pytest.mark.parametrize("without", ["", "registers,irqfd"])
def test_a_box_is_kept_from_what_its_row_says(without):
    link = links.Own("sluice", ["--mtu", "1500"], without)
    assert link.box() == ["sluice", "box", "--mtu", "1500"]
    assert link.environment("/c") == ({"LD_PRELOAD": "/c/libkvm_without.so",
                                       "KVM_WITHOUT": without} if without else {})
