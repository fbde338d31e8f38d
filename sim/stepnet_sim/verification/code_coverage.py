"""Reads what Verilator counted: for each block, the share of branches that were taken and of bits
that were seen to rise and to fall.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stepnet_sim.benches.bench_runner import TOP
from stepnet_sim.benches.designs import ENGINE_SHAPES

_POINT = re.compile(r"^C '(.*)' (\d+)$")
_FIELD = re.compile(r"\x01([^\x02]*)\x02([^\x01]*)")
_VARIANT = re.compile(rf"[_$](\d+|{'|'.join(ENGINE_SHAPES)})$")
"""The end of a name that tells the instances of one block in the benches' top from each other."""


@dataclass
class Share:
    """How many points there are, and how many of them were reached."""

    reached: int = 0
    points: int = 0

    def __str__(self) -> str:
        """The share in percent, rounded down, so that 100 means all."""
        return f"{100 * self.reached // self.points} %" if self.points else "none"


@dataclass(frozen=True)
class BlockCoverage:
    """What was reached in all instances of one block together.

    lines: the branches of clocked blocks.
    toggles: the rises and falls of every bit of every signal.
    """

    lines: Share
    toggles: Share


def read_counts(paths: Iterable[Path]) -> dict[str, BlockCoverage]:
    """The coverage of each block over all runs, by the block's name.

    The name has that of its parent before it; numbers that tell instances apart are left out.
    """
    hits: dict[str, int] = defaultdict(int)
    for path in paths:
        for line in path.read_text(errors="replace").splitlines():
            if found := _POINT.match(line):
                hits[found[1]] += int(found[2])
    blocks: dict[str, BlockCoverage] = defaultdict(lambda: BlockCoverage(Share(), Share()))
    for point, count in hits.items():
        fields = dict(_FIELD.findall(point))
        kind, _, module = fields["page"].partition("/")
        block = blocks[_block(module)]
        share = block.toggles if kind == "v_toggle" else block.lines
        share.points += 1
        share.reached += count > 0
    return dict(sorted(blocks.items()))


def _block(module: str) -> str:
    *_, parent, own = (_VARIANT.sub("", part) for part in ("", *module.split(".")))
    return own if parent in ("", TOP) else f"{parent}.{own}"
