"""What `stepnet boards` and docs/boards.md say of every board."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from stepnet.cores.engine.shape import EngineShape
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet.networks.shipped import load_lut_network, load_network, names
from stepnet_hdl.boards.capacity import fitting_networks
from stepnet_hdl.boards.catalogue import BoardType, all_boards
from stepnet_hdl.boards.chip_clocks import baud_for
from stepnet_hdl.boards.spiking_chips import fitting_spiking
from stepnet_hdl.boards.table_chips import fitting_tables
from stepnet_hdl.estimation.engine_choice import has_engine_for


@dataclass(frozen=True)
class BoardFacts:
    """A board in a line.

    memory_kbit: block RAM and single-port RAM together, 1,024 bits each.
    clock_hz, simd, pe, weight_bits: of the chip that suits it, weight_bits being those that its
        memory holds; 0 if the part is too small for any.
    baud: of the serial line; the clock is chosen for it.
    networks: shipped ones that its engine holds, by name.
    convolving: shipped ones with convolutions that an engine built for them holds, by name.
    tables: shipped networks of look-up tables that a chip for it can be, by name.
    spiking: shipped spiking networks likewise.
    """

    name: str
    part: str
    luts: int
    memory_kbit: int
    baud: int
    clock_hz: int = 0
    simd: int = 0
    pe: int = 0
    weight_bits: int = 0
    networks: tuple[str, ...] = ()
    convolving: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    spiking: tuple[str, ...] = ()

    @property
    def is_too_small(self) -> bool:
        """Whether no engine fits the part."""
        return not self.clock_hz


def board_facts(baud: int | None = None) -> list[BoardFacts]:
    """The facts of every board, sorted by name.

    baud: for a serial line of this rate; None for the rate that each board's own has.
    """
    by_shape: dict[EngineShape, tuple[str, ...]] = {}
    tables: dict[str, tuple[str, ...]] = {}
    convolving: dict[str, tuple[str, ...]] = {}
    spiking: dict[str, tuple[str, ...]] = {}
    facts: list[BoardFacts] = []
    for board in all_boards().values():
        part = board.part
        if part.name not in tables:
            tables[part.name] = tuple(fitting_tables(part))
            convolving[part.name] = tuple(_convolving(board))
            spiking[part.name] = tuple(fitting_spiking(part))
        fact = BoardFacts(
            board.name,
            part.name,
            part.luts,
            part.memory_bits // 1024,
            baud or _usual_baud(board, tables[part.name]),
            convolving=convolving[part.name],
            tables=tables[part.name],
            spiking=spiking[part.name],
        )
        if not board.is_too_small:
            shape = board.settings.shape
            if shape not in by_shape:
                by_shape[shape] = tuple(fitting_networks(shape))
            fact = dataclasses.replace(
                fact,
                clock_hz=board.clock_hz_for(fact.baud),
                simd=shape.simd,
                pe=shape.pe,
                weight_bits=shape.weight_memory_bits,
                networks=by_shape[shape],
            )
        facts.append(fact)
    return facts


def _convolving(board: BoardType) -> Iterator[str]:
    """The shipped networks with convolutions that some engine on the board's part holds."""
    if board.is_too_small:
        return
    for name in names():
        network = load_network(name)
        if network.convolves and has_engine_for(network, board):
            yield name


def _usual_baud(board: BoardType, tables: tuple[str, ...]) -> int:
    """The rate of the engine's line, or where none fits, of a chip that is one of `tables`."""
    if not board.is_too_small:
        return board.baud
    return baud_for(load_lut_network(tables[0]), board) if tables else DEFAULT_BAUD
