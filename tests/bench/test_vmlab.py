"""The lab of virtual machines, without a machine: its cells, its verdicts, its report."""

import types

import pytest

from labkit import processes, schema
from vmlabkit import cells, rows, session


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
