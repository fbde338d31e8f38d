"""An ONNX file, opened with care: how large it is, whether it is one, where its weights lie.

A file may come from anywhere. What is larger than any network for a board is refused before it is
read, a pickle is never opened, and weights outside the file are read from beside it alone.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from stepnet.errors import FormatError
from stepnet.files import open_regular, read_limited
from stepnet.formats.source import MAX_NEURONS, Array

MAX_BYTES = 128 << 20
"""More than any network for a board takes: two of the widest layers in float32."""

MAX_ELEMENTS = MAX_NEURONS * MAX_NEURONS
"""Numbers in one tensor: the weights between two of the widest layers."""

MAX_NODES = 10_000

MIB = 1 << 20


def check_file(path: Path, what: str) -> None:
    """Raise FormatError unless the file can be read, is no pickle and is not too large.

    what: what it should be, for messages, as in "an ONNX file".
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
    except FileNotFoundError:
        raise FormatError(f"There is no file {str(path)!r}; name {what}.") from None
    except OSError as error:
        raise FormatError(
            f"The file {str(path)!r} cannot be read ({error.strerror or error}); name {what}."
        ) from error
    if size > MAX_BYTES:
        raise FormatError(
            f"The file {str(path)!r} has {size / MIB:,.0f} MiB, and no network for a board has "
            f"more than {MAX_BYTES // MIB}; name a smaller one."
        )
    if not size:
        raise FormatError(f"The file {str(path)!r} is empty; export the network again.")
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise _pickle(path)
    if start[:4] == b"PK\x03\x04":
        raise _zip(path, what)


def _pickle(path: Path) -> FormatError:
    return FormatError(
        f"The file {str(path)!r} is a pickle, which may run anything when it is opened, and is "
        "left closed; export the module with torch.onnx.export, or call stepnet.from_torch "
        "where you have it."
    )


def _zip(path: Path, what: str) -> FormatError:
    """Why a zip is refused: torch.save, Keras 3 and numpy write some, and what is in it shows which
    did."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError):
        names = []
    if any(name.endswith("data.pkl") for name in names):
        return _pickle(path)
    if "model.weights.h5" in names:
        return FormatError(
            f"The file {str(path)!r} is in the format of Keras 3; save the model as .h5 with "
            'model.save("model.h5"), which is read.'
        )
    if names and all(name.endswith(".npy") for name in names):
        return FormatError(
            f"The file {str(path)!r} holds arrays of numpy; if it is a network of Stepnet, use it "
            f"as it is, else name {what}."
        )
    return FormatError(f"The file {str(path)!r} is a zip archive; name {what}.")


def load_model(path: Path) -> Any:
    """The ModelProto in the file, without the weights that lie outside.

    Raises FormatError if it is none or too large, ModuleNotFoundError if onnx is missing.
    """
    onnx: Any = importlib.import_module("onnx")
    check_file(path, "an ONNX file")
    try:
        model: Any = onnx.ModelProto.FromString(read_limited(path, MAX_BYTES))
    except Exception as error:
        # protobuf's errors are of no public class.
        raise FormatError(
            f"The file {str(path)!r} is no ONNX model or is damaged; export it again."
        ) from error
    if not model.graph.node:
        raise FormatError(
            f"The file {str(path)!r} is no ONNX model or is damaged; export it again."
        )
    if len(model.graph.node) > MAX_NODES:
        raise FormatError(
            f"The graph in {str(path)!r} has {len(model.graph.node):,} nodes, and at most "
            f"{MAX_NODES:,} are read; name a network of dense layers."
        )
    return model


def array_of(tensor: Any, folder: Path, room: int) -> Array:
    """The numbers of a TensorProto, at most `MAX_ELEMENTS`.

    folder: where weights outside the file may lie. room: bytes that may still be read from there.

    Raises FormatError if they are missing, too many, or not what the tensor says.
    """
    helper: Any = importlib.import_module("onnx.numpy_helper")
    name: str = tensor.name
    count = 1
    for size in tensor.dims:
        count *= max(int(size), 0)
    if count > MAX_ELEMENTS:
        raise FormatError(
            f"The tensor {name!r} has {count:,} numbers, and no layer for a board has more than "
            f"{MAX_ELEMENTS:,}; name a smaller network."
        )
    if tensor.data_location == 1:
        tensor = _with_outside_data(tensor, folder, room)
    try:
        return np.asarray(helper.to_array(tensor))
    except Exception as error:
        # Whatever to_array stumbles over, the tensor is not what it says.
        raise FormatError(
            f"The tensor {name!r} does not hold the {count:,} numbers that its shape says; export "
            "the network again."
        ) from error


def outside_bytes(tensor: Any, folder: Path) -> int:
    """How many bytes of a tensor lie outside the file."""
    if tensor.data_location != 1:
        return 0
    _path, _offset, length = _outside(tensor, folder)
    return length


def _outside(tensor: Any, folder: Path) -> tuple[Path, int, int]:
    """File, offset and length of a tensor's weights."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    path = folder / location
    inside = path.resolve().is_relative_to(folder.resolve()) if location else False
    if not inside:
        raise FormatError(
            f"The weights of {tensor.name!r} are said to lie in {location!r}, which is not beside "
            "the ONNX file; keep both files in one folder."
        )
    if not path.is_file():
        raise FormatError(
            f"The weights of {tensor.name!r} lie in the file {location!r}, which is not beside the "
            "ONNX file; copy it there, or export with external_data=False."
        )
    try:
        offset = int(said.get("offset", "0"))
        length = int(said.get("length", path.stat().st_size - offset))
    except ValueError:
        offset, length = -1, 0
    if offset < 0 or length < 0 or offset + length > path.stat().st_size:
        raise FormatError(
            f"The file {location!r} is shorter than the weights of {tensor.name!r}; copy it again, "
            "or export with external_data=False."
        )
    return path, offset, length


def _with_outside_data(tensor: Any, folder: Path, room: int) -> Any:
    onnx: Any = importlib.import_module("onnx")
    path, offset, length = _outside(tensor, folder)
    if length > room:
        raise FormatError(
            f"The weights beside the ONNX file have more than {MAX_BYTES // MIB} MiB; no network "
            "for a board has so many."
        )
    with open_regular(path) as file:
        file.seek(offset)
        content = file.read(length)
    return onnx.TensorProto(
        dims=tensor.dims, data_type=tensor.data_type, name=tensor.name, raw_data=content
    )
