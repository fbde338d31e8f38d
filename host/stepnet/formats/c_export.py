"""A step network as one C99 file without dependencies: bits packed, popcounts, compares.

For microcontrollers, and as the yardstick in software of what a board does.

A layer's weights lie in blocks of `LANES` neurons, then by bit plane, most significant first, then
by word of 32 inputs, then by neuron, so that a compiler with vectors counts the neurons of a block
at once. Input i is bit i % 32 of word i / 32. What is left of the last word and of the last block
is 0 and counts nothing.

With 1-bit weights, `b = (w > 0)` and m of them -1, a row's sum over n inputs is
`n - popcount(a XOR b) - m`, so it reaches t where `popcount(a XOR b) <= n - m - t`; that limit is
in the table. With B bits the planes are added from the top: `s = -p[B-1]`, then `s = 2 s + p[k]`
with `p[k] = popcount(a AND w[k])`.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError
from stepnet.files import write_text
from stepnet.formats import c_text
from stepnet.networks.network import CharacterNetwork, Layer, Network, Readout
from stepnet.printable import printable

LANES = 16
"""Neurons that are counted at once: as many 32-bit numbers as the widest vectors of today hold, and
half a word of outputs."""

WORD_BITS = 32
VALUES_PER_LINE = 8

LARGEST = np.iinfo(np.int32).max


def write_c(network: Network, path: str | os.PathLike[str]) -> Path:
    """Write the network as a C file, whole or not at all; returns its path.

    Raises FormatError if the file cannot be written, and NetworkError if the network has
    convolutions.
    """
    try:
        return write_text(path, c_source(network))
    except OSError as error:
        raise FormatError(
            f"The C file cannot be written to {str(path)!r} ({error.strerror}); name a file in a "
            "folder that exists and is writable."
        ) from error


def c_source(network: Network) -> str:
    """The network as the text of a C file; NetworkError if it has convolutions."""
    network.check_dense("the export to C")
    return "\n".join([_heading(network), *_code(network), _reading(network), c_text.MAIN])


def c_name(network: CharacterNetwork[Any]) -> str:
    """The file's function: `stepnet_` and the network's name as C can have it."""
    return "stepnet_" + (re.sub(r"\W+", "_", network.name, flags=re.ASCII).strip("_") or "network")


def weight_words(layer: Layer) -> NDArray[np.uint32]:
    """The weights of a layer in the order of the module: (blocks, planes, words, LANES) uint32."""
    planes = layer.weight_bits
    if planes == 1:
        bits = (layer.weights > 0)[:, np.newaxis, :]
    else:
        shifts = np.arange(planes - 1, -1, -1)[:, np.newaxis]
        bits = (layer.weights[:, np.newaxis, :] >> shifts & 1).astype(bool)
    blocks, words = _blocks(layer), _words(layer)
    padded = np.zeros((blocks * LANES, planes, words * WORD_BITS), bool)
    padded[: layer.n_out, :, : layer.n_in] = bits
    packed = np.packbits(padded, axis=2, bitorder="little").view("<u4").astype(np.uint32)
    return packed.reshape(blocks, LANES, planes, words).transpose(0, 2, 3, 1)


def limits(layer: Layer) -> NDArray[np.int64]:
    """What the counts of a layer are compared with: the most differences with 1-bit weights, the
    threshold with others; (blocks * LANES,), those beyond the neurons so that they never fire."""
    ones = layer.weight_bits == 1
    found = np.full(_blocks(layer) * LANES, -1 if ones else LARGEST, np.int64)
    thresholds = layer.thresholds.astype(np.int64)
    if ones:
        minus_ones = np.count_nonzero(layer.weights < 0, axis=1)
        thresholds = layer.n_in - minus_ones - thresholds
    found[: layer.n_out] = thresholds
    return found


def _blocks(layer: Layer) -> int:
    return -(-layer.n_out // LANES)


def _words(layer: Layer) -> int:
    return -(-layer.n_in // WORD_BITS)


def _is_nearest(network: Network, layer: Layer) -> bool:
    return network.readout is Readout.NEAREST and layer is network.layers[-1]


def _heading(network: Network) -> str:
    name, pixels = c_name(network), network.height * network.width
    sizes = "-".join(map(str, network.sizes))
    bits = "-".join(str(layer.weight_bits) for layer in network.layers)
    table_bytes = sum(
        weight_words(layer).nbytes + 4 * len(limits(layer)) for layer in network.layers
    )
    card = "".join(f" *   {_comment(f'{key}: {value}')}\n" for key, value in network.card.items())
    codes = " ".join(f"{code:02x}" for code in np.sort(network.character_codes))
    return f"""\
/* The step network {_comment(network.name)}, written by Stepnet {version("stepnet")}.
 *
 *   {sizes} neurons, weights of {bits} bits, readout {network.readout},
 *   {table_bytes:,} bytes of constant tables
{card} *   digest: {network.digest}
 *
 * uint8_t {name}(const uint8_t image[{pixels}]);
 *
 *   reads one image of {network.height} x {network.width} grey values, row by row, 0 for paper
 *   and 255 for ink, and returns a character code. A pixel is ink from {network.ink_threshold} on.
 *   A code that is none of these, in hexadecimal, is no character:
 *   {codes}
 *
 * void {name}_many(const uint8_t *images, size_t count, uint8_t *codes);
 *
 *   reads images that lie one behind the other.
 *
 * Nothing is allocated, kept or shared: both may be called from several threads and from an
 * interrupt. C99, no library. `cc -O3 -c` makes use of vectors, with -march=native of the widest;
 * `cc -O3 -DSTEPNET_MAIN` makes a program that reads images from standard input and writes their
 * codes to standard output.
 */
