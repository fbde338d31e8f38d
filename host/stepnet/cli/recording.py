"""Recordings of a board at work, for `stepnet infer --waves` and `--schedule`.

Another package makes them: it offers a `Recorder` for a board that can be looked into, as an entry
point of the group `RECORDERS_GROUP` under that board's name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stepnet.networks.kinds import AnyNetwork

RECORDERS_GROUP = "stepnet.recorders"
"""Entry points of boards that can be looked into, by the board's name. Each is a `Recorder`."""


class Recording(Protocol):
    """All that happens in a board while it infers one image."""

    def write(self, path: Path) -> None:
        """Write it as an FST file."""
        ...

    def draw_schedule(self, path: Path) -> None:
        """Draw which unit does what in which cycle, as a PNG file."""
        ...


class Recorder(Protocol):
    """Makes a recording."""

    def __call__(
        self,
        network: AnyNetwork,
        image: NDArray[np.uint8],
        *,
        kind: str,
        uart: bool,
        baud: int | None,
    ) -> Recording:
        """Infer one image and record it; `network` is one that `find_recorder` took.

        image: (height, width) uint8.
        kind: what stands behind the board's name and a colon; "" for nothing.
        uart: the image's bytes come at the pace of a serial line; as fast as they can otherwise.
        baud: the rate of that line; None for the board's own.
        """
        ...


def find_recorder(
    waves: Path | None,
    schedule: Path | None,
    board: str,
    paths: Sequence[Path],
    text: bool,
    network: AnyNetwork,
) -> Recorder | None:
    """The recorder of `board`; None if neither waves nor a schedule are wanted.

    Raises `typer.BadParameter`, before anything is inferred, if there are several pictures or a
    line of text, if the board cannot be looked into, if the network is none of an engine, or if a
    file cannot be written.
    """
    if waves is None and schedule is None:
        return None
    option = "--waves" if schedule is None else "--schedule"
    if len(paths) != 1 or text:
        what = "a line of text has" if text else f"{len(paths)} pictures have"
        raise typer.BadParameter(
            f"{what} no one recording; name one picture of a character.", param_hint=option
        )
    if not isinstance(network, Network):
        kind = "network of look-up tables" if isinstance(network, LutNetwork) else "ReLU network"
        raise typer.BadParameter(
            f"{network.name!r} is a {kind}, and recordings are of an engine; name a step network.",
            param_hint=option,
        )
    recorders = entry_points(group=RECORDERS_GROUP)
    name = board.partition(":")[0]
    if name not in recorders.names:
        raise typer.BadParameter(
            f"nothing inside the board {board!r} can be seen; "
            f"choose --board {' or '.join(sorted(recorders.names)) or 'sim'}.",
            param_hint=option,
        )
    if waves is not None:
        check_output(waves, "--waves", "waveforms are FST", ".fst")
    if schedule is not None:
        from stepnet import plots

        plots.check(schedule)
    return recorders[name].load()


def save_recording(recording: Recording, waves: Path | None, schedule: Path | None) -> None:
    """Write what is wanted of a recording: its signals to `waves`, its schedule to `schedule`."""
    if waves is not None:
        recording.write(waves)
    if schedule is not None:
        recording.draw_schedule(schedule)


def check_output(path: Path, option: str, kind: str, suffix: str) -> None:
    """Raise `typer.BadParameter` if a file of this suffix cannot be written to `path`.

    option: what named the path. kind: the start of a sentence that ends in "files".
    """
    if path.suffix.lower() != suffix:
        raise typer.BadParameter(
            f"{kind} files, but {str(path)!r} ends otherwise; name a file that ends in {suffix}.",
            param_hint=option,
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise typer.BadParameter(
            f"no file can be made in {str(path.parent)!r}; "
            "name a file in a folder that exists and is writable.",
            param_hint=option,
        )
    if path.is_dir():
        raise typer.BadParameter(
            f"{str(path)!r} is a folder; name a file that ends in {suffix}.", param_hint=option
        )
