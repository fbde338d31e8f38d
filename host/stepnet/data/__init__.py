"""Data sets of handwritten characters, and how well a network reads them.

`load("mnist")` gives a `Split`; `evaluation.score` measures a network on one of its parts.
"""

from stepnet.data.sets import Dataset, Split, data_folder, load, parse_characters

__all__ = ["Dataset", "Split", "data_folder", "load", "parse_characters"]
