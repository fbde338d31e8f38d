"""A step network as a QONNX file, which runs in onnxruntime and in qonnx to the same codes.

    image (batch, 1, height, width), float32 grey values 0 to 255, ink bright
      -> Flatten -> MultiThreshold at the ink threshold             bits of 0 and 1
      -> for each layer: MatMul with quantised weights -> MultiThreshold at its thresholds
      -> the readout -> code (batch,), int64

Readout `nearest` is the last layer's sums less its thresholds, an ArgMax, and a table of codes.
Under `bits` and `tree` every code has a leaf, whose score counts how many of the bits on the way to
it are right; only one leaf has all of them, so that ArgMax finds it.

Operators that ONNX lacks are written down in the file a second time, as functions of standard
operators, so that a runtime that does not know QONNX can run it too. What no graph says (alphabet,
card, bits of weight) is in the file's metadata; `stepnet import` brings the network back from both,
bit for bit.
"""

from __future__ import annotations

import importlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError
from stepnet.files import write_whole
from stepnet.formats.onnx_graph import OWN_PROPERTY
from stepnet.networks.network import Layer, Network, Readout

DOMAIN = "qonnx.custom_op.general"
OPSET = 17
IR_VERSION = 8
"""The first that has functions in a file."""

PIXELS = "0..255"
"""What the image's values are, as import calls it."""

INPUT, OUTPUT = "image", "code"

FLOAT32_EXACT = 1 << 24
"""Up to here float32 holds every integer."""


def write_qonnx(network: Network, path: str | os.PathLike[str], batch: int = 1) -> Path:
    """Write the network to a QONNX file, whole or not at all; returns its path.

    batch: images that the graph takes at a time; 0 for any number, which qonnx does not run.

    Raises FormatError if a threshold is larger than float32 holds exactly or the file cannot be
    written, NetworkError if the network has convolutions, ModuleNotFoundError without the package
    onnx.
    """
    content: bytes = qonnx_model(network, batch).SerializeToString()
    try:
        return write_whole(path, lambda file: file.write(content))
    except OSError as error:
        raise FormatError(
            f"The QONNX file cannot be written to {str(path)!r} ({error.strerror}); name a file in "
            "a folder that exists and is writable."
        ) from error


def qonnx_model(network: Network, batch: int = 1) -> Any:
    """The network as an `onnx.ModelProto`; see `write_qonnx`."""
    network.check_dense("the export to QONNX")
    return _Writer(network, batch).model()


def leaves(network: Network) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """The leaves of readout `bits` or `tree`: which bits lead to each, and its code.

    Returns (leaves, neurons) int8, 1 where the neuron's bit has to be 1, -1 where it has to be 0
    and 0 where it is not asked, and (leaves,) int64.
    """
    neurons = network.layers[-1].n_out
    if network.readout is Readout.BITS:
        codes = np.arange(1 << neurons)
        bits = codes[:, np.newaxis] >> np.arange(neurons) & 1
        return (2 * bits - 1).astype(np.int8), codes
    depth = (neurons + 1).bit_length() - 1
    numbers = np.arange(1 << depth)
    wanted = np.zeros((len(numbers), neurons), np.int8)
    node = np.zeros_like(numbers)
    for level in range(depth):
        bit = numbers >> (depth - 1 - level) & 1
        wanted[numbers, node] = 2 * bit - 1
        node = 2 * node + 1 + bit
    prefix = int(network.code_prefix or "0", 2) << depth
    return wanted, prefix | numbers


