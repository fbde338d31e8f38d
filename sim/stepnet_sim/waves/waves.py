"""What one image does to the virtual board's chip, as a waveform and as a picture.

`record_waves` is the recorder that `stepnet infer` finds for the board sim.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import PictureError
from stepnet.files import write_whole
from stepnet.link.serial_line import BITS_PER_BYTE
from stepnet.networks.network import Network
from stepnet.temporary import temporary_folder
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.waves.account import Account, account_for
from stepnet_sim.waves.chip import record
from stepnet_sim.waves.fst import Track, write_fst
from stepnet_sim.waves.recording import Recording


@dataclass(frozen=True)
class Waves:
    """One image in the chip, cycle by cycle.

    network: the network that was inferred.
    account: what the engine did, in the network's words.
    recording: all signals.
    """

    network: Network
    clock_hz: int
    account: Account
    recording: Recording

    def write(self, path: Path) -> None:
        """Write an FST file: what happens in words, in the scope `image`, and the chip below.

        Raises PictureError if the file cannot be written.
        """
        try:
            with temporary_folder() as folder:
                # The library would leave half a file, and another one beside it.
                written = folder / "waves.fst"
                write_fst(written, self.recording, _tracks(self.account))
                write_whole(path, lambda file: file.write(written.read_bytes()))
        except OSError as error:
            raise PictureError(
                f"The waveform cannot be written to {str(path)!r} ({error.strerror}); "
                "name a file in a folder that exists and is writable."
            ) from error

    def draw_schedule(self, path: Path) -> None:
        """Draw which unit does what in which cycle, as a PNG file.

        Raises PictureError if the file cannot be written, MissingToolError if matplotlib is not
        installed.
        """
        from stepnet_sim.waves.schedule import draw_schedule

        draw_schedule(self.account, self.network, self.clock_hz, path)


def record_waves(
    network: Network,
    image: NDArray[np.generic],
    *,
    kind: str = "",
    uart: bool = False,
    baud: int | None = None,
    design: Design | None = None,
) -> Waves:
    """Infer one image on a chip in Amaranth's simulator, which takes seconds.

    image: (height, width), as in `reference.binarise`.
    uart: the image's bytes arrive at the pace of a serial line; else a byte comes in every cycle.
    baud: the rate of that line; None for that of the design.
    kind: what the chip is like; see `like` of `design_for`.
    design: the chip; the one that `design_for` chooses for network and kind if None.

    Raises NetworkError if the network does not fit the engine, ImageError if the image does not fit
    the network, and what `design_for` raises.
    """
    design = design_for(network, kind) if design is None else design
    line_cycles = BITS_PER_BYTE * design.clock_hz // (baud or design.baud)
    cycles_per_byte = line_cycles if uart else 1
    recording = record(network, image, design.shape, design.clock_hz, cycles_per_byte)
    account = account_for(recording, network, design.shape)
    return Waves(network, design.clock_hz, account, recording)


def _tracks(account: Account) -> list[Track]:
    """The account as lines of a waveform; a number stands only in the cycles that it is about."""
    top = ("image",)

    def numbers(values: dict[int, int]) -> list[int | None]:
        return [values.get(cycle) for cycle in range(account.cycles)]

    issues = account.issues
    pixels = {cycle: count for count, cycle in enumerate(account.pixel_cycles.tolist())}
    tracks = [
        Track(top, "cycle", [c - account.last_pixel_cycle for c in range(account.cycles)]),
        Track(top, "state", account.states),
        Track(top, "layer", [None if layer < 0 else layer for layer in account.layers.tolist()]),
        Track((*top, "pixels"), "byte", numbers(pixels)),
        Track((*top, "issued"), "layer", numbers({i.cycle: i.layer for i in issues})),
        Track((*top, "issued"), "group", numbers({i.cycle: i.group for i in issues})),
        Track((*top, "issued"), "plane", numbers({i.cycle: i.plane for i in issues})),
        Track((*top, "issued"), "word", numbers({i.cycle: i.word for i in issues})),
    ]
    tracks.append(Track(top, "matches", account.matches))
    lanes = range(account.shape.pe * account.shape.map_windows)
    for lane in lanes:
        decisions = [decision for decision in account.decisions if decision.lane == lane]
        scope = (*top, "decided") if len(lanes) == 1 else (*top, "decided", f"lane_{lane}")
        tracks += [
            Track(scope, "layer", numbers({d.cycle: d.layer for d in decisions})),
            Track(scope, "neuron", numbers({d.cycle: d.neuron for d in decisions})),
            Track(scope, "sum", numbers({d.cycle: d.sum for d in decisions})),
            Track(scope, "excess", numbers({d.cycle: d.excess for d in decisions})),
            Track(scope, "fires", numbers({d.cycle: int(d.fires) for d in decisions})),
        ]
    taken = {taken.cycle: int(taken.fires) for taken in account.taken}
    codes = {taken.cycle + 1: taken.code for taken in account.taken}
    return [
        *tracks,
        Track((*top, "readout"), "bit", numbers(taken)),
        Track((*top, "readout"), "code", numbers(codes)),
        Track(top, "code", account.register),
        Track(top, "character", [_shown(code) for code in account.register]),
    ]


def _shown(code: int) -> str:
    """A code as a character if that can be seen, else as a number."""
    return chr(code) if chr(code).isprintable() and code < 0x7F else f"0x{code:02x}"
