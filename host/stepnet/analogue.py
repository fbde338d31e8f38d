"""Networks in arrays of analogue memory: what is asked of whoever simulates such arrays.

A weight is the difference of two conductances there, an input bit is a voltage on a row or none,
and by Ohm's and Kirchhoff's laws the currents of a column add up to the sum of a neuron. A
comparator at the end of the column is the step.

Another package knows the memory cells: it offers an `AnalogueMemory` as an entry point of the group
`MEMORIES_GROUP`, under the name that `--analogue` of `stepnet evaluate` and `stepnet train` takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import AnalogueError
from stepnet.networks.network import Layer, Network

MEMORIES_GROUP = "stepnet.analogue"
"""Entry points of kinds of analogue memory, by name. Each is an `AnalogueMemory`."""

MOST_CONVERTER_BITS = 16
"""Of an ADC or a DAC."""

SECONDS = {
    "s": 1.0,
    "min": 60.0,
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 604_800.0,
    "month": 2_629_800.0,
    "year": 31_557_600.0,
}
"""The units of time by name, in seconds; a year is one of 365.25 days, a month its twelfth."""


class Thresholds(StrEnum):
    """Where the thresholds of a layer are kept.

    ROWS: as further rows of the same array, whose inputs are always 1, so that a neuron fires where
    the current of its column is positive. They fade as the weights do.
    FIXED: outside of the array, where nothing fades.
    """

    ROWS = "rows"
    FIXED = "fixed"


@dataclass(frozen=True, kw_only=True)
class ArraySettings:
    """How arrays hold a network, whatever their cells are made of.

    thresholds: where the thresholds are kept.
    adc_bits: how many bits the converter at the end of each column has; None for a comparator in
    its place.
    dac_bits: how many bits the converter has that gives a fixed threshold to its comparator; None
    for one that is exact.
    tile_rows, tile_columns: the size of the largest array that can be made. A neuron has two
    columns, one for each conductance of its pairs.
    tiling: whether a layer that is larger is spread over several arrays.
    wire_ohm: the resistance of the wire from one cell to the next, along rows and along columns.
    calibrated_after_s: seconds from programming to a calibration, which measures by what factor
    the conductances of each layer have faded; None for no calibration. It is for thresholds outside
    the array, and is made when that time has come.

    Raises AnalogueError if a value is out of its range, or does nothing beside another.
    """

    thresholds: Thresholds = Thresholds.ROWS
    adc_bits: int | None = None
    dac_bits: int | None = None
    tile_rows: int = 256
    tile_columns: int = 256
    tiling: bool = True
    wire_ohm: float = 0.15
    calibrated_after_s: float | None = None

    def __post_init__(self) -> None:
        self._check_converters()
        if self.tile_rows < 1 or self.tile_columns < 2:
            raise AnalogueError(
                f"An array of {self.tile_rows} x {self.tile_columns} cells holds no weight, which "
                "is a pair in two columns; give at least 1 row and 2 columns."
            )
        if not 0 <= self.wire_ohm < np.inf:
            raise AnalogueError(
                f"The wire from one cell to the next cannot have {self.wire_ohm} ohms; give 0 or "
                "a finite number above."
            )
        if self.calibrated_after_s is not None:
            check_time(self.calibrated_after_s)
            if self.thresholds is Thresholds.ROWS:
                raise AnalogueError(
                    "Thresholds in rows of the array fade as the weights do and need no "
                    "calibration; leave it out, or keep the thresholds fixed."
                )

    def _check_converters(self) -> None:
        for kind, bits in (("An ADC", self.adc_bits), ("A DAC", self.dac_bits)):
            if bits is not None and not 1 <= bits <= MOST_CONVERTER_BITS:
                raise AnalogueError(
                    f"{kind} of {bits} bits cannot be made; give 1 to {MOST_CONVERTER_BITS}, or "
                    "leave it out."
                )
        if self.dac_bits is not None and (
            self.thresholds is Thresholds.ROWS or self.adc_bits is not None
        ):
            where = "rows of the array" if self.adc_bits is None else "numbers behind the ADC"
            raise AnalogueError(
                f"A DAC gives fixed thresholds to comparators, but thresholds are {where} here; "
                "leave it out."
            )


class ArrayReader(Protocol):
    """A network in arrays, at one moment after programming."""

    def infer(self, images: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The character code of every image: (N,) uint8.

        images: as in `stepnet.networks.reference.binarise`.
        """
        ...


class ProgrammedNetwork(Protocol):
    """A network that was programmed once into arrays, whose cells drift from then on."""

    def after(self, seconds: float, random: np.random.Generator) -> ArrayReader:
        """The same arrays `seconds` after programming; the noise of reading is drawn from `random`.

        Raises AnalogueError if that is before programming.
        """
        ...


class AnalogueMemory(Protocol):
    """A kind of memory cell whose conductance can be set, and the arrays that are made of it."""

    def program(
        self, network: Network, settings: ArraySettings, random: np.random.Generator
    ) -> ProgrammedNetwork:
        """Program a network into arrays; what differs from one programming to the next is drawn
        from `random`.

        Raises AnalogueError if a layer does not fit an array and must not be spread over several.
        """
        ...

    def deviations(
        self,
        layer: Layer,
        settings: ArraySettings,
        seconds: float,
        random: np.random.Generator,
        *,
        compared: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """By how much weights and thresholds differ from what they should be, in one programming
        of `layer`, read after `seconds`. The settings have thresholds in rows.

        compared: whether the neurons are compared with each other, as those of the last layer are
        under readout nearest.

        Returns (n_out, n_in) and (n_out,), in units of one weight; the factor by which all cells
        have faded together is made up for.

        Raises AnalogueError as `program` does.
        """
        ...


def memory(name: str) -> AnalogueMemory:
    """The kind of memory of this name. Raises AnalogueError if nobody offers it."""
    found = entry_points(group=MEMORIES_GROUP)
    if name not in found.names:
        choices = ", ".join(sorted(found.names)) or "none is installed"
        raise AnalogueError(f"There is no analogue memory {name!r}; choose one of: {choices}.")
    return found[name].load()


def check_time(seconds: float) -> None:
    """Raise AnalogueError unless `seconds` is a time after programming."""
    if not 0 <= seconds < np.inf:
        raise AnalogueError(
            f"A time of {seconds:g} s is not after programming; give 0 or a finite time above."
        )


def read_time(text: str) -> float:
    """Seconds from a number with a unit, such as "1day", "20 s" or "2.5years".

    Raises AnalogueError if it is no such text, or a time before programming.
    """
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip().removeprefix(number)
    try:
        seconds = float(number) * SECONDS[unit if unit in SECONDS else unit.removesuffix("s")]
    except (ValueError, KeyError):
        raise AnalogueError(
            f"The time {text!r} is not understood; give a number and one of "
            f"{', '.join(SECONDS)}, such as 1day."
        ) from None
    check_time(seconds)
    return seconds
