"""The quick faults of the campaign; the benchmark commits two hundred of all kinds."""

import random
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

QUICK = ("a damaged cache", "a cache of somebody else", "a build into a folder of the user's")


@pytest.fixture
def faults(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import campaign_files

    yield campaign_files.FileFaults(tmp_path / "files", random.Random(0)).kinds()
    sys.modules.pop("campaign_files", None)


@pytest.mark.parametrize("kind", QUICK)
def test_what_has_to_hold_holds(faults, kind):
    for _ in range(5):
        assert faults[kind]() == []
