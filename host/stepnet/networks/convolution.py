"""The geometry of a convolution: the same neurons at every position of a map of activations.

A map has `height` rows of `width` positions with `channels` activations each, channel last. A
neuron sees a window of `kernel` x `kernel` positions, whose inputs stand in the same order: row by
row, position by position, channel by channel.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stepnet.errors import NetworkError

MOST_KERNEL = 7
STRIDES = (1, 2)
POOL = 2
"""Pooling takes 2 x 2 positions together."""

MOST_SIDE = 512
"""The most rows or columns of a map, padding included."""


@dataclass(frozen=True)
class Convolution:
    """Where the neurons of a convolutional layer look, and how their answers become a map.

    height, width, channels: of the map below; the image has 1 channel.
    kernel: rows and columns of a window, 1 to 7.
    stride: positions from one window to the next, 1 or 2, down as across.
    padding: rows and columns beside the map, on each side, less than `kernel`.
    pool: whether of each 2 x 2 neighbouring answers of a neuron their OR counts. An odd row or
        column at the end is left out.
    padding_value: what an activation beside the map is, as -1 or +1; it is -1, the bit 0.

    Raises NetworkError if any of this does not hold together.
    """

    height: int
    width: int
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pool: bool = False
    padding_value: int = -1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, bool if name == "pool" else int):
                raise NetworkError(
                    f"A convolution has {name} {value!r}; give "
                    + ("True or False." if name == "pool" else "a whole number.")
                )
        self._check_window()
        if min(self.height, self.width, self.channels) < 1:
            raise NetworkError(
                f"A convolution is over a map of {self.height} x {self.width} x {self.channels}; "
                "give at least one row, one column and one channel."
            )
        padded = [side + 2 * self.padding for side in (self.height, self.width)]
        if max(padded) > MOST_SIDE:
            raise NetworkError(
                f"A convolution is over a map of {padded[0]} x {padded[1]} positions; "
                f"give at most {MOST_SIDE} rows and columns, padding included."
            )
        if min(padded) < self.kernel:
            raise NetworkError(
                f"A kernel of {self.kernel} x {self.kernel} is larger than its input of "
                f"{padded[0]} x {padded[1]} positions; give a smaller kernel, or pad the input."
            )
        if self.pool and min(self.windows_down, self.windows_across) < POOL:
            raise NetworkError(
                f"Pooling leaves nothing of {self.windows_down} x {self.windows_across} positions, "
                f"which is all that a kernel of {self.kernel} x {self.kernel} with stride "
                f"{self.stride} gives; leave the pooling out, or take a smaller kernel or stride 1."
            )

    def _check_window(self) -> None:
        if not 1 <= self.kernel <= MOST_KERNEL:
            raise NetworkError(
                f"A convolution has a kernel of {self.kernel} x {self.kernel}; choose 1 to "
                f"{MOST_KERNEL}."
            )
        if self.stride not in STRIDES:
            raise NetworkError(f"A convolution has stride {self.stride}; choose 1 or 2.")
        if not 0 <= self.padding < self.kernel:
            raise NetworkError(
                f"A convolution with a kernel of {self.kernel} x {self.kernel} has a padding of "
                f"{self.padding}; choose 0 to {self.kernel - 1}."
            )
        if self.padding_value != -1:
            raise NetworkError(
                f"Padding with {self.padding_value} is not offered: an activation is -1 or +1, the "
                "bit 0 or 1, so padding with 0 is not binary; pad with -1, which is the bit 0."
            )

    @property
    def fan_in(self) -> int:
        """How many inputs a neuron has: those of one window."""
        return self.kernel**2 * self.channels

    @property
    def n_in(self) -> int:
        """How many activations the map below has."""
        return self.height * self.width * self.channels

    @property
    def windows_down(self) -> int:
        """How many windows stand one below the other."""
        return self._windows(self.height)

    @property
    def windows_across(self) -> int:
        """How many windows stand side by side."""
        return self._windows(self.width)

    def _windows(self, side: int) -> int:
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_height(self) -> int:
        """Rows of the map of answers, after pooling."""
        return self.windows_down // self.pool_side

    @property
    def out_width(self) -> int:
        """Columns of the map of answers, after pooling."""
        return self.windows_across // self.pool_side

    @property
    def positions(self) -> int:
        """Positions of the map of answers, after pooling."""
        return self.out_height * self.out_width

    @property
    def pool_side(self) -> int:
        """How many windows in a row, and in a column, become one answer."""
        return POOL if self.pool else 1

    @property
    def evaluations(self) -> int:
        """How often each neuron is evaluated for one image."""
        return self.positions * self.pool_side**2

    def windows(self, activations: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What stands in each window: (N, windows down, windows across, fan_in).

        activations: (N, n_in), the map below.
        """
        maps = activations.reshape(-1, self.height, self.width, self.channels)
        beside = (self.padding, self.padding)
        maps = np.pad(maps, ((0, 0), beside, beside, (0, 0)))
        sides = (self.kernel, self.kernel)
        views = sliding_window_view(maps, sides, (1, 2))[:, :: self.stride, :: self.stride]
        in_order = views.transpose(0, 1, 2, 4, 5, 3)
        return in_order.reshape(*in_order.shape[:3], self.fan_in)

    def pooled(self, answers: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The map of answers after pooling: (N, out_height, out_width, neurons).

        answers: (N, windows down, windows across, neurons) of 0 and 1.
        """
        side = self.pool_side
        kept = answers[:, : self.out_height * side, : self.out_width * side]
        tiles = kept.reshape(len(kept), self.out_height, side, self.out_width, side, -1)
        return tiles.max(axis=(2, 4))
