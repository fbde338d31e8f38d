"""The options of `stepnet evaluate` that put the network into arrays of analogue memory."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnet.analogue import ArraySettings, Thresholds
from stepnet.errors import AnalogueError

if TYPE_CHECKING:
    from stepnet.data.sets import Dataset
    from stepnet.networks.kinds import AnyNetwork

DEFAULTS = ArraySettings()


@dataclass(frozen=True, kw_only=True)
class ArrayOptions:
    """How the arrays are, and when they are read; all mean nothing without `analogue`."""

    analogue: Annotated[
        str | None,
        typer.Option(
            metavar="MEMORY",
            help="Measure the network in arrays of this analogue memory too, such as pcm, "
            "simulated; the options below are for it.",
        ),
    ] = None
    after: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="How long after programming the arrays are read, such as 1day."
        ),
    ] = "0s"
    programmings: Annotated[
        int,
        typer.Option(min=1, help="How many times the network is programmed, each time anew."),
    ] = 10
    thresholds: Annotated[
        Thresholds,
        typer.Option(
            help="Where thresholds are kept: in rows of the arrays, or fixed, outside of them."
        ),
    ] = DEFAULTS.thresholds
    adc_bits: Annotated[
        int | None,
        typer.Option(help="Bits of an ADC for each column; comparators alone if not given."),
    ] = DEFAULTS.adc_bits
    dac_bits: Annotated[
        int | None,
        typer.Option(
            help="Bits of the DAC that gives a fixed threshold to its comparator; exact if not "
            "given."
        ),
    ] = DEFAULTS.dac_bits
    calibrated_after: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long after programming fixed thresholds are scaled to what is left of the "
            "weights.",
        ),
    ] = None
    largest_array: Annotated[
        str,
        typer.Option(
            metavar="ROWSxCOLUMNS",
            help="Cells of the largest array; larger layers are spread over several.",
        ),
    ] = f"{DEFAULTS.tile_rows}x{DEFAULTS.tile_columns}"
    no_tiling: Annotated[
        bool, typer.Option("--no-tiling", help="Refuse a layer that one array does not hold.")
    ] = False
    wire_ohm: Annotated[
        float, typer.Option(help="Resistance of the wires from one cell to the next.")
    ] = DEFAULTS.wire_ohm
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same programmings.")] = 0

    def check(self) -> None:
        """Raise `typer.BadParameter` if an option is given that would do nothing."""
        if self.analogue is not None:
            return
        for field in dataclasses.fields(self):
            if getattr(self, field.name) != field.default:
                raise typer.BadParameter(
                    "it is about analogue arrays; give --analogue too.",
                    param_hint=f"--{field.name.replace('_', '-')}",
                )

    @property
    def settings(self) -> ArraySettings:
        """The arrays. Raises AnalogueError if they cannot be like that."""
        from stepnet.analogue import read_time

        rows, _, columns = self.largest_array.partition("x")
        if not (rows.isdecimal() and columns.isdecimal()):
            raise AnalogueError(
                f"The size {self.largest_array!r} is not understood; give rows and columns of "
                "cells, such as 256x256."
            )
        calibrated = self.calibrated_after
        return ArraySettings(
            thresholds=self.thresholds,
            adc_bits=self.adc_bits,
            dac_bits=self.dac_bits,
            tile_rows=int(rows),
            tile_columns=int(columns),
            tiling=not self.no_tiling,
            wire_ohm=self.wire_ohm,
            calibrated_after_s=None if calibrated is None else read_time(calibrated),
        )


@dataclass(frozen=True)
class ArrayResult:
    """How a network reads in arrays.

    accuracies: the part of images that are read exactly right, 0 to 1, in each programming.
    """

    memory: str
    after: str
    seconds: float
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return statistics.mean(self.accuracies)

    @property
    def deviation(self) -> float:
        """The sample standard deviation of the accuracies; 0 for one programming."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def __str__(self) -> str:
        count = len(self.accuracies)
        low, high = min(self.accuracies), max(self.accuracies)
        return (
            f"In arrays of {self.memory}, {self.after} after programming: {self.mean:.2%} exactly "
            f"right, standard deviation {self.deviation:.2%}, from {low:.2%} to {high:.2%} in "
            f"{count} {'programming' if count == 1 else 'programmings'}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same, as numbers."""
        return {
            "memory": self.memory,
            "after_seconds": self.seconds,
            "accuracies": self.accuracies,
            "mean": self.mean,
            "standard_deviation": self.deviation,
        }


def measure_in_arrays(
    options: ArrayOptions, network: AnyNetwork, dataset: Dataset
) -> ArrayResult | None:
    """Program the network as often as asked for, and read all images each time; None if nobody
    asked for arrays.

    Raises AnalogueError if there are no such arrays or they do not hold the network.
    """
    if options.analogue is None:
        return None
    import numpy as np

    from stepnet.analogue import memory, read_time
    from stepnet.data.evaluation import accuracy
    from stepnet.networks.network import Network

    if not isinstance(network, Network):
        raise AnalogueError(
            f"Arrays of step neurons do not hold the network {network.name!r}, which has neurons "
            "of another kind; name a step network."
        )
    if network.convolves:
        raise AnalogueError(
            f"Network {network.name!r} has convolutions, which arrays here do not hold; name a "
            "network of dense layers."
        )
    offered, settings, seconds = (
        memory(options.analogue),
        options.settings,
        read_time(options.after),
    )
    accuracies: list[float] = []
    for number in range(options.programmings):
        random = np.random.default_rng([options.seed, number])
        reader = offered.program(network, settings, random).after(seconds, random)
        accuracies.append(accuracy(network, dataset, reader.infer))
    return ArrayResult(options.analogue, options.after, seconds, tuple(accuracies))
