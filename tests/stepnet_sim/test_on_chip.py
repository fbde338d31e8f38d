"""A chip that measures itself: over the link, and by `stepnet bench --on-chip`."""

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stepnet.boards.board import Board
from stepnet.boards.on_chip import OnChipBench
from stepnet.cli.bench import bench
from stepnet.cores.pipeline.stored_images import stored_images
from stepnet.errors import BoardError, BuildError, DataError, NetworkError
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_network
from stepnet.networks.shipped import load_lut_network
from stepnet_hdl.cores.pipeline.table_pipeline import table_latency_cycles
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.virtual_board import INTERPRETED_CYCLES_PER_RUN, VirtualBoardLink

RNG = np.random.default_rng(1)
NETWORK = LutNetwork(
    "tables",
    (LutLayer(RNG.integers(0, 36, (40, 4)), RNG.integers(0, 1 << 16, 40), 36),),
    6,
    6,
    readout=Readout.NEAREST,
    counts=Counts(np.arange(40) % 10, np.zeros(10, np.int32)),
)
IMAGES = RNG.integers(0, 2, (30, 6, 6), dtype=np.uint8) * np.uint8(255)
WRONG = np.arange(30) % 4 == 0
LABELS = np.where(WRONG, ord("x"), lut.infer(NETWORK, IMAGES))


def link_to(design):
    return VirtualBoardLink(InterpretedChip(design), INTERPRETED_CYCLES_PER_RUN)


def test_it_counts_over_the_link():
    stored = stored_images(NETWORK, IMAGES, LABELS)
    with OnChipBench(link_to(design_for(stored)), 60.0) as board:
        assert board.stored_images == 30
        measured = board.measure(75)
        assert measured.right == stored.right_of(75) == sum(not WRONG[n % 30] for n in range(75))
        assert measured.cycles == 75 + table_latency_cycles(NETWORK)
        assert measured.images_per_s == 75 * 42_000_000 / measured.cycles
        for images in (0, 16_000_001):
            with pytest.raises(BoardError) as caught:
                board.measure(images)
            assert str(caught.value) == (
                f"A board is not measured with {images:,} images; give 1 to 16,000,000."
            )


def test_it_reads_no_image_of_the_hosts():
    link = link_to(design_for(stored_images(NETWORK, IMAGES, LABELS)))
    with pytest.raises(BoardError) as caught:
        Board(link, NETWORK, 60.0, where="the chip")
    assert str(caught.value) == (
        "The board at 'the chip' reads no image but its own; measure it with `stepnet bench "
        "--on-chip`, or flash another bitstream."
    )


def test_an_engine_does_not_measure_itself():
    with pytest.raises(BoardError) as caught:
        OnChipBench(link_to(Design()), 60.0, where="the chip")
    assert str(caught.value) == (
        "The board at 'the chip' has no images of its own to be measured with; build a bitstream "
        "that has some, with `stepnet build --on-chip`."
    )


def test_no_other_chip_is_taken_for_it():
    """Compiled chips are found by what their designs say."""
    stored = stored_images(NETWORK, IMAGES, LABELS)
    fewer = stored_images(NETWORK, IMAGES, LABELS, 3)
    designs = [design_for(stored), design_for(fewer), design_for(NETWORK), Design()]
    designs += [design_for(NETWORK, "ulx3s-25f"), design_for(stored, "ulx3s-25f")]
    keys = {(repr(design), design.network and design.network.digest) for design in designs}
    assert len(keys) == len(designs)


def test_boards_that_are_too_small():
    stored = stored_images(
        load_lut_network("digits-lut-small"), np.zeros((1000, 28, 28), bool), np.zeros(1000)
    )
    with pytest.raises(BuildError) as caught:
        design_for(stored, "icestick")
    assert str(caught.value) == (
        "On icestick network 'digits-lut-small' is a table walk, which takes an image in thousands "
        "of cycles, and the link brings it sooner; choose a board on which it is a pipeline, such "
        "as ulx3s-25f."
    )
    with pytest.raises(BuildError) as caught:
        design_for(stored, "ice40hx8kbevn")
    assert str(caught.value) == (
        "1,000 images of 381 pixels take 98 block RAMs, and ice40hx8kbevn has 26 left; choose a "
        "larger board, or data with fewer images."
    )
    with pytest.raises(DataError) as none:
        stored_images(NETWORK, IMAGES[:0], LABELS[:0])
    assert str(none.value) == ("There is no image to keep on the chip; name a data set with some.")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command with files of the network and of images; the board is interpreted."""
    NETWORK.save(tmp_path / "tables.npz")
    # By sample, 15 % of a file are its test part.
    np.savez(tmp_path / "data.npz", images=np.tile(IMAGES, (4, 1, 1)), labels=np.tile(LABELS, 4))
    chips = []

    def open_link(where, *, network, **others):
        chips.append(network)
        return link_to(design_for(network))

    monkeypatch.setattr("stepnet.link.link.open_link", open_link)
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(bench)

    def run(*words):
        named = ["--network", str(tmp_path / "tables.npz"), "--data", str(tmp_path / "data.npz")]
        options = ["--on-chip", "--images", "40", "--timeout", "60", *named, *words]
        done = CliRunner().invoke(app, options, catch_exceptions=False)
        return done, chips[-1]

    return run


def test_the_command(run):
    done, stored = run("--json")
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (done.exit_code, len(stored)) == (0, 18)
    assert figures["right"] == figures["right_as_numpy"] == stored.right_of(40)
    assert 0 < figures["right"] < 40
    done, _ = run()
    assert done.stdout == (
        f"rate      {40 * 42e6 / figures['cycles']:,.0f} images/s at 42 MHz (40 images in "
        f"{figures['cycles']} cycles)\n"
        f"right     {figures['right'] / 40:.2%} of 18 different images ({figures['right']}, as "
        "numpy counts)\n"
    )


def test_a_count_that_is_not_numpys_is_a_failure(run, monkeypatch):
    monkeypatch.setattr(
        "stepnet.cores.pipeline.stored_images.StoredImages.right_of", lambda self, images: 41
    )
    done, _ = run()
    assert done.exit_code == 1
    assert "numpy counts 41 in these images" in done.stdout


def test_a_step_network_has_no_pipeline(run, tmp_path):
    random_network(RNG, (36, 7), (1,)).save(tmp_path / "steps.npz")
    with pytest.raises(NetworkError) as caught:
        run("--network", str(tmp_path / "steps.npz"))
    assert str(caught.value) == (
        "Network 'random' is a step network, and only the pipeline of a network of look-up tables "
        "takes an image in every cycle; name one, such as ascii-lut, digits-lut, "
        "digits-lut-compact, digits-lut-large, digits-lut-small."
    )


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (
            stored_images(NETWORK, IMAGES, LABELS, 3),
            "The board at '/dev/null' keeps 3 images, and {data} has 18 for it; name the data that "
            "it was built with with --data.",
        ),
        (
            stored_images(replace(NETWORK, name="other"), IMAGES, LABELS),
            "The board at '/dev/null' was built with another network than 'tables'; name that one "
            "with --network.",
        ),
    ],
)
def test_a_board_that_was_built_with_something_else(run, monkeypatch, tmp_path, kept, message):
    link = link_to(design_for(kept))
    monkeypatch.setattr("stepnet.link.link.open_link", lambda where, **others: link)
    with pytest.raises(BoardError) as caught:
        run("--board", "/dev/null")
    assert str(caught.value) == message.format(data=tmp_path / "data.npz")