class _Writer:
    """The graph of a network as it grows, node by node."""

    def __init__(self, network: Network, batch: int) -> None:
        self._onnx: Any = importlib.import_module("onnx")
        self._helper: Any = importlib.import_module("onnx.helper")
        self._network = network
        self._batch: int | str = batch or "batch"
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._tensors: list[Any] = []

    def model(self) -> Any:
        """The network as an `onnx.ModelProto`, with what is needed to read it back bit for bit."""
        network, helper = self._network, self._helper
        last = self._bits()
        rows, scores, codes = self._scores(last)
        chosen = self._node("ArgMax", [scores], "class", (), np.int64, axis=1, keepdims=0)
        table = self._constant("codes", codes.astype(np.int64))
        self._node("Gather", [table, chosen], OUTPUT, (), np.int64, axis=0)
        code = self._tensors.pop()
        image = self._tensor(INPUT, (1, network.height, network.width), np.float32)
        graph = helper.make_graph(
            self._nodes, "network", [image], [code], self._constants, value_info=self._tensors
        )
        model = helper.make_model(
            graph,
            producer_name="stepnet",
            producer_version=version("stepnet"),
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
            functions=_functions(helper),
            doc_string=f"Step network {network.name}: grey values 0 to 255 in, character code out.",
        )
        helper.set_model_props(model, {OWN_PROPERTY: self._own(rows)})
        return model

    def _own(self, rows: str) -> str:
        network = self._network
        header = {
            "name": network.name,
            "height": network.height,
            "width": network.width,
            "ink_threshold": network.ink_threshold,
            "readout": network.readout,
            "alphabet": network.alphabet,
            "code_prefix": network.code_prefix,
            "card": dict(network.card),
            "weight_bits": [layer.weight_bits for layer in network.layers],
        }
        return json.dumps(
            {"digest": network.digest, "header": header, "pixels": PIXELS, "rows": rows}
        )

    def _bits(self) -> str:
        """Write all layers but the last one; returns the tensor of the bits that they give."""
        network = self._network
        pixels = network.height * network.width
        flat = self._node("Flatten", [INPUT], "pixels", (pixels,), np.float32, axis=1)
        bits = self._threshold(flat, "ink", pixels, np.array([[network.ink_threshold]]))
        for number, layer in enumerate(network.layers[:-1]):
            bits = self._step(bits, f"layer_{number}", layer)
        return bits

    def _scores(self, bits: str) -> tuple[str, str, NDArray[Any]]:
        """The tensor that import takes for the last layer, the scores, and their codes."""
        network = self._network
        name, layer = f"layer_{len(network.layers) - 1}", network.layers[-1]
        if network.readout is Readout.NEAREST:
            sums = self._sums(bits, name, layer)
            _check_thresholds(name, layer)
            thresholds = self._constant(f"{name}_thresholds", layer.thresholds)
            rows = self._node("Sub", [sums, thresholds], name, (layer.n_out,), np.float32)
            return rows, rows, network.codes
        rows = self._step(bits, name, layer)
        wanted, codes = leaves(network)
        weights = self._constant("leaf_weights", wanted.T)
        counted = self._node("MatMul", [rows, weights], "right_ones", (len(codes),), np.float32)
        zeros = self._constant("zeros_asked", (wanted < 0).sum(axis=1))
        scores = self._node("Add", [counted, zeros], "right_bits", (len(codes),), np.float32)
        return rows, scores, codes

    def _step(self, bits: str, name: str, layer: Layer) -> str:
        _check_thresholds(name, layer)
        sums = self._sums(bits, name, layer)
        return self._threshold(sums, name, layer.n_out, layer.thresholds[:, np.newaxis])

    def _sums(self, bits: str, name: str, layer: Layer) -> str:
        weights = self._constant(f"{name}_weights", layer.weights.T)
        one = self._constant(f"{name}_scale", np.array(1))
        shape = layer.weights.T.shape
        if layer.weight_bits == 1:
            quantised = self._node(
                "BipolarQuant", [weights, one], f"{name}_quantised", shape, np.float32, own=False
            )
        else:
            zero = self._constant(f"{name}_zero_point", np.array(0))
            width = self._constant(f"{name}_bit_width", np.array(layer.weight_bits))
            quantised = self._node(
                "Quant",
                [weights, one, zero, width],
                f"{name}_quantised",
                shape,
                np.float32,
                own=False,
                signed=1,
                narrow=0,
                rounding_mode="ROUND",
            )
        return self._node("MatMul", [bits, quantised], f"{name}_sums", (layer.n_out,), np.float32)

    def _threshold(self, values: str, name: str, count: int, thresholds: NDArray[Any]) -> str:
        given = self._constant(f"{name}_thresholds", thresholds)
        return self._node(
            "MultiThreshold", [values, given], name, (count,), np.float32, out_dtype="BINARY"
        )

    def _node(
        self,
        kind: str,
        inputs: list[str],
        output: str,
        shape: tuple[int, ...],
        dtype: Any,
        *,
        own: bool = True,
        **attributes: Any,
    ) -> str:
        """A node and what it gives, one of them per image if `own`."""
        domain = DOMAIN if kind in ("BipolarQuant", "Quant", "MultiThreshold") else ""
        self._nodes.append(
            self._helper.make_node(
                kind, inputs, [output], f"{output}_{kind}", domain=domain, **attributes
            )
        )
        self._tensors.append(self._tensor(output, shape, dtype, own=own))
        return output

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: Any, *, own: bool = True) -> Any:
        kind = self._onnx.TensorProto.INT64 if dtype is np.int64 else self._onnx.TensorProto.FLOAT
        whole = (self._batch, *shape) if own else shape
        return self._helper.make_tensor_value_info(name, kind, whole)

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        numpy_helper: Any = importlib.import_module("onnx.numpy_helper")
        array = values if values.dtype == np.int64 and name == "codes" else values.astype("f4")
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _check_thresholds(name: str, layer: Layer) -> None:
    worst = int(layer.thresholds[np.argmax(np.abs(layer.thresholds.astype(np.int64)))])
    if abs(worst) >= FLOAT32_EXACT:
        raise FormatError(
            f"A threshold of {name} is {worst}, and float32 holds integers up to {FLOAT32_EXACT} "
            "alone; no sum reaches either, so choose one just beyond the sums."
        )


def _functions(helper: Any) -> list[Any]:
    """QONNX's operators as this file uses them, in standard ones."""
    opsets = [helper.make_opsetid("", OPSET)]
    node = helper.make_node

    def function(name: str, inputs: list[str], nodes: list[Any], attributes: list[str]) -> Any:
        return helper.make_function(DOMAIN, name, inputs, ["y"], nodes, opsets, attributes)

    zero = node("Constant", [], ["zero"], value_float=0.0)
    bipolar = [
        zero,
        node("GreaterOrEqual", ["x", "zero"], ["positive"]),
        node("Neg", ["scale"], ["minus"]),
        node("Where", ["positive", "scale", "minus"], ["y"]),
    ]
    quant = [
        node("Div", ["x", "scale"], ["scaled"]),
        node("Round", ["scaled"], ["whole"]),
        node("Mul", ["whole", "scale"], ["y"]),
    ]
    threshold = [
        node("Constant", [], ["last"], value_ints=[-1]),
        node("Unsqueeze", ["x", "last"], ["deep"]),
        node("GreaterOrEqual", ["deep", "thresholds"], ["reached"]),
        node("Cast", ["reached"], ["ones"], to=1),
        node("ReduceSum", ["ones", "last"], ["y"], keepdims=0),
    ]
    quant_attributes = ["signed", "narrow", "rounding_mode"]
    return [
        function("BipolarQuant", ["x", "scale"], bipolar, []),
        function("Quant", ["x", "scale", "zero_point", "bit_width"], quant, quant_attributes),
        function("MultiThreshold", ["x", "thresholds"], threshold, ["out_dtype"]),
    ]
