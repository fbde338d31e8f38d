"""docs/figures.md: each figure is the one of its source."""

import json
import re
from pathlib import Path

import pytest

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.networks.shipped import load_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.estimation.size import estimate
from stepnet_hdl.shipping.boards_page import images_per_s
from stepnet_hdl.shipping.manifest import read_manifest, shipped_folder

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "figures.md").read_text()
RESULTS = json.loads((REPOSITORY / "benchmarks" / "results.json").read_text())
MANIFEST = read_manifest(shipped_folder("icebreaker"))
DIGITS = load_network("digits")


def rows(section):
    """What stands in the first column of a section's table."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| ([\d,.]+(?: MHz| of [\d,]+)?) \|", text, re.M)


@pytest.fixture(scope="module")
def chip_row():
    """The measured row of the UP5K's chip: MHz, LUT4, images/s."""
    (row,) = re.findall(
        r"([\d.]+) MHz, ([\d,]+) LUT4, .* ([\d,]+) images/s", RESULTS["chip, SIMD 64, UP5K"]
    )
    return row


def test_cycles():
    byte_cycles = 10 * MANIFEST.clock_hz // MANIFEST.baud
    shape = MANIFEST.shape
    expected = [cycles_per_image(DIGITS, shape, pace) for pace in (None, 1, 2, byte_cycles)]
    assert rows("Cycles of an image") == [f"{cycles:,}" for cycles in expected]
    assert f"one in {byte_cycles} cycles" in PAGE


def test_size(chip_row):
    used, available = MANIFEST.utilisation["LUTs"]
    estimated = estimate(MANIFEST.shape, find_board("icebreaker").device).luts
    assert rows("Size") == [f"{used:,} of {available:,}", f"{estimated:,}", chip_row[1]]


def test_clock(chip_row):
    reached = MANIFEST.max_frequency_hz / 1e6
    clock = f"{MANIFEST.clock_hz / 1e6:g} MHz"
    assert rows("Clock") == [clock, f"{reached:.1f} MHz", f"{chip_row[0]} MHz"]


def test_images_per_second(chip_row):
    core = MANIFEST.clock_hz / cycles_per_image(DIGITS, MANIFEST.shape)
    link = images_per_s(DIGITS, MANIFEST.baud)
    virtual = float(RESULTS["virtual board at the byte stream, `digits`"].split()[0])
    expected = [f"{core:,.0f}", f"{link:,.0f}", chip_row[2], f"{virtual:.0f}"]
    assert rows("Images per second") == expected
