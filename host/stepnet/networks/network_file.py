"""The file of a network: an .npz with a JSON header, arrays by name, and a digest of both.

`CharacterNetwork.save` writes it and `CharacterNetwork.load` reads it, whatever the kind of the
network; what the header says of the layers is for each kind to know.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from stepnet.archives import ArchiveError, ArchiveTooLargeError, read_arrays
from stepnet.errors import NetworkError

FIRST_SCHEMA = 1
"""The schema of networks without convolutions, which every version of stepnet reads."""

CONVOLUTION_SCHEMA = 2
"""The schema of networks some of whose layers are convolutions: the header says of each layer where
its neurons look, or null for a dense one."""

SCHEMA_VERSION = CONVOLUTION_SCHEMA
"""The newest schema that this stepnet reads."""

MOST_BYTES = 32 << 20
"""What the arrays of a network may take: several times what the largest network takes that is
trained here, whose real weights have 12 MiB."""

MOST_ROWS = 1 << 20
"""Of an array: neurons of one layer. What is small in the file may take more for each in memory."""


class Content(NamedTuple):
    """What a network file holds, its digest checked: JSON header and arrays by name."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def kind(self) -> str:
        """What the neurons are; "step" where the file does not say."""
        return self.header.get("kind", "step")


def read_content(path: str | os.PathLike[str]) -> Content:
    """The content of the file that a network of any kind was saved in.

    Raises NetworkError if the file is missing, is no network, would take more than `MOST_BYTES`,
    is newer than this version of stepnet, or does not match its own digest.
    """
    path = Path(path)
    try:
        arrays = read_arrays(path, MOST_BYTES)
    except FileNotFoundError:
        raise NetworkError(
            f"There is no network file {str(path)!r}; name a .npz that `stepnet train` wrote, "
            "or a shipped network."
        ) from None
    except OSError as error:
        raise NetworkError(
            f"The network file {str(path)!r} cannot be read ({error.strerror or error}); "
            "name a .npz that `stepnet train` wrote."
        ) from error
    except ArchiveTooLargeError as error:
        raise NetworkError(
            f"The network file {str(path)!r} would take {error.wanted_bytes / 2**20:,.0f} MiB of "
            f"memory, and a network takes at most {MOST_BYTES >> 20} MiB; fetch a fresh copy."
        ) from error
    except ArchiveError as error:
        raise _no_network(path) from error
    too_many = any(array.shape[0] > MOST_ROWS for array in arrays.values() if array.ndim)
    if too_many or "schema_version" not in arrays:
        raise _no_network(path)
    version = arrays.pop("schema_version")
    if version.shape == () and version.dtype.kind in "iu" and int(version) > SCHEMA_VERSION:
        raise NetworkError(
            f"The network file {str(path)!r} has schema version {int(version)}, but this "
            f"stepnet reads up to {SCHEMA_VERSION}; upgrade stepnet."
        )
    try:
        header_text = str(arrays.pop("header")[()])
        stored_digest = str(arrays.pop("digest")[()])
        if content_digest(header_text, arrays, int(version)) != stored_digest:
            raise damaged(path)
        header = json.loads(header_text)
    except (KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise damaged(path) from error
    if not isinstance(header, dict):
        raise damaged(path)
    content = Content(cast(dict[str, Any], header), arrays)
    if not isinstance(cast(object, content.kind), str):
        raise damaged(path)
    return content


def _no_network(path: Path) -> NetworkError:
    return NetworkError(
        f"The file {str(path)!r} is no network or is damaged; train it again or fetch a fresh copy."
    )


def fits_a_file(weight_bytes: int, neurons: int) -> bool:
    """Whether a network of that size may be read again; each neuron has a number of 4 bytes."""
    return weight_bytes + 4 * neurons <= MOST_BYTES


def damaged(path: str | os.PathLike[str]) -> NetworkError:
    """The error that says that a file's content is not what was written."""
    return NetworkError(
        f"The network file {str(path)!r} is damaged: its content does not match its digest; "
        "train it again or fetch a fresh copy."
    )


def content_digest(
    header: str, arrays: Mapping[str, NDArray[Any]], schema_version: int = FIRST_SCHEMA
) -> str:
    """SHA-256 over the schema version, the header and every array's name, type, shape and bytes."""
    digest = hashlib.sha256(f"stepnet network {schema_version}\n{header}\n".encode())
    for name, array in sorted(arrays.items()):
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {little_endian.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(little_endian).data)
    return digest.hexdigest()
