"""How the chips of a family are simulated as gates: a row a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stepnet.errors import BuildError
from stepnet_hdl.fpga.families.ecp5 import ECP5
from stepnet_hdl.fpga.families.gowin import GW1N, GW2A, GW5A
from stepnet_hdl.fpga.families.ice40 import ICE40
from stepnet_hdl.fpga.family import Family
from stepnet_sim.gates import ecp5, gowin, ice40

if TYPE_CHECKING:
    from stepnet_hdl.boards.catalogue import BoardType


@dataclass(frozen=True)
class BitstreamModel:
    """How what is programmed into a board is simulated.

    verilog: makes Verilog of a bitstream for a board, or of what is nearest to it.
    from_netlist: takes the netlist that nextpnr wrote, not the bitstream that is packed from it.
    decided_by: the files outside of Stepnet's own code that decide the Verilog; raises
        MissingToolError if one of them is missing.
    """

    verilog: Callable[[Path, BoardType], str]
    from_netlist: bool
    decided_by: Callable[[], tuple[Path, ...]]


@dataclass(frozen=True)
class GateModels:
    """How chips of one family are simulated as gates.

    cells: gives Verilog of all cells that synthesis maps to, in one text.
    bitstream: how a bitstream is simulated; None where nothing turns one into Verilog.
    """

    cells: Callable[[], str]
    bitstream: BitstreamModel | None


GATE_MODELS: dict[Family, GateModels] = {
    ICE40: GateModels(
        ice40.cell_models, BitstreamModel(ice40.bitstream_verilog, False, ice40.icestorm_files)
    ),
    ECP5: GateModels(
        ecp5.cell_models,
        BitstreamModel(ecp5.routed_verilog, True, lambda: (ecp5.BLOCK_RAM_MODEL,)),
    ),
    GW1N: GateModels(gowin.cell_models, None),
    GW2A: GateModels(gowin.cell_models, None),
    GW5A: GateModels(gowin.cell_models, None),
}


def gate_models(board: BoardType) -> GateModels:
    """How the chip of a board is simulated as gates.

    Raises BuildError, with the families that are, if there are no models of its family.
    """
    models = GATE_MODELS.get(board.part.family)
    if models is None:
        raise BuildError(
            f"The gates of {board.name} cannot be simulated, because there are no models of the "
            f"{board.part.family.name}; name a board with one of "
            f"{', '.join(family.name for family in GATE_MODELS)}."
        )
    return models


def bitstream_model(board: BoardType) -> BitstreamModel:
    """How the bitstream of a board is simulated.

    Raises BuildError, with the families that are, if it cannot be.
    """
    model = gate_models(board).bitstream
    if model is None:
        others = (family.name for family, models in GATE_MODELS.items() if models.bitstream)
        raise BuildError(
            f"The bitstream of {board.name} cannot be simulated, because what unpacks one of its "
            f"family leaves out the block RAMs; name a board with one of {', '.join(others)}."
        )
    return model
