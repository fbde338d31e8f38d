"""What the tools are to do for a bitstream: Amaranth's build plan, as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amaranth.hdl import Module
from amaranth.vendor import GowinPlatform, LatticeECP5Platform

from stepnet.networks.network import Network
from stepnet_hdl.boards.catalogue import Board, OpenPlatform
from stepnet_hdl.chip.board_top import BoardTop
from stepnet_hdl.fpga.families import family_of

DESIGN_NAME = "stepnet"
NETLIST = f"{DESIGN_NAME}.json"
"""What synthesis leaves for place and route."""

SYNTHESIS_OPTIONS = {
    LatticeECP5Platform: ("-nowidelut",),
}
"""Beside Amaranth's own, where they help: muxes in front of wide LUTs double the area of a popcount
on ECP5."""

LARGE_PART_LUTS = 50_000
LARGE_PART_OPTIONS = ("--router", "router2")
"""Of place and route, for parts with more LUTs than that: nextpnr's usual router takes far longer
for block RAMs that lie all over such a part."""

_SCRIPTS = ("build_", DESIGN_NAME + ".debug.v")
"""Starts of the names of files that the flow does not use."""


@dataclass(frozen=True)
class Plan:
    """Files and the three commands that make a bitstream of them.

    files: contents by name.
    output_registers: whether block RAMs of the netlist are to use theirs, see `output_registers`.
    synthesis, place_and_route, packing: a tool, as Amaranth calls it, and its arguments.
    """

    files: Mapping[str, str]
    output_registers: bool
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

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it. It knows nothing of source positions, so that a comment or a moved
        line does not make another plan."""
        text = json.dumps([sorted(self.files.items()), self.output_registers, self._commands])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def _commands(self) -> tuple[tuple[str, ...], ...]:
        return (self.synthesis, self.place_and_route, self.packing)


def make_plan(
    board: Board,
    *,
    baud: int,
    clock_hz: int | None = None,
    network: Network | None = None,
    synthesis_options: Sequence[str] | None = None,
) -> Plan:
    """The plan for the chip that suits `board`; raises what `BoardTop` raises.

    network: is built in; None for none.
    synthesis_options: those of `SYNTHESIS_OPTIONS` if None.
    """
    if synthesis_options is None:
        synthesis_options = _usual_options(board.platform)
    top = BoardTop(board, baud, clock_hz, network)
    built = _prepared(board, top, synthesis_options)
    commands = json.loads(_text(built.files[f"{built.script}.json"]))["commands"]
    synthesis, place_and_route, packing = map(tuple, commands)
    files = {
        name: _text(content)
        for name, content in built.files.items()
        if not name.startswith(_SCRIPTS)
    }
    registers = family_of(board.device).output_registers
    return Plan(files, registers, synthesis, place_and_route, packing)


def synthesis_script(board: Board) -> str:
    """The script with which Yosys synthesises any chip for `board`."""
    empty = _prepared(board, Module(), _usual_options(board.platform))
    return _text(empty.files[f"{DESIGN_NAME}.ys"])


def _prepared(board: Board, top: BoardTop | Module, synthesis_options: Sequence[str]) -> Any:
    """Amaranth's build plan, which its stubs leave out."""
    platform = board.platform
    if issubclass(platform, GowinPlatform) and platform.family.startswith("GW2A"):
        synthesis_options = [*synthesis_options, "-family", "gw2a"]
    is_large = board.fpga.luts > LARGE_PART_LUTS
    return platform().prepare(
        top,
        name=DESIGN_NAME,
        emit_src=False,
        synth_opts=" ".join(synthesis_options),
        **({"nextpnr_opts": " ".join(LARGE_PART_OPTIONS)} if is_large else {}),
    )


def _usual_options(platform: OpenPlatform) -> tuple[str, ...]:
    return next(
        (of for family, of in SYNTHESIS_OPTIONS.items() if issubclass(platform, family)), ()
    )


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode()
