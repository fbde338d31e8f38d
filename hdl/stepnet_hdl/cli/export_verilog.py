"""`stepnet export --to verilog`: a core with a network, for a design of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stepnet_hdl.cli.requirements import require_amaranth

if TYPE_CHECKING:
    from stepnet.networks.network import Network


def export_verilog(network: Network, output: Path | None, simd: int, pe: int) -> list[Path]:
    """Write the core's files into the folder `output`, or one named after the network."""
    require_amaranth()
    from stepnet_hdl.export.files import write_core

    return write_core(network, output or Path(f"{network.name}-verilog"), simd, pe)
