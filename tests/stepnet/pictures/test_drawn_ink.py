"""Drawings that a program made: black on white, with nothing else on the paper."""

import numpy as np
import pytest

from stepnet.errors import ImageError
from stepnet.networks.shipped import load_network
from stepnet.pictures.paper import drawn_ink
from stepnet.pictures.preparing import prepare_drawing


def paper():
    return np.full((120, 120), 255, dtype=np.uint8)


def test_a_stroke_from_side_to_side_is_no_rule():
    drawing = paper()
    drawing[60:66, 2:118] = 0
    (image,) = prepare_drawing(drawing, load_network("ascii")).images
    rows, columns = np.nonzero(image >= 64)
    assert (np.ptp(columns) + 1, image.max()) == (22, 255)
    assert np.ptp(rows) + 1 <= 3


def test_a_speck_is_no_ink():
    drawing = paper()
    drawing[20:100, 40:60] = 0
    drawing[10:12, 100:102] = 0
    ink = drawn_ink(drawing.astype(np.float32))
    assert ink.strength[50, 50] == 255
    assert not ink.strength[:, 90:].any()


def test_a_blank_drawing_is_refused():
    with pytest.raises(ImageError) as refused:
        prepare_drawing(paper(), load_network("ascii"))
    assert str(refused.value) == "The picture is blank; draw something."