#include <stddef.h>
#include <stdint.h>

#define PIXELS {pixels}
#define READ {name}

uint8_t {name}(const uint8_t image[PIXELS]);
void {name}_many(const uint8_t *images, size_t count, uint8_t *codes);

/* Neurons whose weights lie together and are counted together; half a word of outputs. */
#define LANES {LANES}

/* A comparison, as no ones or all of them, is masked with one of these. */
{_table("uint32_t", "one_bit", np.uint32(1) << np.arange(WORD_BITS, dtype=np.uint32))}"""


def _comment(text: str) -> str:
    """A text of somebody else for a comment, which it does not end, nor seems to."""
    shown = printable(text.replace("\n", " ")).replace("\\", "/")
    return shown.replace("*/", "* /").replace("/*", "/ *")


def _code(network: Network) -> list[str]:
    """The functions that this network needs, and its tables."""
    ones = [layer for layer in network.layers if layer.weight_bits == 1]
    several = [layer for layer in network.layers if layer.weight_bits > 1]
    wanted = [(c_text.COUNTING, True), (c_text.SUMMING, bool(several))]
    for layers, firing, nearest in (
        (ones, c_text.FIRING_ONES, c_text.NEAREST_ONES),
        (several, c_text.FIRING_SUMS, c_text.NEAREST_SUMS),
    ):
        wanted.append((firing, any(not _is_nearest(network, layer) for layer in layers)))
        wanted.append((nearest, any(_is_nearest(network, layer) for layer in layers)))
    code = [text for text, is_wanted in wanted if is_wanted]
    for number, layer in enumerate(network.layers):
        code.append(_table("uint32_t", f"weights_{number}", weight_words(layer).reshape(-1)))
        if _is_nearest(network, layer):
            code.append(_table("int64_t", f"limits_{number}", limits(layer)[: layer.n_out]))
        else:
            # Beyond any count is as good as further beyond.
            near = limits(layer).clip(-LARGEST, LARGEST)
            code.append(_table("int32_t", f"limits_{number}", near))
    if network.readout is Readout.NEAREST:
        code.append(_table("uint8_t", "codes_of_rows", network.codes))
    return code


def _table(kind: str, name: str, values: NDArray[Any]) -> str:
    form = "0x{:08x}u" if kind == "uint32_t" else "{}"
    texts = [form.format(value) for value in values.tolist()]
    lines = [
        "    " + ", ".join(texts[start : start + VALUES_PER_LINE])
        for start in range(0, len(texts), VALUES_PER_LINE)
    ]
    return f"static const {kind} {name}[{len(texts)}] = {{\n" + ",\n".join(lines) + "\n};\n"


def _reading(network: Network) -> str:
    """The function that reads an image, and the one that reads many."""
    name = c_name(network)
    lines: list[str] = []
    for number, layer in enumerate(network.layers):
        lines += _layer_lines(network, number, layer)
    lines += _code_lines(network)
    body = "\n".join(f"    {line}" for line in lines)
    words = _words(network.layers[0])
    return f"""\
uint8_t {name}(const uint8_t image[PIXELS])
{{
    uint32_t bits_0[{words}];
    for (size_t word = 0; word < {words}; word++) {{
        const size_t first = word * 32, left = PIXELS - first, end = left < 32 ? left : 32;
        uint32_t bits = 0;
        for (size_t k = 0; k < end; k++)
            bits |= (image[first + k] >= {network.ink_threshold} ? 0xffffffffu : 0u) & one_bit[k];
        bits_0[word] = bits;
    }}
{body}
}}

void {name}_many(const uint8_t *images, size_t count, uint8_t *codes)
{{
    for (size_t image = 0; image < count; image++)
        codes[image] = {name}(images + image * PIXELS);
}}
"""


def _layer_lines(network: Network, number: int, layer: Layer) -> list[str]:
    tables = f"bits_{number}, weights_{number}, limits_{number}, {_words(layer)}"
    ones = layer.weight_bits == 1
    planes = "" if ones else f", {layer.weight_bits}"
    kind = "ones" if ones else "sums"
    if _is_nearest(network, layer):
        return [f"return codes_of_rows[nearest_{kind}({tables}{planes}, {layer.n_out})];"]
    outputs = f"bits_{number + 1}"
    return [
        f"uint32_t {outputs}[{-(-layer.n_out // WORD_BITS)}];",
        f"fire_{kind}({tables}{planes}, {_blocks(layer)}, {outputs});",
    ]


def _code_lines(network: Network) -> list[str]:
    last, neurons = f"bits_{len(network.layers)}", network.layers[-1].n_out
    if network.readout is Readout.BITS:
        return [f"return (uint8_t){last}[0];"]
    if network.readout is Readout.NEAREST:
        return []
    depth = (neurons + 1).bit_length() - 1
    return [
        f"uint32_t code = 0x{int(network.code_prefix or '0', 2):02x}u, node = 0;",
        f"for (int level = 0; level < {depth}; level++) {{",
        f"    const uint32_t bit = {last}[node / 32] >> node % 32 & 1u;",
        "    code = code << 1 | bit;",
        "    node = 2 * node + 1 + bit;",
        "}",
        "return (uint8_t)code;",
    ]
