"""Step networks: handwriting in, ASCII out, one bit per neuron.

    >>> import stepnet
    >>> with stepnet.open_board("sim") as board:
    ...     reading = board.infer(image)

`Network` is a network and its file, `reference` what it computes, `open_board` the way to a board
that computes it.
"""

from stepnet import reference
from stepnet.errors import StepnetError
from stepnet.network import Layer, Network, Readout

__all__ = ["Layer", "Network", "Readout", "StepnetError", "reference"]
