"""The chips with a multiply-accumulate core on each part that has multipliers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stepnet.cores.mac.layout import check_fits
from stepnet.cores.mac.program import MacNetwork
from stepnet.cores.mac.shape import MacShape
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.sigmoid import SigmoidNetwork
from stepnet_hdl.boards.catalogue import BoardType, all_boards
from stepnet_hdl.fpga.parts import Part


@dataclass(frozen=True)
class MacChip:
    """A chip with a multiply-accumulate core.

    shape: of the core.
    buffer_bytes: of the link's receive buffer.
    answers_in_luts, coded_images: see `endpoint.Endpoint`.
    clock_hz: the largest clock that it is built for; a board runs at what it can make up to that.
    """

    shape: MacShape
    buffer_bytes: int
    answers_in_luts: bool
    clock_hz: int
    coded_images: bool = True

    @property
    def holds_at_power_on(self) -> bool:
        """Whether a network can be built in: a bitstream fills block RAM, and no single-port
        RAM."""
        return self.shape.wide_words is None


_UP5K = MacChip(
    # 24 of the block RAMs hold half of the first words, the single-port RAM everything else.
    shape=MacShape(weight_words=8192, wide_words=1536),
    buffer_bytes=512,
    answers_in_luts=True,
    clock_hz=36_000_000,
)

_ECP5 = MacChip(
    shape=MacShape(weight_words=4096),
    buffer_bytes=2048,
    answers_in_luts=True,
    clock_hz=60_000_000,
)

MAC_CHIPS = {
    "iCE40UP5K": _UP5K,
    **dict.fromkeys(
        (
            *("LFE5U-12F", "LFE5U-25F", "LFE5UM-25F", "LFE5UM5G-25F"),
            *("LFE5U-45F", "LFE5UM-45F", "LFE5UM5G-45F"),
            *("LFE5U-85F", "LFE5UM-85F", "LFE5UM5G-85F"),
        ),
        _ECP5,
    ),
}
"""The chip for ReLU networks on each part, by the part's name."""

SIGMOID_CLOCK_HZ = {"iCE40": 30_000_000, "ECP5": 60_000_000}
"""The largest clock that the chip for sigmoid networks is built for, by the part's family."""


def chip_for(network: MacNetwork, part: Part) -> MacChip | None:
    """The chip on `part` for networks of the kind of `network`, whether it fits or not; None if
    there is none."""
    chip = MAC_CHIPS.get(part.name)
    if chip is None or not isinstance(network, SigmoidNetwork):
        return chip
    shape = replace(chip.shape, sigmoid=True)
    return replace(chip, shape=shape, clock_hz=SIGMOID_CLOCK_HZ[part.family.name])


def mac_chip(network: MacNetwork, board: BoardType) -> MacChip:
    """The chip on `board` that computes `network`.

    Raises BuildError, with the boards that would do, if there is none for the board's part, or if
    the network does not fit.
    """
    chip = chip_for(network, board.part)
    reason = f"No multiply-accumulate core is made for the {board.part.name} of {board.name}"
    if chip is not None:
        try:
            check_fits(network, chip.shape, board.name)
        except NetworkError as error:
            reason = str(error).partition(";")[0]
        else:
            return chip
    others = [name for name, other in all_boards().items() if _fits(network, other.part)]
    raise BuildError(f"{reason}; {network.name!r} fits {', '.join(others) or 'no board'}.")


def _fits(network: MacNetwork, part: Part) -> bool:
    chip = chip_for(network, part)
    if chip is None:
        return False
    try:
        check_fits(network, chip.shape)
    except NetworkError:
        return False
    return True
