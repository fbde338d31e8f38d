"""Pictures of learning and of networks, as PNG files.

`curves` draws the course of a training run, `confusion` what characters are read as, `first_layer`
and `table_wires` what a network looks for. Matplotlib draws them, which only this room needs and
which is imported by the first picture. No window opens, and no figure of a program around it is
touched.
"""

from stepnet.errors import PictureError
from stepnet.plots.confusion_matrix import confusion
from stepnet.plots.drawing import BLUE, GRID, INK, ORANGE, RULE, check
from stepnet.plots.layer_weights import first_layer
from stepnet.plots.learning_curves import curves
from stepnet.plots.table_wires import table_wires

__all__ = [
    "BLUE",
    "GRID",
    "INK",
    "ORANGE",
    "RULE",
    "PictureError",
    "check",
    "confusion",
    "curves",
    "first_layer",
    "table_wires",
]
