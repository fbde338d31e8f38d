"""From an ONNX graph to a source, node by node.

Only what leads to the graph's output is looked at. What depends on no image is computed at once;
the rest is one chain of functions and sums (`stepnet.formats.source`).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from stepnet.errors import FormatError
from stepnet.formats.onnx_file import MAX_BYTES, MAX_ELEMENTS, array_of, load_model, outside_bytes
from stepnet.formats.onnx_operators import (
    CONSTANT_ONLY,
    MOVES,
    POINTWISE,
    Compute,
    Operator,
    element_type,
)
from stepnet.formats.source import Array, Choice, Pixels, Signal, Source, capitalised
from stepnet.printable import printable

DOMAINS = (
    "",
    "ai.onnx",
    "onnx.brevitas",
    "qonnx.custom_op.general",
    "finn.custom_op.general",
    "finn",
)
"""Where operators may come from: ONNX, and what Brevitas, QONNX and FINN call theirs."""

SUPPORTED = (
    "MatMul, Gemm, BatchNormalization, BipolarQuant, Quant, IntQuant, MultiThreshold, Sign, "
    "arithmetic and comparisons with constants, reshapes, ArgMax and TopK"
)
"""What a refusal names, in short."""

OWN_PROPERTY = "stepnet"
"""Key of the metadata in which an export keeps what no graph says."""

MALFORMED = (TypeError, ValueError, LookupError, AttributeError, OverflowError)
"""What looking at a node raises that has too few operands, or operands of another kind."""

ARRAY_ATTRIBUTES = {"Constant": "value", "ConstantOfShape": "value"}


@dataclass(frozen=True, eq=False)
class _Chosen:
    """The answer itself: which class the scores choose."""

    scores: Signal
    choice: Choice


Value = Array | Signal | _Chosen


class _Node:
    """A NodeProto, with its attributes as Python has them."""

    def __init__(self, proto: Any) -> None:
        self.kind: str = proto.op_type
        self.domain: str = proto.domain
        self.inputs: list[str] = list(proto.input)
        self.outputs: list[str] = list(proto.output)
        self._proto = proto
        name: str = proto.name or (self.outputs[0] if self.outputs else "")
        self.label = f"node {name!r} ({self.kind})"

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Numbers, lists, text; tensors stay what they are."""
        helper: Any = importlib.import_module("onnx.helper")
        found: dict[str, Any] = {}
        for attribute in self._proto.attribute:
            value: Any = helper.get_attribute_value(attribute)
            found[attribute.name] = (
                value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            )
        return found

    def refused(self, why: str) -> FormatError:
        """The error that begins with the node's name."""
        return FormatError(f"{printable(capitalised(self.label))} {why}.")


