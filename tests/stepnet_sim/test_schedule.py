"""The picture of the engine's schedule, looked at pixel by pixel where something has to be."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from PIL import Image

from stepnet import Readout
from stepnet.cores.engine.memory_image import enlarged
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import PictureError
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_images,
    random_network,
)
from stepnet_sim.chips.design import Design
from stepnet_sim.waves.schedule import LAYER_COLOURS, PIXEL_COLOUR, STATE_COLOURS
from stepnet_sim.waves.waves import record_waves

pytestmark = pytest.mark.slow

SHAPE = EngineShape(8, 64, 512, 128, 4, overlap_neurons=20)


@pytest.fixture(scope="module")
def waves():
    rng = np.random.default_rng(0)
    network = random_network(rng, (40, 12, 15), (1, 2), readout=Readout.TREE)
    return record_waves(network, random_images(rng, network, 1)[0], design=Design(SHAPE))


def drawn(waves, path):
    """How many pixels of each colour the picture has, by their (red, green, blue)."""
    waves.draw_schedule(path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    return dict(zip(map(tuple, colours.tolist()), counts.tolist(), strict=True))


def rgb(colour):
    return tuple(round(255 * part) for part in to_rgb(colour))


def test_every_layer_and_state_of_a_tree_is_drawn(waves, tmp_path):
    colours = drawn(waves, tmp_path / "out.png")
    states = {"ROW_HEADER", "LAYER_HEADER", "PREPARE", "COMPUTE", "DESCEND", "FIND_ROW"}
    assert states | {"WAIT", "READ_OUT", "RESULT"} == set(waves.account.states)
    for state in states:
        assert colours.get(rgb(STATE_COLOURS[state]), 0) > 200, state
    for layer in (0, 1):
        assert colours.get(rgb(LAYER_COLOURS[layer]), 0) > 2000, layer
    assert rgb(LAYER_COLOURS[2]) not in colours


def test_every_state_of_an_engine_with_registered_memory_is_drawn(tmp_path):
    rng = np.random.default_rng(1)
    network = random_network(rng, (40, 12, 10), (1, 2), readout=Readout.NEAREST)
    shape = replace(SHAPE, weight_memory="registered")
    recorded = record_waves(network, random_images(rng, network, 1)[0], design=Design(shape))
    states = set(recorded.account.states)
    assert {"DECODE", "LOOK_UP", "LOOKED_UP"} < states
    colours = drawn(recorded, tmp_path / "out.png")
    for state in states - {"WAIT"}:
        assert colours.get(rgb(STATE_COLOURS[state]), 0) > 200, state


def test_a_convolution_is_drawn_with_its_headers_and_few_objects(tmp_path, monkeypatch):
    """However many windows are evaluated, what they draw is one object for each layer, not one for
    each window: a picture of tens of thousands takes seconds.
    """
    rng = np.random.default_rng(0)
    maps = (RandomMap(6, 3, pool=True), RandomMap(4, 3))
    network = random_convolution_network(rng, 12, 12, maps)
    shape = enlarged(EngineShape(16, map_words=2), network)
    recorded = record_waves(network, random_images(rng, network, 1)[0], design=Design(shape))
    assert len(recorded.account.decisions) > 600
    titles = []
    added = Axes.add_collection

    def count(axes, *arguments, **settings):
        titles.append(axes.get_title("left"))
        return added(axes, *arguments, **settings)

    monkeypatch.setattr(Axes, "add_collection", count)
    colours = drawn(recorded, tmp_path / "out.png")
    assert colours.get(rgb(STATE_COLOURS["MAP_HEADER"]), 0) > 200
    assert titles.count("the whole image") < 40
    for layer in range(3):
        assert colours.get(rgb(LAYER_COLOURS[layer]), 0) > 500, layer


def test_the_bytes_that_fill_a_word_are_marked_and_every_box_has_its_number(tmp_path, monkeypatch):
    """Words of 2 bytes: 1, 3, 5 and so on fill one, and so does the last of an odd number."""
    rng = np.random.default_rng(0)
    network = random_network(rng, (40, 12, 7), (1, 2))
    shape = EngineShape(16, 64, 512, 128, 4)
    recorded = record_waves(network, random_images(rng, network, 1)[0], design=Design(shape))
    boxes, numbers = [], {}

    def note_boxes(axes, spans, lane, **settings):
        top = lane[0] + lane[1]
        if axes.get_title("left") == "the start" and 0 < top < 1:
            boxes.extend((first, settings["facecolors"]) for first, _ in spans)

    def note_text(axes, x, y, text, **settings):
        if axes.get_title("left") == "the start" and 0 < y < 1:
            numbers[x - 0.5] = int(text)

    monkeypatch.setattr("matplotlib.axes.Axes.broken_barh", note_boxes)
    monkeypatch.setattr("matplotlib.axes.Axes.text", note_text)
    recorded.draw_schedule(tmp_path / "out.png")
    assert {cycle for cycle, _ in boxes} == set(numbers)
    marked = {numbers[cycle] for cycle, colour in boxes if colour == PIXEL_COLOUR}
    shown = sorted(numbers.values())
    assert len(shown) >= 3
    assert marked == {number for number in shown if number in (1, 3, 4)}


def test_words_that_were_not_issued_are_not_drawn(waves, tmp_path):
    account = waves.account
    fewer = replace(account, issues=account.issues[-60:])
    whole = drawn(waves, tmp_path / "whole.png")[rgb(LAYER_COLOURS[0])]
    part = drawn(replace(waves, account=fewer), tmp_path / "part.png")[rgb(LAYER_COLOURS[0])]
    assert part < whole


def test_a_picture_that_cannot_be_written_is_refused(waves, tmp_path):
    with pytest.raises(PictureError) as error:
        waves.draw_schedule(tmp_path / "missing" / "out.png")
    assert str(error.value) == (
        f"There is no folder '{tmp_path / 'missing'}'; "
        "name a picture in a folder that exists and is writable."
    )
