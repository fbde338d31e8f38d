"""What the tools are to do for a bitstream: Amaranth's build plan, as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amaranth.hdl import Module

from stepnet.cores.pipeline.stored_images import StoredImages
from stepnet.networks.kinds import AnyNetwork
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.chip.board_top import BoardTop
from stepnet_hdl.fpga.family import LARGE_PART_LUTS, NetlistPass

DESIGN_NAME = "stepnet"
_SCRIPTS = ("build_", DESIGN_NAME + ".debug.v")
"""Starts of the names of files that the flow does not use."""


@dataclass(frozen=True)
class Plan:
    """Files and the three commands that make a bitstream of them.

    files: contents by name.
    netlist_pass: changes the netlist between synthesis and place and route; None for nothing.
    synthesis, place_and_route, packing: a tool, as Amaranth calls it, and its arguments.
    """

    files: Mapping[str, str]
    netlist_pass: NetlistPass | None
    synthesis: tuple[str, ...]
    place_and_route: tuple[str, ...]
    packing: tuple[str, ...]

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The tools, in the order of their use."""
        return tuple(command[0] for command in self._commands)

    @property
    def bitstream_name(self) -> str:
        """The file that packing makes."""
        (name,) = (word for word in self.packing if word.endswith((".bin", ".bit", ".fs")))
        return name

    @property
    def netlist_name(self) -> str:
        """The file that synthesis leaves for place and route."""
        return self.place_and_route[self.place_and_route.index("--json") + 1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it. It knows nothing of source positions, so that a comment or a moved
        line does not make another plan."""
        text = json.dumps(
            [sorted(self.files.items()), self.netlist_pass is not None, self._commands]
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def _commands(self) -> tuple[tuple[str, ...], ...]:
        return (self.synthesis, self.place_and_route, self.packing)


def make_plan(
    board: BoardType,
    *,
    baud: int,
    clock_hz: int | None = None,
    network: AnyNetwork | None = None,
    stored: StoredImages | None = None,
    wire: Wire = Wire.UART,
    synthesis_options: Sequence[str] | None = None,
) -> Plan:
    """The plan for the chip that suits `board`; raises what `BoardTop` raises.

    network: is built in; None for none.
    stored, wire: as of `BoardTop`.
    synthesis_options: those of the part's family if None.
    """
    top = BoardTop(board, baud, clock_hz, network, stored, wire)
    built = _prepared(board, top, synthesis_options, clock_mhz=str(top.clock_hz / 1e6))
    commands = json.loads(_text(built.files[f"{built.script}.json"]))["commands"]
    synthesis, place_and_route, packing = map(tuple, commands)
    files = {
        name: _text(content)
        for name, content in built.files.items()
        if not name.startswith(_SCRIPTS)
    }
    netlist_pass = board.part.family.use_output_registers
    return Plan(files, netlist_pass, synthesis, place_and_route, packing)


def synthesis_script(board: BoardType) -> str:
    """The script with which Yosys synthesises any chip for `board`."""
    empty = _prepared(board, Module())
    return _text(empty.files[f"{DESIGN_NAME}.ys"])


def _prepared(
    board: BoardType,
    top: BoardTop | Module,
    synthesis_options: Sequence[str] | None = None,
    **overrides: str,
) -> Any:
    """Amaranth's build plan, which its stubs leave out."""
    family = board.part.family
    if synthesis_options is None:
        synthesis_options = family.synthesis_options
    if board.part.luts > LARGE_PART_LUTS and family.large_part_options:
        overrides["nextpnr_opts"] = " ".join(family.large_part_options)
    return board.platform().prepare(
        top,
        name=DESIGN_NAME,
        emit_src=False,
        synth_opts=" ".join((*synthesis_options, *family.synthesis_target)),
        **overrides,
    )


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode()
