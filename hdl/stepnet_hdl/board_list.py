"""What `stepnet boards` and docs/boards.md say of every board."""

from __future__ import annotations

from typing import Any

from stepnet_hdl.boards import Board, all_boards
from stepnet_hdl.fits import fitting_networks


def board_facts(baud: int) -> list[dict[str, Any]]:
    """For every board, sorted by name: name, part, luts, memory_kbit, clock_hz, baud, simd,
    networks.

    clock_hz and simd are 0, and networks is empty, for a part that is too small for any engine.
    """
    by_shape: dict[Any, list[str]] = {}
    facts: list[dict[str, Any]] = []
    for board in all_boards().values():
        fact = _facts(board, baud)
        if not board.is_too_small:
            shape = board.part.shape
            if shape not in by_shape:
                by_shape[shape] = fitting_networks(shape)
            fact |= {
                "clock_hz": board.clock_hz_for(baud),
                "simd": shape.simd,
                "networks": by_shape[shape],
            }
        facts.append(fact)
    return facts


def _facts(board: Board, baud: int) -> dict[str, Any]:
    return {
        "name": board.name,
        "part": board.device,
        "luts": board.fpga.luts,
        "memory_kbit": board.fpga.memory_bits // 1024,
        "clock_hz": 0,
        "baud": baud,
        "simd": 0,
        "networks": [],
    }
