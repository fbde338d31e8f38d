"""The picture of the placement."""

import io
import json

import pytest
from PIL import Image, ImageColor

from stepnet_hdl.flow.placement import (
    COLOURS,
    EMPTY_TILE,
    MARGIN_PIXELS,
    block_of,
    draw,
    read_placement,
)
from stepnet_hdl.flow.report import figures_from_json, own_name

FIGURES = figures_from_json(
    json.dumps(
        {
            **{"part": "FPGA", "bitstream_name": "a.bin"},
            **{"luts": 3, "luts_available": 9, "flip_flops": 0, "flip_flops_available": 0},
            **{"block_rams": 0, "block_rams_available": 0},
            **{"single_port_rams": 0, "single_port_rams_available": 0},
            **{"max_frequency_hz": 2e6, "clock_hz": 1e6, "baud": 1, "seed": 1, "seeds_hz": {}},
            **{"critical_path": [], "tools": [], "plan_digest": "", "seconds": {}},
        }
    )
)


@pytest.mark.parametrize(
    ("cell", "block"),
    [
        ("chip.chip.engine.datapath.popcount.sum_SB_LUT4_O_3_I2_LC", "engine.datapath"),
        ("chip.chip.engine.weights$98.spram_0_1_RAM", "engine.weights"),
        ("chip.chip.engine.image_complete_TRELLIS_FF_Q", "engine"),
        ("chip.receiver.timer_SB_DFFE_Q_DFFLC", "receiver"),
        ("led_buffer.buf0", "led_buffer"),
        ("pll", "board"),
        ("$nextpnr_ICESTORM_LC_7", "other"),
    ],
)
def test_block_of_a_cell(cell, block):
    assert block_of(cell) == block


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("a.b.state_SB_DFFESR_Q_D_SB_LUT4_O_LC", "a.b.state"),
        ("a.words.0.15_DIA_LUT4_Z_3", "a.words.0.15_DIA"),
        ("a.b$3.sum_CCU2C_S0", "a.b.sum"),
        ("a.dff_count_DFFRE_Q", "a.dff_count"),
        ("a.luts", "a.luts"),
    ],
)
def test_own_name_of_a_cell(cell, name):
    assert own_name(cell) == name


def test_every_cell_has_the_colour_of_its_block(tmp_path):
    bels = {"chip.a.x": "X0/Y0/lc0", "chip.a.y": "X0Y1/LUT3", "chip.b.z": "X2/Y0/SLICEA.LUT0"}
    cells = {name: {"attributes": {"NEXTPNR_BEL": bel}} for name, bel in bels.items()}
    cells["chip.a.unplaced"] = {"attributes": {}}
    modules = {"top": {"attributes": {"top": "1"}, "cells": cells}, "lib": {"attributes": {}}}
    (tmp_path / "placed.json").write_text(json.dumps({"modules": modules}))

    placed = read_placement(tmp_path / "placed.json")
    assert [(cell.column, cell.row, cell.block) for cell in placed] == [
        *((0, 0, "a"), (0, 1, "a"), (2, 0, "b")),
    ]
    picture = Image.open(io.BytesIO(draw(placed, "toy", FIGURES)))
    tile = 14

    def colour(column, row):
        x = MARGIN_PIXELS + column * tile + 5
        return picture.getpixel((x, MARGIN_PIXELS + (1 - row) * tile + 5))

    assert colour(0, 0) == colour(0, 1) == ImageColor.getrgb(COLOURS[0])
    assert colour(2, 0) == ImageColor.getrgb(COLOURS[1])
    assert colour(1, 0) == ImageColor.getrgb(EMPTY_TILE)
