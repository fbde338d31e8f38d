"""A layer in arrays: programmed once, then read after any time.

`ProgrammedLayer` has cells, which drift. `ReadLayer` is what they amount to at one moment: weights
that are no integers any more, and a comparator or a converter at the end of each column.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.analogue import ArraySettings, Thresholds
from stepnet.errors import AnalogueError
from stepnet.networks.network import Layer
from stepnet_sim.analogue import pcm
from stepnet_sim.analogue.pairs import to_conductances, to_weights
from stepnet_sim.analogue.rows import Rows
from stepnet_sim.analogue.wires import counted

RANGE_DEVIATIONS = 3
"""How many standard deviations of a sum the range of an ADC reaches beyond the largest threshold. A
sum is taken to be one of random signs in which a quarter of the inputs are 1."""


class ProgrammedLayer:
    """The cells of a layer after programming.

    compared: whether its neurons are compared with each other, and make no steps.
    number: the place of the layer in its network, for the sentence if it does not fit.

    Raises AnalogueError if the layer is larger than an array and must not be spread over several.
    """

    def __init__(
        self,
        layer: Layer,
        settings: ArraySettings,
        random: np.random.Generator,
        *,
        compared: bool = False,
        number: int = 0,
    ) -> None:
        self.settings = settings
        in_rows = settings.thresholds is Thresholds.ROWS
        self.rows = (Rows.with_thresholds if in_rows else Rows.of_weights)(layer, compared)
        self.row_tiles, self.column_tiles = _tiles(self.rows, number, settings)
        target_us = to_conductances(self.rows)
        self.programmed_us = pcm.program(target_us, random)
        self.exponents = pcm.drift_exponents(target_us, random)

    def read(self, seconds: float, random: np.random.Generator) -> ReadLayer:
        """The layer as it is `seconds` after programming."""
        weights = self._weights_after(seconds, random)
        limits = self.rows.limits
        if self.settings.thresholds is Thresholds.FIXED:
            limits = self._from_dac(limits * self._calibration(seconds, random))
        return ReadLayer(
            weights=weights,
            inputs=self.rows.inputs,
            row_tiles=self.row_tiles,
            limits=limits,
            adc_bits=self.settings.adc_bits,
            full_scales=[self._full_scale(rows) for rows in self.row_tiles],
        )

    def _full_scale(self, rows: slice) -> float:
        """The range of the ADCs of one array; see `RANGE_DEVIATIONS`."""
        weights = self.rows.weights[rows]
        deviation = np.sqrt((weights.astype(np.float64) ** 2).mean() * len(weights) / 4)
        limit = self.rows.farthest_limit * len(weights) / len(self.rows.weights)
        return float(limit + RANGE_DEVIATIONS * deviation)

    def _from_dac(self, limits: NDArray[np.float32]) -> NDArray[np.float32]:
        """What comparators get for these limits: the nearest of as many steps as the DAC has, which
        reach as far as the limits of a layer that is not faded.
        """
        if self.settings.dac_bits is None or not self.rows.farthest_limit:
            return limits
        steps = 2**self.settings.dac_bits - 1
        reach = np.float32(self.rows.farthest_limit)
        return (np.rint((limits / reach + 1) / 2 * steps) / steps * 2 - 1) * reach

    def _weights_after(self, seconds: float, random: np.random.Generator) -> NDArray[np.float32]:
        """As which weights the cells count: (rows, n_out)."""
        now_us = pcm.read(self.programmed_us, self.exponents, seconds, random)
        for tile in itertools.product(self.row_tiles, self.column_tiles):
            now_us[tile] = counted(now_us[tile], self.settings.wire_ohm)
        return to_weights(now_us, self.rows.largest)

    def _calibration(self, seconds: float, random: np.random.Generator) -> np.float32:
        """The factor on thresholds outside the array: as how much a weight counted when the layer
        was calibrated last, which is first done as soon as it is programmed.
        """
        again_s = self.settings.calibrated_after_s
        calibrated_s = 0.0 if again_s is None or again_s > seconds else again_s
        return fading(self._weights_after(calibrated_s, random), self.rows.weights)


@dataclass(frozen=True, eq=False)
class ReadLayer:
    """A layer at one moment.

    weights: (rows, n_out) float32, in units of the layer's weights.
    inputs: (rows,) int, the input that drives each row; n_in for one that is always on.
    row_tiles: which rows stand in one array.
    limits: (n_out,) float32, the sums above which neurons fire.
    adc_bits: how many bits of the sum in each array are known; None for comparators alone.
    full_scales: for each of them the largest sum either way that its ADCs tell from others.
    """

    weights: NDArray[np.float32]
    inputs: NDArray[np.intp]
    row_tiles: list[slice]
    limits: NDArray[np.float32]
    adc_bits: int | None
    full_scales: list[float]

    def excess(self, activations: NDArray[np.uint8]) -> NDArray[np.float32]:
        """By how much every sum exceeds its limit: (N, n_out), from (N, n_in) of 0 and 1."""
        always_on = np.ones((len(activations), 1), dtype=np.uint8)
        driven = np.concatenate([activations, always_on], axis=1)[:, self.inputs]
        driven = driven.astype(np.float32)
        if self.adc_bits is None:
            # The columns of arrays below each other are joined before the comparator.
            return driven @ self.weights - self.limits
        excess = np.tile(-self.limits, (len(driven), 1))
        for rows, full_scale in zip(self.row_tiles, self.full_scales, strict=True):
            sums = driven[:, rows] @ self.weights[rows]
            excess += _converted(sums, self.adc_bits, full_scale)
        return excess


def fading(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> np.float32:
    """As how much a weight of 1 counts, on the average of least squares: what a calibration finds
    that reads every row alone.
    """
    return np.float32((found * wanted).sum() / max(1.0, float((wanted * wanted).sum())))


def _converted(sums: NDArray[np.float32], adc_bits: int, full_scale: float) -> NDArray[np.float32]:
    """What an ADC makes of sums: the middle of the step in which each lies."""
    half = 1 << adc_bits - 1
    step = np.float32(full_scale / half)
    return (np.floor(sums / step).clip(-half, half - 1) + np.float32(0.5)) * step


def _tiles(rows: Rows, number: int, settings: ArraySettings) -> tuple[list[slice], list[slice]]:
    """The rows and the columns that share an array."""
    row_count, column_count = len(rows.weights), 2 * rows.weights.shape[1]
    # The two columns of a neuron stay together.
    columns_each = settings.tile_columns // 2 * 2
    fits = row_count <= settings.tile_rows and column_count <= columns_each
    if not fits and not settings.tiling:
        raise AnalogueError(
            f"Layer {number} takes an array of {row_count} x {column_count} cells, and the largest "
            f"one has {settings.tile_rows} x {settings.tile_columns}; allow tiling, or larger "
            "arrays."
        )
    return _cut(row_count, settings.tile_rows), _cut(column_count, columns_each)


def _cut(length: int, most: int) -> list[slice]:
    """Pieces of at most `most`, one behind the other."""
    return [slice(start, start + most) for start in range(0, length, most)]
