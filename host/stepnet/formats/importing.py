"""A network of another tool as a network of Stepnet, with a report of what became of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError, NetworkError
from stepnet.files import open_regular
from stepnet.formats.agreement import (
    Agreement,
    best_ink_threshold,
    compare,
    full_ink,
    random_images,
    source_codes,
)
from stepnet.formats.bits import Bits
from stepnet.formats.folding import Folded, FoldedPixels, fold, fold_pixels
from stepnet.formats.source import PIXEL_RANGES, Source
from stepnet.networks.network import Layer, Network, Readout

if TYPE_CHECKING:
    from torch import nn

FIRST_CODE = ord("0")
"""Class j is the character with this code and j more, where nobody says otherwise."""

MIDDLE_GREY = 128

HDF5_START = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Options:
    """What no file says, each None if it is left to the importer.

    name: of the network; None for the file's.
    alphabet: the character of each class, in order. Where there are fewer characters than classes,
        the first classes stay; None for 0, 1, 2 and what comes behind them in ASCII.
    image_size: height and width. Where these are fewer pixels than the source takes, the others are
        paper; None for the source's own; where it has none, that of `images`, else as square as its
        number of inputs allows.
    pixels: a name in `PIXEL_RANGES`; None for the first one in which the source sees one step.
    ink_threshold: 1 to 255; None for the source's own, else the one that agrees best on `images`.
    images: (N, height, width) uint8 grey values, ink bright, to find an ink threshold and to
        measure agreement; None for random ones.
    images_name: what to call them.
    """

    name: str | None = None
    alphabet: str | None = None
    image_size: tuple[int, int] | None = None
    pixels: str | None = None
    ink_threshold: int | None = None
    images: NDArray[np.uint8] | None = None
    images_name: str = "images"


@dataclass(frozen=True, eq=False)
class Imported:
    """A network, and how it came out of its source.

    is_exact: whether every image of paper and full ink is read as the source reads it, where the
        source's own sums are exact.
    sees_grey: whether the source sees more of a pixel than the network's one bit.
    ink_from: where the ink threshold comes from: "the source", "the option", "images" or "nothing".
    on_full_ink: agreement on images of paper and full ink.
    on_grey: agreement on grey images; None where nothing grey was read.
    images_name: what the images of both are.
    widened: for each layer, (neurons in the source, step neurons).
    undecided: thresholds at which the source's own rounding decides.
    notes: what else is worth saying, in sentences.
    """

    network: Network
    tool: str
    is_exact: bool
    sees_grey: bool
    ink_from: str
    on_full_ink: Agreement
    on_grey: Agreement | None
    images_name: str
    widened: tuple[tuple[int, int], ...]
    undecided: int
    notes: tuple[str, ...]


def from_onnx(path: str | os.PathLike[str], **options: Any) -> Network:
    """The network in an ONNX or QONNX file; see `Options` for the keywords.

    Its card says how it agrees with the file. Raises FormatError, with the node, for what integers
    cannot do exactly or is not supported, ModuleNotFoundError without the package onnx.
    """
    return import_onnx(path, Options(**options)).network


def from_keras(path: str | os.PathLike[str], **options: Any) -> Network:
    """The network in a Keras `.h5` of larq's dense layers; see `Options` for the keywords.

    Its card says how it agrees with the file. Raises FormatError, with the layer, for what integers
    cannot do exactly or is not supported, ModuleNotFoundError without the package h5py.
    """
    return import_keras(path, Options(**options)).network


def from_torch(module: nn.Module, **options: Any) -> Network:
    """The network that a torch `nn.Sequential` is: Linear, BatchNorm1d, sign-like activations, and
    Brevitas' QuantLinear and QuantIdentity; see `Options` for the keywords.

    Its card says how it agrees with the module. Raises FormatError, with the module's name, for
    what integers cannot do exactly or is not supported.
    """
    return import_torch(module, Options(**options)).network


def import_file(path: str | os.PathLike[str], options: Options) -> Imported:
    """The network in a file of any supported kind, told by how it begins. Raises FormatError."""
    from stepnet.formats.onnx_file import check_file

    check_file(Path(path), "an ONNX file or a Keras .h5")
    with open_regular(path) as file:
        is_hdf5 = file.read(len(HDF5_START)) == HDF5_START
    return import_keras(path, options) if is_hdf5 else import_onnx(path, options)


def import_keras(path: str | os.PathLike[str], options: Options) -> Imported:
    """What `from_keras` reads, with a report of how it came out."""
    from stepnet.formats.keras_file import read_keras

    return import_source(read_keras(Path(path)), options)


def import_torch(module: nn.Module, options: Options) -> Imported:
    """What `from_torch` reads, with a report of how it came out."""
    from stepnet.formats.torch_module import read_torch

    return import_source(read_torch(module), options)


def import_onnx(path: str | os.PathLike[str], options: Options) -> Imported:
    """What `from_onnx` reads, with a report of how it came out."""
    from stepnet.formats.onnx_graph import OWN_PROPERTY, read_onnx

    source, metadata = read_onnx(Path(path))
    if OWN_PROPERTY in metadata:
        own = _own(Path(path), source, metadata[OWN_PROPERTY], options)
        if own is not None:
            return own
        note = "What Stepnet had written into the file no longer fits its graph and was not used."
        source = dataclasses.replace(source, notes=(*source.notes, note))
    return import_source(source, options)


def import_source(source: Source, options: Options) -> Imported:
    """The network of any source, and how it agrees. Raises FormatError."""
    height, width = _image_size(source.pixels.shape, options)
    source, pixels = _pixels(source, height * width, options.pixels)
    folded = fold(source, pixels, own=False, ranked=True)
    characters, notes = _characters(source, folded, options.alphabet)
    last = folded.layers[-1]
    kept = np.flatnonzero(folded.class_order < len(characters))
    layers = (
        *folded.layers[:-1],
        Layer(last.weights[kept], last.thresholds[kept], last.weight_bits),
    )
    network = Network(
        options.name or source.name,
        layers,
        height,
        width,
        options.ink_threshold or pixels.ink_threshold or _middle(pixels),
        Readout.NEAREST,
        "".join(characters[number] for number in folded.class_order[kept]),
    )
    codes = np.zeros(folded.layers[-1].n_out, np.uint8)
    codes[: len(characters)] = [ord(character) for character in characters]
    return _measured(network, source, folded, pixels, codes, options, notes)


def _measured(
    network: Network,
    source: Source,
    folded: Folded,
    pixels: FoldedPixels,
    codes: NDArray[np.uint8],
    options: Options,
    notes: tuple[str, ...],
    *,
    is_own: bool = False,
) -> Imported:
    """The network with its ink threshold, compared with its source."""
    images, images_name = options.images, options.images_name
    if images is not None and images.shape[1:] != (network.height, network.width):
        raise FormatError(
            f"The images have {images.shape[1]} x {images.shape[2]} pixels, but the source takes "
            f"{network.height} x {network.width}; choose other images, or another image size."
        )
    own_ink = pixels.ink_threshold
    ink_from = "the source" if own_ink is not None else "nothing"
    if options.ink_threshold is not None and options.ink_threshold != own_ink:
        ink_from = "the option"
    grey = images
    if images is None:
        images_name = "random images"
        grey = (
            random_images(network.height, network.width, grey=True) if own_ink is not None else None
        )
    if ink_from == "nothing" and images is not None:
        expected = source_codes(source, codes, images)
        threshold = best_ink_threshold(
            lambda ink: dataclasses.replace(network, ink_threshold=ink), expected, images
        )
        network, ink_from = dataclasses.replace(network, ink_threshold=threshold), "images"
    inked = (
        random_images(network.height, network.width, grey=False)
        if images is None
        else full_ink(images, network.ink_threshold)
    )
    on_full_ink = compare(network, source_codes(source, codes, inked), inked)
    on_grey = None
    if grey is not None:
        on_grey = compare(network, source_codes(source, codes, grey), grey)
    imported = Imported(
        network,
        source.tool,
        folded.is_exact,
        own_ink is None,
        ink_from,
        on_full_ink,
        on_grey,
        images_name,
        folded.widened,
        folded.undecided,
        (*source.notes, *notes, *_rounding_notes(folded)),
    )
    if is_own:
        return imported
    card = {"source": f"{source.name}, {source.tool}", **_agreement_card(imported)}
    return dataclasses.replace(imported, network=dataclasses.replace(network, card=card))


def _agreement_card(imported: Imported) -> dict[str, str]:
    card = {
        "exact": "yes, on images of paper and full ink" if imported.is_exact else "no",
        "agreement": f"{imported.on_full_ink} {imported.images_name} of paper and full ink",
    }
    if imported.on_grey is not None:
        card["agreement on grey"] = f"{imported.on_grey} {imported.images_name}"
    return card


def _rounding_notes(folded: Folded) -> tuple[str, ...]:
    notes: list[str] = []
    if not folded.is_exact:
        notes.append(
            "Each class has a scale of its own, which integers cannot follow exactly; the scales "
            "were folded into weights of 8 bits."
        )
    if folded.undecided:
        notes.append(
            f"At {folded.undecided:,} thresholds a sum comes so near that the source's own "
            "rounding in float32 may decide otherwise; the network follows the exact sum."
        )
    if folded.scores_are_rounded:
        notes.append(
            "The source rounds its scores in float32, so that it may settle a tie either way; the "
            "network takes the first of equals."
        )
    return tuple(notes)


def _image_size(shape: tuple[int, ...], options: Options) -> tuple[int, int]:
    """Height and width of an image for an input of that shape."""
    size = math.prod(shape)
    sides = [side for side in shape if side > 1]
    if len(sides) > 2:
        shown = " x ".join(map(str, sides))
        raise FormatError(
            f"The source takes images of {shown} values; supported are images of one channel."
        )
    if options.image_size is not None:
        height, width = options.image_size
        if height < 1 or width < 1 or height * width > size:
            raise FormatError(
                f"An image of {height} x {width} pixels does not suit the source, which takes "
                f"{size}; choose a size of at most as many."
            )
        return height, width
    if len(sides) == 2:
        return sides[0], sides[1]
    if options.images is not None and math.prod(options.images.shape[1:]) <= size:
        return options.images.shape[1], options.images.shape[2]
    height = next(side for side in range(math.isqrt(size), 0, -1) if size % side == 0)
    return height, size // height


def _pixels(source: Source, used: int, wanted: str | None) -> tuple[Source, FoldedPixels]:
    """The source with what it expects of a pixel, and what it sees of one."""
    if wanted is not None and wanted not in PIXEL_RANGES:
        raise FormatError(
            f"There is no pixel range {wanted!r}; choose one of {', '.join(PIXEL_RANGES)}."
        )
    names = [wanted] if wanted else list(PIXEL_RANGES)
    if source.pixels.dtype.kind in "iu":
        names = ["0..255"]
    found: list[tuple[Source, FoldedPixels]] = []
    error: FormatError | None = None
    for name in names:
        tried = dataclasses.replace(source, pixel_range=name)
        try:
            found.append((tried, fold_pixels(tried, used)))
        except FormatError as reason:
            error = error or reason
    if not found:
        assert error is not None
        raise error
    # A step at the first or the last grey is what a sign makes of a range that only begins or ends
    # where it steps.
    inner = [each for each in found if each[1].steps[0] > 1 and each[1].steps[-1] < 255]
    single = [each for each in found if each[1].ink_threshold is not None]
    return (inner or single or found)[0]


def _middle(pixels: FoldedPixels) -> int:
    """An ink threshold where the source has no single one and no images say which is best."""
    return (pixels.steps[0] + pixels.steps[-1]) // 2 if pixels.levels <= 8 else MIDDLE_GREY


def _characters(source: Source, folded: Folded, wanted: str | None) -> tuple[str, tuple[str, ...]]:
    """The character of each class that stays, and a note if some do not."""
    classes = folded.layers[-1].n_out
    if wanted is not None:
        if len(wanted) > classes:
            raise FormatError(
                f"The alphabet has {len(wanted)} characters, but the source has {classes} classes; "
                "give one for each, or fewer to leave out the last classes."
            )
        if len(wanted) < 2:
            raise FormatError("The alphabet has fewer than two characters; give at least two.")
        if len(wanted) < classes:
            note = (
                f"The alphabet names {len(wanted)} of {classes} classes; the last "
                f"{classes - len(wanted)} were left out."
            )
            return wanted, (note,)
        return wanted, ()
    codes = source.choice.codes
    if codes is not None and len(set(codes)) == classes and all(0 < code < 256 for code in codes):
        return "".join(map(chr, codes)), ()
    numbers = list(codes) if codes is not None else list(range(classes))
    if sorted(numbers) != list(range(classes)) or FIRST_CODE + classes > 256:
        raise FormatError(
            f"The {classes} classes of the source are no characters by themselves; name them with "
            "an alphabet, as in --alphabet 0123456789."
        )
    return "".join(chr(FIRST_CODE + number) for number in numbers), ()


def _own(path: Path, source: Source, text: str, options: Options) -> Imported | None:
    """The network that an export of Stepnet holds, bit for bit; None if its graph was changed."""
    from stepnet.formats.onnx_graph import read_onnx

    try:
        said: Mapping[str, Any] = json.loads(text)
        header: dict[str, Any] = dict(said["header"])
        rows, _ = read_onnx(path, cut=said["rows"])
        weight_bits = header.pop("weight_bits")
        readout = Readout(header["readout"])
        rows = dataclasses.replace(rows, pixel_range=said["pixels"])
        source = dataclasses.replace(source, pixel_range=said["pixels"])
        used = int(header["height"]) * int(header["width"])
        bits = Bits(np.zeros(used), np.arange(used), np.ones(used))
        ink = int(header["ink_threshold"])
        pixels = FoldedPixels(bits, used, ink, 2, (ink,))
        folded = fold(rows, pixels, own=True, ranked=readout is Readout.NEAREST)
        layers = tuple(
            Layer(layer.weights, layer.thresholds, bits)
            for layer, bits in zip(folded.layers, weight_bits, strict=True)
        )
        network = Network(layers=layers, **header)
        if network.digest != said["digest"]:
            return None
        if any(not 0 <= code < 256 for code in source.choice.codes or ()):
            return None
    except (FormatError, NetworkError, KeyError, TypeError, ValueError, OverflowError):
        return None
    changes = {"name": options.name, "alphabet": options.alphabet}
    network = dataclasses.replace(network, **{k: v for k, v in changes.items() if v is not None})
    classes = len(network.alphabet) if readout is Readout.NEAREST else 0
    codes = np.array(source.choice.codes or range(classes), np.uint8)
    return _measured(network, source, folded, pixels, codes, options, (), is_own=True)