def read_onnx(path: Path, *, cut: str | None = None) -> tuple[Source, dict[str, str]]:
    """The network in an ONNX file, and the file's metadata.

    cut: the tensor to take for the scores, None for the graph's output.

    Raises FormatError for what is not supported, naming the node.
    """
    model = load_model(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        return _Graph(model, path).source(cut), metadata
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        # An attribute or a shape that is none, anywhere in the graph.
        raise FormatError(
            f"The graph in {str(path)!r} is damaged ({printable(str(error), 200)}); export it "
            "again."
        ) from error


class _Graph:
    """A graph on the way from its input to its output."""

    def __init__(self, model: Any, path: Path) -> None:
        self._graph = model.graph
        self._path = path
        self._tool = f"{model.producer_name} {model.producer_version}".strip() or "an ONNX file"
        self._initialisers = {tensor.name: tensor for tensor in self._graph.initializer}
        self._nodes = [_Node(proto) for proto in self._graph.node]
        self._values: dict[str, Value] = {}
        self._notes: list[str] = []
        self._room = MAX_BYTES

    def source(self, cut: str | None) -> Source:
        """The network that ends at the tensor `cut`, or at the graph's output."""
        output = cut or self._output()
        name, pixels = self._input()
        self._values[name] = Signal.of(pixels)
        for node in self._leading_to(output):
            self._run(node)
        found = self._value(output)
        if isinstance(found, _Chosen):
            scores, choice = found.scores, found.choice
        elif isinstance(found, Signal):
            scores, choice = found, Choice()
        else:
            raise FormatError(
                f"The output {output!r} of the graph does not depend on its input {name!r}; export "
                "the whole network."
            )
        scores = replace(scores, ranks_only=False)
        return Source(self._path.stem, self._tool, scores, choice, notes=tuple(self._notes))

    def _input(self) -> tuple[str, Pixels]:
        inputs = [each for each in self._graph.input if each.name not in self._initialisers]
        if len(inputs) != 1:
            names = ", ".join(repr(each.name) for each in inputs) or "none"
            raise FormatError(
                f"The graph has {len(inputs)} inputs ({names}); supported are networks with one, "
                "the image."
            )
        tensor: Any = inputs[0].type.tensor_type
        name: str = inputs[0].name
        sizes: list[int | str] = [
            int(size.dim_value) if size.WhichOneof("value") == "dim_value" else str(size.dim_param)
            for size in tensor.shape.dim
        ]
        is_image = len(sizes) == 2 and (sizes[0] == sizes[1] or sizes[1] == 1)
        if len(sizes) > 1 and sizes[0] != 1 and not is_image:
            count = sizes[0] if isinstance(sizes[0], int) else "any number of"
            self._notes.append(
                f"The input {name!r} takes {count} images at a time; it was read for one."
            )
            sizes[0] = 1
        shown = " x ".join(str(size) or "?" for size in sizes)
        shape = tuple(size for size in sizes if isinstance(size, int) and size > 0)
        if not sizes or len(shape) != len(sizes):
            raise FormatError(
                f"The input {name!r} has the shape {shown or 'of one number'}, which leaves open "
                "how many pixels an image has; export with fixed sizes."
            )
        if math.prod(shape) > MAX_ELEMENTS:
            raise FormatError(
                f"The input {name!r} has {math.prod(shape):,} pixels; no engine takes more than "
                "4,096."
            )
        try:
            return name, Pixels(shape, element_type(tensor.elem_type))
        except FormatError as error:
            raise FormatError(
                f"The input {name!r} {error}; export with an input of float32."
            ) from None

    def _output(self) -> str:
        names = [each.name for each in self._graph.output]
        if len(names) != 1:
            shown = ", ".join(map(repr, names)) or "none"
            raise FormatError(
                f"The graph has {len(names)} outputs ({shown}); supported are networks with one, "
                "the scores or the class; export it without the others."
            )
        return names[0]

    def _leading_to(self, output: str) -> list[_Node]:
        """The nodes that the output depends on, in order."""
        maker: dict[str, int] = {}
        for number, node in enumerate(self._nodes):
            for made in node.outputs:
                maker.setdefault(made, number)
        wanted, needed = [output], set[int]()
        while wanted:
            number = maker.get(wanted.pop())
            if number is not None and number not in needed:
                needed.add(number)
                wanted.extend(name for name in self._nodes[number].inputs if name)
        return [self._nodes[number] for number in sorted(needed)]

    def _value(self, name: str) -> Value:
        if name not in self._values:
            if name not in self._initialisers:
                raise FormatError(
                    f"The graph uses the tensor {name!r} before any node gives it; export the "
                    "network again."
                )
            tensor = self._initialisers[name]
            array = array_of(tensor, self._path.parent, self._room)
            self._room -= outside_bytes(tensor, self._path.parent)
            _check_numbers(array, f"The tensor {name!r}")
            self._values[name] = array
        return self._values[name]

    def _run(self, node: _Node) -> None:
        if node.domain not in DOMAINS:
            raise node.refused(
                f"comes from the domain {node.domain!r}; supported are {SUPPORTED} of ONNX, QONNX, "
                "Brevitas and FINN"
            )
        values = [self._value(name) if name else None for name in node.inputs]
        try:
            found = self._given(node, values)
        except MALFORMED as error:
            raise _malformed(node, error) from error
        outputs = found if isinstance(found, tuple) else (found,)
        for name, value in zip(node.outputs, outputs, strict=False):
            self._values[name] = value

    def _given(self, node: _Node, values: list[Any]) -> Value | tuple[Value, ...]:
        """What a node makes of its operands."""
        chosen = [value for value in values if isinstance(value, _Chosen)]
        signals = [value for value in values if isinstance(value, Signal)]
        if chosen:
            return _on_choice(node, values, chosen[0])
        if signals:
            return _on_signal(node, values, signals)
        return self._constant(node, values)

    def _constant(self, node: _Node, values: list[Any]) -> Array:
        """What a node makes of constants."""
        if node.kind in ARRAY_ATTRIBUTES:
            array = self._array_attribute(node, values)
        elif node.kind == "Expand":
            _check_size(node, np.broadcast_shapes(values[0].shape, tuple(values[1].tolist())))
            array = values[0] * np.ones(values[1].tolist(), values[0].dtype)
        else:
            compute = CONSTANT_ONLY.get(node.kind) or MOVES.get(node.kind)
            if compute is None and node.kind in POINTWISE:
                _check_size(node, _broadcast(node, values))
                compute = POINTWISE[node.kind].compute
            if compute is None:
                raise _unknown(node)
            if node.kind == "MatMul":
                _check_size(node, (values[0].size // max(1, values[0].shape[-1]), values[1].size))
            array = np.asarray(_computed(node, compute, values, 0))
        _check_numbers(array, f"What {node.label} gives")
        return array

    def _array_attribute(self, node: _Node, values: list[Any]) -> Array:
        attributes = node.attributes
        if node.kind == "Constant":
            for name, kind in (
                ("value_float", np.float32),
                ("value_floats", np.float32),
                ("value_int", np.int64),
                ("value_ints", np.int64),
            ):
                if name in attributes:
                    return np.asarray(attributes[name], kind)
        tensor = attributes.get("value")
        if tensor is None:
            if node.kind == "Constant":
                raise node.refused("holds no numbers; supported are constants of numbers")
            filled = np.zeros(1, np.float32)
        else:
            filled = array_of(tensor, self._path.parent, self._room)
        if node.kind == "Constant":
            return filled
        shape = tuple(int(size) for size in values[0].reshape(-1))
        _check_size(node, shape)
        return np.full(shape, filled.reshape(-1)[0])


def _on_signal(node: _Node, values: list[Any], signals: list[Signal]) -> Value | tuple[Value, ...]:
    """What a node makes of values that depend on the image."""
    signal = signals[0]
    kind = node.kind
    if kind in ("Softmax", "LogSoftmax"):
        # The largest stays the largest, and equal ones stay equal.
        return replace(signal, ranks_only=True, label=node.label)
    if kind == "Shape":
        return np.array(signal.shape, np.int64)
    if kind in ("ArgMax", "ArgMin", "TopK"):
        return _chosen(node, values, signal)
    if kind in MOVES:
        return _moved(node, MOVES[kind], values, signal)
    if signal.ranks_only:
        raise node.refused(
            "computes with what a softmax gives; supported is a softmax at the end, which is left "
            "out"
        )
    if kind in ("MatMul", "Gemm", "XnorPopcountMatMul"):
        if len(signals) > 1:
            raise node.refused(
                "multiplies two values that depend on the image; supported are constant weights"
            )
        return _summed(node, values, signal)
    if kind not in POINTWISE:
        raise _unknown(node)
    return _pointwise(node, POINTWISE[kind], values, signals)


def _on_choice(node: _Node, values: list[Any], chosen: _Chosen) -> _Chosen:
    """What a node makes of the class that was chosen: its code, or the same in another shape."""
    if node.kind in MOVES or node.kind == "Cast":
        return chosen
    codes = chosen.choice.codes or tuple(range(chosen.scores.size))
    constants: list[Array] = [value for value in values if isinstance(value, np.ndarray)]
    if node.kind == "Gather" and values[1] is chosen and len(constants) == 1:
        table: Array = constants[0].reshape(-1)
        if len(table) >= max(codes) + 1:
            named = tuple(int(table[code]) for code in codes)
            return _Chosen(chosen.scores, replace(chosen.choice, codes=named))
    if node.kind == "Add" and len(constants) == 1 and constants[0].size == 1:
        moved = tuple(code + int(constants[0].reshape(())) for code in codes)
        return _Chosen(chosen.scores, replace(chosen.choice, codes=moved))
    raise node.refused(
        "computes with the chosen class; supported are a Gather from a table of codes, and an Add"
    )


def _chosen(node: _Node, values: list[Any], signal: Signal) -> Value | tuple[Value, ...]:
    attributes = node.attributes
    axis = int(attributes.get("axis", -1 if node.kind == "TopK" else 0))
    rank = len(signal.shape)
    if not -rank <= axis < rank or signal.shape[axis] != signal.size:
        raise node.refused("does not compare all scores; supported is a choice among all classes")
    if node.kind != "TopK":
        last = bool(attributes.get("select_last_index", 0))
        return _Chosen(signal, Choice(node.kind == "ArgMax", last))
    count = attributes.get("k") if len(values) < 2 else int(values[1].reshape(-1)[0])
    if count != 1:
        raise node.refused(f"gives the {count} best classes; supported is the best one, k = 1")
    best = _Chosen(signal, Choice(bool(attributes.get("largest", 1))))
    return best, best


def _moved(node: _Node, compute: Compute, values: list[Any], signal: Signal) -> Signal:
    if values[0] is not signal:
        raise node.refused("has a shape that depends on the image; supported are fixed shapes")
    if node.kind == "Dropout" and len(values) > 2 and values[2] is not None and values[2].any():
        raise node.refused("is in training mode; export the network after module.eval()")
    others = values[1:]
    try:
        return signal.rearranged(node.label, lambda x: _computed(node, compute, [x, *others], 1))
    except (ValueError, IndexError):
        raise node.refused(
            f"cannot bring {signal.size} values of shape {signal.shape} into the shape it names; "
            "export the network again with a batch of 1"
        ) from None


def _pointwise(node: _Node, operator: Operator, values: list[Any], signals: list[Signal]) -> Signal:
    """One more function, of one or two values of the same sum."""
    if node.kind == "BatchNormalization" and node.attributes.get("training_mode", 0):
        raise node.refused("is in training mode; export the network after module.eval()")
    constants: list[Array] = [value for value in values if isinstance(value, np.ndarray)]
    rank = max(len(signals[0].shape), *(array.ndim for array in constants), 0)

    def deep(x: Array) -> Array:
        return x.reshape((x.shape[0], *[1] * (rank - x.ndim + 1), *x.shape[1:]))

    places = [place for place, value in enumerate(values) if isinstance(value, Signal)]

    def function(*given: Array) -> Array:
        operands = list(values)
        for place, x in zip(places, given, strict=True):
            operands[place] = deep(x)
        return _computed(node, operator.compute, operands, 1)

    for array in constants:
        _check_size(node, array.shape)
    if len(signals) == 1:
        is_monotone = places[0] in operator.monotone
        return signals[0].then(node.label, function, is_monotone=is_monotone)
    if len(signals) > 2 or not signals[0].stands_like(signals[1]):
        raise node.refused(
            "joins values that depend on the image in different ways; supported are networks of "
            "one layer behind the other"
        )
    return signals[0].joined(signals[1], node.label, function)


def _summed(node: _Node, values: list[Any], signal: Signal) -> Signal:
    """The sums of a MatMul, a Gemm or an XnorPopcountMatMul."""
    attributes = node.attributes if node.kind == "Gemm" else {}
    operands = list(values)
    for place, name in ((0, "transA"), (1, "transB")):
        if attributes.get(name, 0):
            swapped: Callable[[Any], Any] = lambda x: np.swapaxes(x, -1, -2)  # noqa: E731
            if operands[place] is signal:
                signal = signal.rearranged(node.label, swapped)
                operands[place] = signal
            else:
                operands[place] = operands[place].T
    is_left = operands[0] is signal
    weights = operands[1] if is_left else operands[0]
    if node.kind == "XnorPopcountMatMul":
        if not is_left:
            raise node.refused("has its weights first; supported are weights as second operand")
        weights = 2 * weights - 1
    if weights.dtype.kind not in "fiub" or weights.ndim != 2:
        raise node.refused(
            f"has weights of shape {weights.shape}; supported is a matrix of inputs and neurons"
        )
    if weights.dtype.kind != "f":
        weights = weights.astype(np.float32)
    axis = -1 if is_left else -2
    shape = signal.shape
    inputs, outputs = weights.shape if is_left else weights.shape[::-1]
    column = len(shape) == 1 or shape[axis] == signal.size
    if not shape or not column:
        raise node.refused(
            f"multiplies values of shape {shape}; supported are layers that see all values at once"
        )
    if inputs != signal.size:
        raise node.refused(
            f"has weights for {inputs} inputs, but {signal.size} values come in; export the "
            "network again"
        )
    made = list(shape)
    made[axis if len(shape) > 1 else 0] = outputs
    matrix = weights.T if is_left else weights
    alpha = weights.dtype.type(attributes.get("alpha", 1.0))
    sums = signal.summed(node.label, np.ascontiguousarray(matrix * alpha), tuple(made))
    if node.kind == "XnorPopcountMatMul":
        zeros = (1 - (weights + 1) / 2).sum(axis=0)
        return sums.then(node.label, lambda x: x + zeros)
    if len(operands) > 2 and operands[2] is not None:
        if not isinstance(operands[2], np.ndarray):
            raise node.refused("adds a bias that depends on the image; supported are constants")
        given = cast("Array", operands[2])
        bias: Array = given * given.dtype.type(attributes.get("beta", 1.0))
        return sums.then(node.label, lambda x: x + bias)
    return sums


def _computed(node: _Node, compute: Compute, operands: list[Any], lead: int) -> Array:
    """What an operator gives, its complaints with the node's name before them."""
    try:
        # A division by a scale of 0 and the like show up as NaN, which is reported.
        with np.errstate(all="ignore"):
            return compute(operands, node.attributes, lead)
    except FormatError as error:
        raise node.refused(str(error)) from None
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _malformed(node, error) from error


def _broadcast(node: _Node, values: list[Any]) -> tuple[int, ...]:
    if node.kind in ("BatchNormalization", "MultiThreshold", "QuantizeLinear", "DequantizeLinear"):
        return values[0].shape
    try:
        return np.broadcast_shapes(*(value.shape for value in values if value is not None))
    except ValueError:
        shapes = " and ".join(str(value.shape) for value in values if value is not None)
        raise node.refused(
            f"has operands of shapes {shapes}, which do not fit; export the network again"
        ) from None


def _check_size(node: _Node, shape: tuple[int, ...]) -> None:
    if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise node.refused(
            f"makes a tensor of shape {shape}; no layer for a board has more than "
            f"{MAX_ELEMENTS:,} numbers"
        )


def _check_numbers(array: Array, what: str) -> None:
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise FormatError(f"{what} holds NaN; train the network again with a lower learning rate.")


def _malformed(node: _Node, error: Exception) -> FormatError:
    return node.refused(
        f"lacks an operand or holds one of another kind ({error}); export the network again"
    )


def _unknown(node: _Node) -> FormatError:
    return node.refused(f"is of a kind that is not supported; supported are {SUPPORTED}")
