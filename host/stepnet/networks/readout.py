"""How the last layer of a network becomes a character, and how many bits a weight may have.

A module of its own without numpy, so that the command line starts quickly.
"""

from __future__ import annotations

from enum import StrEnum

MAX_WEIGHT_BITS = 8
"""The most bits that a weight can have; 1 is the fewest."""


NO_CHARACTER = "\0"
"""The character of code 0, which stands for images that show none of a network's characters."""


class Readout(StrEnum):
    """How the last layer becomes a character code.

    BITS: 7 or 8 neurons, neuron k is bit k of the code.
    TREE: one neuron per prefix of the code in heap order (root 0, children of n at 2n+1 and
    2n+2); from the most significant bit down, the bits already known choose the next neuron.
    NEAREST: one neuron per character of the alphabet; the largest `sum - threshold` wins, the
    first one on a tie.
    """

    BITS = "bits"
    TREE = "tree"
    NEAREST = "nearest"
