"""A core as one file of Verilog 2005: a module with documented ports, and below it the core.

The core is flattened into one module, so that no name of it can collide with another design's, and
what only loading a network needs is gone. Contents of memories are in the file.
"""

from __future__ import annotations

import re
import textwrap
from importlib.metadata import version

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from stepnet.cores.engine.memory_image import image_bytes
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.export.core import ExportedCore, NetworkCore
from stepnet_hdl.flow.verilog import to_rtlil, verilog_after

PASSES = "proc; flatten; opt -full; memory_collect; opt -full; opt_clean -purge"
"""What Yosys does before it writes: one module is left, without what only loading needs."""

WAIVERS = {
    "WIDTH": "Yosys leaves operands as narrow as they are, and writes `!` for a comparison with 0",
    "CASEOVERLAP": "the items of a case are in order of priority",
    "UNUSEDSIGNAL": "bits of a sum or of a memory that nobody asks for",
    "UNOPTFLAT": "to Verilator 5.006 bits of one vector that need each other are a loop",
    "DECLFILENAME": "the module above is what the file is named after",
}
"""Warnings of `verilator --lint-only -Wall` that are meant, and why. Old Verilators, such as 5.006,
know these names too."""

PORT_COMMENTS = {
    "clk": "The clock; everything happens at its rising edge.",
    "rst": "Synchronous reset, active high: forgets all images. Registers also start this way.",
    "pixel_data": "Eight pixels, row by row, the first in bit 0, 1 for ink. {image_bytes} bytes "
    "are an image, and the next byte begins the next one.",
    "spikes": "Eight spikes of a tick, pixel by pixel, row by row, the first in bit 0. The ticks "
    "follow each other, {tick_bytes} bytes each; {image_bytes} bytes are an image, and the next "
    "byte begins the next one.",
    "pixel_valid": "1: pixel_data is offered. Both have to stay as they are until they are taken.",
    "pixel_ready": "1: pixel_data is taken at this edge if pixel_valid is 1.",
    "cancel": "1: images that have no reading yet are void, also one that is half in; from two "
    "cycles later on none of them gives one. A reading on offer stays. The byte that is taken next "
    "is the first of an image.",
    "reading_valid": "1: a reading is offered, and stays as it is until it is taken. There is one "
    "for each image, in the order of the images.",
    "reading_ready": "1: the reading is taken at this edge if reading_valid is 1.",
    "reading_code": "The character code that the image was read as.",
    "reading_margin": "How far any one sum of the last layer may move before the code changes; 0 "
    "where that is not computed, in a pipeline and where numbers are multiplied.",
    "reading_cycles": "Cycles from the image's last byte to its code.",
    "character": "The code of the latest image, until that of the next one.",
}
"""What the Verilog says of each port of `ExportedCore`, clock and reset first; `spikes` of
pixel_data if the core spikes."""

COMMENT_WIDTH = 90

_INITIAL_VALUE = re.compile(
    r"^(?P<declared> *reg (?:signed )?(?:\[\d+:\d+\] )?)(?P<name>\\\S+ |\w+) = (?P<value>.+;)$",
    re.MULTILINE,
)


def core_verilog(network: AnyNetwork, built: NetworkCore, name: str) -> str:
    """The core as the text of a Verilog file with the modules `name` and `name_core`.

    Raises MissingToolError if there is no Yosys, BuildError if it fails.
    """
    inner = f"{name}_core"
    component = ExportedCore(built.core)
    lint_off = [f"/* verilator lint_off {rule} */ // {reason}" for rule, reason in WAIVERS.items()]
    lint_on = [f"/* verilator lint_on {rule} */" for rule in WAIVERS]
    return "\n".join(
        [
            _heading(network, built, name),
            _module(component, network, name, inner),
            *lint_off,
            _generated(component, inner),
            *lint_on,
            "",
        ]
    )


def _heading(network: AnyNetwork, built: NetworkCore, name: str) -> str:
    codes = " ".join(f"{code:02x}" for code in sorted(map(ord, network.characters)))
    sizes = "-".join(map(str, network.sizes))
    if isinstance(network, SpikingNetwork):
        seen = f"seen for {network.ticks} ticks in the coding {network.coding.value}"
    else:
        seen = f"ink where the grey value (ink bright) is at least {network.ink_threshold}"
    most = "At most " if built.at_most else ""
    lines = [
        f"{sizes}, {network.height} x {network.width} pixels, {seen}; {built.kind}.",
        f"{most}{built.latency_cycles} cycles from an image's last pixels to its code, if the core "
        "was free.",
        f"Character codes, in hexadecimal; any other is no character: {codes}",
        f"SHA-256 of the network: {network.digest}",
        f"Written by Stepnet {version('stepnet')}.",
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, COMMENT_WIDTH)]
    # Not wrapped, so that no line begins with a word of the network's name: some are commands.
    first = _in_line(f"{name}: the network {network.name} as a core.")
    return "\n".join(f"// {line}" for line in [first, *wrapped]) + "\n"


def _in_line(text: str) -> str:
    """The text without what could end a comment's line."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _module(component: ExportedCore, network: AnyNetwork, name: str, inner: str) -> str:
    """The module with comments on its ports, which holds the generated one."""
    ports = [("input", 1, "clk"), ("input", 1, "rst")] + [
        ("input" if member.flow == In else "output", Shape.cast(member.shape).width, port)
        for port, member in component.signature.members.items()
    ]
    tick_bytes = image_bytes(network)
    spiking = isinstance(network, SpikingNetwork)
    total = tick_bytes * (network.ticks if spiking else 1)
    declared: list[str] = []
    for direction, width, port in ports:
        key = "spikes" if spiking and port == "pixel_data" else port
        comment = PORT_COMMENTS[key].format(image_bytes=total, tick_bytes=tick_bytes)
        bits = f"[{width - 1}:0]" if width > 1 else ""
        declared.append(
            "\n".join(
                [
                    *(f"    // {line}" for line in textwrap.wrap(comment, COMMENT_WIDTH)),
                    f"    {direction:6} wire {bits:6} {port}",
                ]
            )
        )
    connected = [f"        .{port}({port})" for _, _, port in ports]
    return "\n".join(
        [
            f"module {name} (",
            ",\n".join(declared),
            ");",
            f"    {inner} core (",
            ",\n".join(connected),
            "    );",
            "endmodule",
            "",
        ]
    )


def _generated(component: ExportedCore, name: str) -> str:
    """What Yosys writes of the component: one module, without the line that names Yosys.

    Initial values are statements of their own, because a declaration with a value is what Verilator
    warns of where the variable is assigned elsewhere.
    """
    text = verilog_after(to_rtlil(component, name), PASSES, "-noattr -noparallelcase")
    module = re.sub(r"\A/\*.*?\*/\s*", "", text, flags=re.DOTALL).strip()
    return _INITIAL_VALUE.sub(r"\g<declared>\g<name>;\n  initial \g<name>= \g<value>", module)
