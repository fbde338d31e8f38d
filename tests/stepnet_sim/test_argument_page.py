"""docs/argument.md is what its script makes of the files of what was measured."""

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import argument_report

    yield argument_report
    for name in ("argument_report", "energy"):
        sys.modules.pop(name, None)


def test_the_page_is_the_one_of_the_files(report):
    page = (REPOSITORY / "docs" / "argument.md").read_text(encoding="utf-8")
    assert page == report.page(), "python benchmarks/argument_report.py writes it anew"


def test_the_counted_chips_stand_in_the_page_on_energy(report):
    page = (REPOSITORY / "docs" / "energy.md").read_text(encoding="utf-8")
    table = sys.modules["energy"].counted_table()
    assert table in page, "energy.counted_table() has it as it should be"


def test_energies_are_told_where_there_are_measurements_alone(report):
    for chip in report.all_chips():
        assert (chip.energy_j is not None) == (chip.part == "iCE40UP5K"), chip
        if chip.energy_j is not None:
            low, high = chip.energy_j
            assert 0 < low < high < 1e-3
