"""A network as JSON, as the page's own reference (`static/network.js`) reads it.

Arrays are base64 of little-endian numbers. Weights of B bits are B bit planes, plane k first at
k = 0 and packed eight to a byte from bit 0 on: of 1-bit weights the one plane is 1 for +1, and of
others they are the bits of two's complement.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.kinds import AnyNetwork, step_network
from stepnet.networks.lut import LutLayer, LutNetwork
from stepnet.networks.network import Layer
from stepnet.networks.placing import Placing, placing_of


def network_json(network: AnyNetwork) -> dict[str, Any]:
    """Everything that a network computes with, and its card, ready for `json.dumps`."""
    content: dict[str, Any] = {
        "name": network.name,
        "kind": network.kind,
        "digest": network.digest,
        "height": network.height,
        "width": network.width,
        "ink_threshold": network.ink_threshold,
        "readout": str(network.readout),
        "alphabet": network.alphabet,
        "code_prefix": network.code_prefix,
        "code_bits": network.code_bits,
        "placing": str(placing_of(network) or Placing.MNIST),
        "card": dict(network.card),
    }
    if isinstance(network, LutNetwork):
        content["layers"] = [_lut_layer(layer) for layer in network.layers]
        content["counts"] = {
            "groups": base64_of(network.counts.groups, "<i4"),
            "thresholds": base64_of(network.counts.thresholds, "<i4"),
        }
    else:
        steps = step_network(network, "the page")
        content["layers"] = [_step_layer(layer) for layer in steps.layers]
    return content


def network_files(names: Iterable[str]) -> dict[str, str]:
    """The name of each network's JSON file, by the network's name, whatever that holds: letters,
    digits, dots and dashes, and no two the same."""
    files: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:80]
        taken = set(files.values())
        number = next(
            number for number in range(len(taken) + 1) if _numbered(stem, number) not in taken
        )
        files[name] = _numbered(stem, number)
    return files


def _numbered(stem: str, number: int) -> str:
    return f"{stem}.{number}.json" if number else f"{stem}.json"


def base64_of(values: NDArray[Any], dtype: str) -> str:
    """Numbers as base64 of their bytes, as the numpy type `dtype` has them."""
    return b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")


def _step_layer(layer: Layer) -> dict[str, Any]:
    if layer.weight_bits == 1:
        planes = (layer.weights > 0)[np.newaxis]
    else:
        shifts = np.arange(layer.weight_bits)[:, np.newaxis, np.newaxis]
        planes = (layer.weights[np.newaxis] >> shifts & 1).astype(np.bool_)
    return {
        "n_in": layer.n_in,
        "n_out": layer.n_out,
        "neurons": layer.neurons,
        "convolution": asdict(layer.convolution) if layer.convolution else None,
        "weight_bits": layer.weight_bits,
        "planes": base64_of(np.packbits(planes, None, "little"), "u1"),
        "thresholds": base64_of(layer.thresholds, "<i4"),
    }


def _lut_layer(layer: LutLayer) -> dict[str, Any]:
    return {
        "n_in": layer.n_in,
        "n_out": layer.n_out,
        "wires": base64_of(layer.wires, "<u2" if layer.n_in <= 1 << 16 else "<u4"),
        "wire_bytes": 2 if layer.n_in <= 1 << 16 else 4,
        "tables": base64_of(layer.tables, "<u2"),
    }
