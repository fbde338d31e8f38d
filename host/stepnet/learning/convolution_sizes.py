"""The convolutions that a training run is asked for: their sizes, as a command line has them.

Where they lie, as `stepnet.networks.convolution` has it, follows from the image. Nothing slow is
imported here, so that the command line starts quickly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepnet.errors import TrainingError

if TYPE_CHECKING:
    from stepnet.networks.convolution import Convolution

_WORD = re.compile(
    r"(?P<kernel>\d+)x(?P<again>\d+)x(?P<channels>\d+)"
    r"(?:s(?P<stride>\d+))?(?:\+(?P<padding>\d+))?(?P<pool>p)?"
)


@dataclass(frozen=True)
class ConvolutionSize:
    """One convolution of a network that is to be trained.

    kernel, stride, padding, pool: as in `stepnet.networks.convolution.Convolution`.
    channels: of the map that it makes, which is how many neurons with weights of their own it has.
    """

    kernel: int
    channels: int
    stride: int = 1
    padding: int = 0
    pool: bool = False

    @classmethod
    def of(cls, convolution: Convolution, channels: int) -> ConvolutionSize:
        """The size of the convolution of a network that makes a map of `channels`."""
        over = convolution
        return cls(over.kernel, channels, over.stride, over.padding, over.pool)

    def over(self, height: int, width: int, channels: int) -> Convolution:
        """The convolution over a map of `height` x `width` x `channels`.

        Raises NetworkError if there is none.
        """
        from stepnet.networks.convolution import Convolution

        return Convolution(
            height, width, channels, self.kernel, self.stride, self.padding, self.pool
        )

    def __str__(self) -> str:
        stride = f"s{self.stride}" if self.stride != 1 else ""
        padding = f"+{self.padding}" if self.padding else ""
        pool = "p" if self.pool else ""
        return f"{self.kernel}x{self.kernel}x{self.channels}{stride}{padding}{pool}"


def over_image(
    sizes: tuple[ConvolutionSize, ...], height: int, width: int
) -> tuple[Convolution, ...]:
    """The convolutions over an image, each over the map of the one before.

    Raises NetworkError if one does not fit its map.
    """
    convolutions: list[Convolution] = []
    channels = 1
    for size in sizes:
        convolutions.append(size.over(height, width, channels))
        height, width = convolutions[-1].out_height, convolutions[-1].out_width
        channels = size.channels
    return tuple(convolutions)


def read_convolutions(text: str) -> tuple[ConvolutionSize, ...]:
    """The convolutions from a list such as "5x5x32p,3x3x64s2+1"; empty text is an empty list."""
    return tuple(map(_read, text.split(","))) if text.strip() else ()


def _read(word: str) -> ConvolutionSize:
    found = _WORD.fullmatch(word.strip())
    if found is None or found["kernel"] != found["again"]:
        raise TrainingError(
            f"The convolution {word.strip()!r} is none; give KERNELxKERNELxCHANNELS like 5x5x32, "
            "then s2 for stride 2, +1 for a border of one position and p for pooling, where "
            "wanted, like 3x3x64s2+1p."
        )
    return ConvolutionSize(
        int(found["kernel"]),
        int(found["channels"]),
        int(found["stride"] or 1),
        int(found["padding"] or 0),
        bool(found["pool"]),
    )


def write_convolutions(sizes: tuple[ConvolutionSize, ...]) -> str:
    """The list that `read_convolutions` reads."""
    return ",".join(map(str, sizes))
