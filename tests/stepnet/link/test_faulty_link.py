"""Some thousand images through a link that goes wrong; the benchmark sends a million."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "faulty_link.py"


def test_every_image_is_answered_once_and_by_its_own_answer():
    command = [sys.executable, str(BENCHMARK), "--images", "5000", "--faults", "200", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["images"] == 5000
    assert result["faults"] > 150
    assert set(result["faults_by_kind"]) == {
        "flip",
        "drop",
        "repeat",
        "delay",
        "reset",
        "unplug",
    }
    assert result["wrong"] == result["unanswered"] == 0
    assert result["overruns"] == 0  # the window was kept
    assert result["retries"] > 100
    assert result["loads"] > result["faults_by_kind"]["reset"] / 2
